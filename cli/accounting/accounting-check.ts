import { setTimeout as wait } from "node:timers/promises";
import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import type { AccountingLine } from "#audit/accounting/line";
import {
  checkLine,
  type LineProblem,
  type LineProof,
  readLineProof,
  sameSubject,
} from "#audit/accounting/proof";
import { err, type Result } from "#kernel/result";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { countsText } from "#audit/accounting/compose";
import { accountingShown, type ShownLine } from "./accounting-lines.ts";
import { onceMoreIfLate } from "#auditing/late-checkpoint";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { givenKeys } from "../log/ledger-keys.ts";
import { sentence as wordsOf } from "#auditing/sentence";
import { readerAt } from "../log/reader-at.ts";
import { keyOfLog } from "#auditing/ledger-root";
import { printable } from "../printable.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Checks each line of a saved accounting (FHIR, CSV or HTML; each page is a file) against the ledger's public
 * keys, offline. It prints each line as its proof states it, and each error. No proof shows that a line is
 * missing. With a ledger or an exported folder it also checks that the checkpoint of each proof is in the
 * ledger's past: the holder of the key can sign a second history for a single reader. Returns 0 when
 * everything is right.
 */
export async function accountingCheck(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = readCall(args, { key: many, keys: many, ledger: { type: "string" } });
  if (positionals.length === 0)
    throw new Misuse("name the file of a saved accounting, or the files of all its pages");
  const given = givenKeys(values.key, values.keys);
  if (given === undefined) throw new Misuse("no public key to check with: give one with --key or --keys");
  const pages = positionals.map((file) => accountingShown(bytesOf(file)));
  if (pages.some(({ isSummed }) => isSummed))
    throw new Misuse("sums have no proofs: request the accounting without summed=true and check its lines");
  const { good, checkpoints, verdicts, isOfOnePatient } = printLines(
    pages.flatMap(({ lines }) => lines),
    given.keys,
    // A key that ended counts only if the ledger has the proof's checkpoint in its past.
    values.ledger === undefined ? Infinity : 0,
  );
  const isFollowed = pages.every((page) => page.isFollowed);
  if (isFollowed)
    say("more pages follow: the last page is not among these files, so save the next pages too");
  const isInPast =
    values.ledger === undefined || (await printHistory(values.ledger, checkpoints, given.keys));
  giveResult({
    good: good && isInPast,
    lines: verdicts,
    isOfOnePatient,
    isFollowed,
    ...(values.ledger !== undefined && { isInPast }),
  });
  return good && isInPast ? 0 : 1;
}

/**
 * Prints the verdict on each line. `good` means that every line has a valid proof; `checkpoints` are those in
 * the proofs.
 */
function printLines(
  lines: readonly ShownLine[],
  keys: readonly Verifier[],
  rootIndex: number,
): {
  readonly good: boolean;
  readonly checkpoints: readonly Checkpoint[];
  readonly verdicts: readonly LineVerdict[];
  readonly isOfOnePatient: boolean;
} {
  const verdicts: LineVerdict[] = [];
  const good = new Map<string, AccountingLine>(); // by place
  const checkpoints: Checkpoint[] = [];
  for (const line of lines) {
    if (line.proof === undefined) {
      verdicts.push({ place: null, wrong: "has no proof" });
      continue;
    }
    const proof = readLineProof(Buffer.from(line.proof, "base64").toString("utf8"));
    const checked = proof.ok ? checkShown(proof.value, line, keys, rootIndex) : proof;
    const place = proof.ok ? `${proof.value.log}/${proof.value.index}/${proof.value.line}` : "a line";
    const isSecond = good.has(place);
    const wrong = isSecond ? "shown before" : checked.ok ? undefined : checked.error.replaceAll("_", " ");
    const says = checked.ok ? sentence(checked.value.says) : "";
    verdicts.push({ place: proof.ok ? place : null, ...(wrong === undefined ? { says } : { wrong }) });
    say(printable(`${place}: ${wrong === undefined ? `good: ${says}` : `WRONG: ${wrong}`}`));
    if (!checked.ok || isSecond) continue;
    good.set(place, checked.value.says);
    checkpoints.push(checked.value.checkpoint);
  }
  const unproven = lines.filter(({ proof }) => proof === undefined).length;
  if (unproven > 0) say(`${unproven} without a proof: request the accounting again`);
  const [first, ...further] = good.values();
  const different = first === undefined ? 0 : further.filter((line) => !sameSubject(line, first)).length;
  if (different > 0)
    say(
      `${different} lines are of another record of the patient than the first line is, or of another patient`,
    );
  say(`${good.size} of ${lines.length} lines are proven; no proof shows that no line is missing`);
  return { good: good.size === lines.length, checkpoints, verdicts, isOfOnePatient: different === 0 };
}

interface LineVerdict {
  /** Log, leaf and line; null if the line has no readable proof. */
  readonly place: string | null;
  /** The facts that the proof states. */
  readonly says?: string;
  readonly wrong?: string;
}

/** Checks that each log, where it is whole, has these checkpoints in its past. */
async function printHistory(
  ledger: string,
  checkpoints: readonly Checkpoint[],
  keys: readonly Verifier[],
): Promise<boolean> {
  let isInPast = true;
  for (const [origin, since] of Map.groupBy(checkpoints, (checkpoint) => checkpoint.origin)) {
    const verifier = keyOfLog(keys, origin.slice(origin.lastIndexOf("/") + 1));
    if (verifier === undefined) continue; // without the log's key no line was good
    const reader = readerAt(ledger, logOfVerifier(verifier));
    const result = await onceMoreIfLate(() => verifyLog(reader, verifier, { since }), wait);
    if (result.ok)
      say(
        `${logOfVerifier(verifier)}: the ledger, whole at ${result.value.size} leaves, ` +
          "has the proofs' checkpoints in its past",
      );
    else say(printable(`${logOfVerifier(verifier)}: WRONG: ${wordsOf(result.error)}`));
    isInPast &&= result.ok;
  }
  return isInPast;
}

/** The proof states what the line says; the values shown next to the proof must agree with it. */
function checkShown(
  proof: LineProof,
  { shown, tells }: ShownLine,
  keys: readonly Verifier[],
  rootIndex: number,
): Result<
  { readonly says: AccountingLine; readonly checkpoint: Checkpoint },
  LineProblem | "shows_something_else_than_it_proves" | "there_is_no_key_of_its_log_here"
> {
  const verifier = keyOfLog(keys, proof.log);
  if (verifier === undefined) return err("there_is_no_key_of_its_log_here");
  const checked = checkLine(proof, verifier, rootIndex);
  if (!checked.ok) return checked;
  const { says } = checked.value;
  const facts = [new Date(says.at).toISOString(), says.recipient, ...says.purposes];
  const alike = tells(says) && facts.every((fact) => isIn(shown, fact));
  return alike ? checked : err("shows_something_else_than_it_proves");
}

/** Matches whole words: `TREAT` is not in `ETREAT`. */
function isIn(shown: string, fact: string): boolean {
  for (let at = shown.indexOf(fact); at >= 0; at = shown.indexOf(fact, at + 1)) {
    if (!/[\w.-]$/u.test(shown.slice(0, at)) && !/^[\w.-]/u.test(shown.slice(at + fact.length))) return true;
  }
  return false;
}

const sentence = (line: AccountingLine): string =>
  [
    new Date(line.at).toISOString(),
    `to ${line.recipient}`,
    `for ${line.purposes.join(" ")}`,
    countsText(line),
  ].join(", ");

function bytesOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    throw new Misuse(`${file} cannot be read: check its name and permissions`);
  }
}
