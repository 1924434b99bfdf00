import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
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
import { countsText } from "#audit/accounting/page";
import { accountingShown, type ShownLine } from "./accounting-lines.ts";
import { onceMoreIfLate } from "./late-checkpoint.ts";
import { givenKeys, logOf, Misuse, tellFault } from "./ledger-keys.ts";
import { sentence as wordsOf } from "./ledger-report.ts";
import { readerAt } from "./reader-at.ts";
import { keyOfLog } from "./ledger-root.ts";
import { printable } from "./printable.ts";

export const accountingCheckUsage =
  "phylax accounting check FILE… [--ledger URL|DIR] [--key VKEY]… [--keys DEV.JSON]…";

/**
 * Checks each line of an accounting that was saved (FHIR, CSV or page; each of its pages a file) against the ledger's public keys, offline. Says what each line says
 * by its proof, and what is wrong; that none is missing, no proof shows. With a ledger or an exported folder also that the checkpoint of
 * each proof is in its past: whoever holds the key can sign a second history for one reader. Answers 0 when all of it holds.
 */
export async function accountingCheck(args: readonly string[]): Promise<number> {
  try {
    const many = { type: "string", multiple: true, default: [] as string[] } as const;
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { key: many, keys: many, ledger: { type: "string" } },
    });
    if (positionals.length === 0)
      throw new Misuse("a file with an accounting is needed, or the files of its pages");
    const given = givenKeys(values.key, values.keys);
    if (given === undefined)
      throw new Misuse("without a public key (--key or --keys) nothing can be checked");
    const pages = positionals.map((file) => accountingShown(bytesOf(file)));
    if (pages.some(({ isSummed }) => isSummed))
      throw new Misuse("sums have no proofs: ask without summed=true for the lines they are of");
    const { good, checkpoints } = tellLines(
      pages.flatMap(({ lines }) => lines),
      given.keys,
    );
    if (pages.every(({ isFollowed }) => isFollowed))
      console.log("more pages follow: the last one is not among these files");
    const isOne = values.ledger === undefined || (await tellHistory(values.ledger, checkpoints, given.keys));
    return good && isOne ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, accountingCheckUsage);
  }
}

/** Whether every line has a proof that holds, and the checkpoints that the proofs lead to. */
function tellLines(
  lines: readonly ShownLine[],
  keys: readonly Verifier[],
): { readonly good: boolean; readonly checkpoints: readonly Checkpoint[] } {
  const good = new Map<string, AccountingLine>(); // by place
  const checkpoints: Checkpoint[] = [];
  for (const line of lines) {
    if (line.proof === undefined) continue;
    const proof = readLineProof(Buffer.from(line.proof, "base64").toString("utf8"));
    const checked = proof.ok ? checkShown(proof.value, line, keys) : proof;
    const place = proof.ok ? `${proof.value.log}/${proof.value.index}/${proof.value.line}` : "a line";
    const isSecond = good.has(place);
    const said = checked.ok
      ? `good: ${sentence(checked.value.says)}`
      : `WRONG: ${checked.error.replaceAll("_", " ")}`;
    console.log(printable(`${place}: ${isSecond ? "WRONG: shown before" : said}`));
    if (!checked.ok || isSecond) continue;
    good.set(place, checked.value.says);
    checkpoints.push(checked.value.checkpoint);
  }
  const unproven = lines.filter(({ proof }) => proof === undefined).length;
  if (unproven > 0) console.log(`${unproven} without a proof: ask for the accounting again`);
  const [first, ...further] = good.values();
  const others = first === undefined ? 0 : further.filter((line) => !sameSubject(line, first)).length;
  if (others > 0)
    console.log(
      `${others} are kept under another record of the patient than the first line is, or are another patient's`,
    );
  console.log(`${good.size} of ${lines.length} lines are proven; no proof shows that none is missing`);
  return { good: good.size === lines.length, checkpoints };
}

/** Whether each log, whole where it is, has these checkpoints in its past. */
async function tellHistory(
  ledger: string,
  checkpoints: readonly Checkpoint[],
  keys: readonly Verifier[],
): Promise<boolean> {
  let isOne = true;
  for (const [origin, since] of Map.groupBy(checkpoints, (checkpoint) => checkpoint.origin)) {
    const verifier = keyOfLog(keys, origin.slice(origin.lastIndexOf("/") + 1));
    if (verifier === undefined) continue; // then no line of it was good
    const reader = readerAt(ledger, logOf(verifier));
    const result = await onceMoreIfLate(() => verifyLog(reader, verifier, { since }));
    if (result.ok)
      console.log(
        `${logOf(verifier)}: the ledger, whole at ${result.value.size} leaves, has the proofs' checkpoints in its past`,
      );
    else console.log(printable(`${logOf(verifier)}: WRONG: ${wordsOf(result.error)}`));
    isOne &&= result.ok;
  }
  return isOne;
}

/** What a line says by its proof, and what stands beside it must say alike. */
function checkShown(
  proof: LineProof,
  { shown, disclosed }: ShownLine,
  keys: readonly Verifier[],
): Result<
  { readonly says: AccountingLine; readonly checkpoint: Checkpoint },
  LineProblem | "shows_something_else_than_it_proves" | "there_is_no_key_of_its_log_here"
> {
  const verifier = keyOfLog(keys, proof.log);
  if (verifier === undefined) return err("there_is_no_key_of_its_log_here");
  const checked = checkLine(proof, verifier);
  if (!checked.ok) return checked;
  const { says } = checked.value;
  const facts = [new Date(says.at).toISOString(), says.recipient, ...says.purposes];
  const alike = disclosed === countsText(says) && facts.every((fact) => isIn(shown, fact));
  return alike ? checked : err("shows_something_else_than_it_proves");
}

/** As words of their own: `TREAT` is not in `ETREAT`. */
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
    throw new Misuse(`${file} cannot be read`);
  }
}
