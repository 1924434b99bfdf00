import { writeFileSync } from "node:fs";
import * as z from "zod";
import { eventsOf } from "#auditing/ledger-events";
import type { NarrowedPolicy } from "#authoring/narrow-policy";
import { grantName } from "#audit/grant-name";
import { namedForGrant, narrowedByUse } from "#authoring/review-grant";
import { ReviewedUse, type GrantUse } from "#authoring/reviewed-use";
import type { UsedAccess } from "#authoring/used-access";
import { policyDigest } from "#policy/document";
import { submitChange, type DraftChange } from "../approvals/submit-change.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import { keyFilesOf } from "../log/state-keys.ts";
import { Misuse } from "../misuse.ts";
import { printable } from "../printable.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { UnreadList } from "../records/unread.ts";
import { readRegistryOf } from "../registry/registry-show.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const grantForm = z.looseObject({
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  policy: z.string(),
});
const policyForm = z.object({ name: z.string(), body: z.unknown() });

interface Reviewed {
  readonly grant: z.infer<typeof grantForm>;
  readonly use: GrantUse;
  readonly narrowed: NarrowedPolicy | undefined;
}

/**
 * Reviews each grant (of a client) by the records of the last days: its last use, what was used, and the narrower
 * policy that drops only what was not used. Nothing is proposed for a grant before its records cover these days. `--accept` publishes these policies and gives them to the grants;
 * `--remove-unused` removes grants without any use. Returns 0, 1 if a leaf could not be opened, 2 when it is refused.
 */
export async function accessReview(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    ...auditorOptions,
    days: { type: "string", default: "90" },
    ledger: { type: "string" },
    out: { type: "string" },
    accept: { type: "boolean", default: false },
    "remove-unused": { type: "boolean", default: false },
    why: { type: "string" },
  });
  const days = Number(values.days);
  if (positionals.length > 1 || !(days > 0)) throw new Misuse();
  const from = posterOf(values);
  const { digest, lists } = await readRegistryOf(from);
  const [client] = positionals;
  const grants = z
    .array(grantForm)
    .parse(lists["grants"])
    .filter((grant) => client === undefined || grant.client === client);
  if (grants.length === 0)
    throw new Misuse(`no grant of ${client ?? "any client"}: phylax registry show grants`);
  const use = new ReviewedUse(grants, days, Date.now());
  const unread = new UnreadList();
  for await (const found of eventsOf(
    await auditorSource(
      { ...values, keys: keyFilesOf({ ...values, key: values["log-key"] }) },
      values.ledger,
    ),
  )) {
    if (!("event" in found)) unread.add(found);
    else use.add(found.event);
  }
  for (const line of unread.lines) complain(printable(line));
  const bodies = new Map(
    z
      .array(policyForm)
      .parse(lists["policies"])
      .map(({ name, body }) => [name, body]),
  );
  const now = Date.now();
  const reviewed = grants.map((grant): Reviewed => {
    const found = use.of(grant);
    const body = found.isCovered ? bodies.get(grant.policy) : undefined;
    return { grant, use: found, narrowed: narrowedByUse(found.used, body, now) };
  });
  for (const each of reviewed) for (const line of linesOf(each, days, now)) say(printable(line));
  const draft = await draftOf(reviewed, values["remove-unused"]);
  if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(draft, null, 2)}\n`);
  giveResult(reviewed.map((each) => asJson(each, now)));
  if (unread.count > 0) {
    if (values.accept) complain("not accepted: records that were not opened may have uses");
    return 1;
  }
  if (!values.accept) return 0;
  return (await submitChange(from, { expects: digest, ...draft }, values.why)).exitCode;
}

function linesOf(
  { grant, use: { used, since, isCovered }, narrowed }: Reviewed,
  days: number,
  now: number,
): readonly string[] {
  const head = `${grant.client} ${grant.origin} ${grant.purpose}  policy ${grant.policy}`;
  const records = since === undefined ? "no record" : `records since ${new Date(since).toISOString()}`;
  const uncovered = `${records} do not cover ${days} days: nothing is proposed`;
  if (used.count === 0)
    return [isCovered ? `${head}  no use in ${days} days` : `${head}  no use on record; ${uncovered}`];
  const types = [...used.types].map(([type, interactions]) => {
    const parameters = [...(used.parameters.get(type) ?? [])];
    const by = parameters.length === 0 ? "" : ` by ${parameters.join(", ")}`;
    return `  used: ${type} ${[...interactions].join(", ")}${by}`;
  });
  const dropped = !isCovered
    ? [`  ${uncovered}`]
    : narrowed === undefined
      ? ["  no narrower policy is known to refuse nothing that was used"]
      : narrowed.dropped.length === 0
        ? ["  all that the policy grants was used"]
        : [`  not used in ${days} days: ${narrowed.dropped.join(", ")}`];
  return [
    `${head}  last use ${new Date(used.lastUse).toISOString()}  ${used.count} records  ${[...used.purposes].join(" ")}`,
    ...types,
    ...[...used.operations].map((name) => `  used: operation ${name}`),
    ...measuredLines(used, now),
    ...dropped,
  ];
}

function measuredLines(used: UsedAccess, now: number): readonly string[] {
  const measured = used.measured(now);
  if (measured === undefined) return [];
  const known = `  elements: ${measured.elements.size} paths left, counted in ${measured.counted} of ${measured.answers} answers`;
  const isEnough = used.elementsLeft(now) !== undefined;
  return [isEnough ? known : `${known}: too few answers to say which did not leave`];
}

const asJson = ({ grant, use: { used, since, isCovered }, narrowed }: Reviewed, now: number): object => ({
  grant: grantName(grant),
  policy: grant.policy,
  since: since === undefined ? null : new Date(since).toISOString(),
  covered: isCovered,
  records: used.count,
  lastUse: used.count === 0 ? null : new Date(used.lastUse).toISOString(),
  purposes: [...used.purposes],
  operations: [...used.operations],
  types: Object.fromEntries(
    [...used.types].map(([type, interactions]) => [
      type,
      { interactions: [...interactions], parameters: [...(used.parameters.get(type) ?? [])] },
    ]),
  ),
  elements: elementsAsJson(used, now),
  dropped: narrowed?.dropped ?? null,
  narrower: narrowed !== undefined && narrowed.dropped.length > 0 ? narrowed.policy : null,
});

function elementsAsJson(used: UsedAccess, now: number): object | null {
  const measured = used.measured(now);
  if (measured === undefined) return null;
  const { elements, counted, answers } = measured;
  return {
    counted,
    answers,
    left: Object.fromEntries([...elements].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The change that gives each grant its narrower policy. */
async function draftOf(reviewed: readonly Reviewed[], removesUnused: boolean): Promise<DraftChange> {
  const policies: object[] = [];
  const grants: object[] = [];
  for (const { grant, narrowed } of reviewed) {
    if (narrowed === undefined || narrowed.dropped.length === 0) continue;
    const policy = namedForGrant(grant, narrowed);
    policies.push(policy);
    grants.push({ ...grant, policy: await policyDigest(policy.body) });
  }
  const unused = removesUnused ? reviewed.filter(({ use }) => use.isCovered && use.used.count === 0) : [];
  return {
    set: { policies, grants },
    remove: {
      grants: unused.map(({ grant: { client, origin, purpose } }) => ({ client, origin, purpose })),
    },
  };
}
