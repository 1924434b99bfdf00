import { type EventOnRecord, eventsOf } from "#auditing/ledger-events";
import { ownTokenMillisecondsMax } from "#identity/denial-document";
import { signInAgeSecondsMax } from "#identity/sign-in";
import { type RecordedDenialAct, replayDenials } from "#registry/replay-denials";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { keyFilesOf } from "../log/state-keys.ts";
import { Misuse } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { writePrivateFile } from "../private-file.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { UnreadList } from "../records/unread.ts";
import { readCall } from "../read-call.ts";

const kinds: ReadonlySet<string> = new Set(["administration", "revocation"]);

/**
 * Lists the denials in force from the ledger's records of them, and writes them to a file; `--deny` denies
 * each again. Needs an auditor's key. Returns 1 when a part of the ledger could not be read or a denial was
 * not made.
 */
export async function restoreDenials(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...auditorOptions,
    ...posterOptions,
    deny: { type: "boolean", default: false },
  });
  const [file, place, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse("name the file to write");
  const unread = new UnreadList();
  const requests = new Map<string, EventOnRecord[]>();
  // A named folder may be of an earlier deployment than the deployment of --state, which gets the denials.
  const keys = place === undefined ? keyFilesOf({ ...values, key: values["log-key"] }) : values.keys;
  for await (const found of eventsOf(await auditorSource({ ...values, keys }, place))) {
    if (!("event" in found)) unread.add(found);
    else if (kinds.has(found.event.kind))
      requests.set(found.event.id, [...(requests.get(found.event.id) ?? []), found]);
  }
  const denials = replayDenials(
    [...requests.values()].map(actOf),
    Date.now(),
    signInAgeSecondsMax * 1_000,
    ownTokenMillisecondsMax,
  );
  writePrivateFile(file, `${JSON.stringify({ denials }, undefined, 2)}\n`);
  say(`${file}: ${denials.length} denials in force by the records`);
  for (const line of unread.lines) complain(printable(line));
  const from = posterOf(values);
  const failed: object[] = [];
  for (const denial of values.deny ? denials : []) {
    const answer = await postAsOperator(from, "api/revocations", JSON.stringify(denial));
    if (answer.status === 200) continue;
    failed.push(denial);
    complain(printable(`${JSON.stringify(denial)}: ${refusalLine(answer)}`));
  }
  const good = unread.count === 0 && failed.length === 0;
  giveResult({ good, denials, denied: values.deny ? denials.length - failed.length : 0, failed });
  if (values.deny) say(`denied: ${denials.length - failed.length} of ${denials.length}`);
  return good ? 0 : 1;
}

/** An act from its records in any order. */
function actOf(events: readonly EventOnRecord[]): RecordedDenialAct {
  const steps = events.toSorted(({ event: left }, { event: right }) => (left.step ?? 0) - (right.step ?? 0));
  const textOf = (role: "submitted" | "effect") =>
    steps.flatMap(({ event: { document } }) => (document?.role === role ? [document.text] : [])).join("");
  const [begun] = steps;
  const first = begun?.event;
  const ended = steps.findLast(({ event }) => event.outcome !== undefined);
  const { issuer, tokenId } = first?.who ?? {};
  return {
    at: first?.at ?? 0,
    begun: begun?.frame.seconds ?? 0,
    ended: ended?.frame.seconds,
    interaction: first?.kind === "revocation" ? "own-token" : (first?.what?.interaction ?? ""),
    submitted: textOf("submitted"),
    effect: textOf("effect"),
    status: ended?.event.outcome?.status,
    token: issuer === undefined || tokenId === undefined ? undefined : { issuer, tokenId },
  };
}
