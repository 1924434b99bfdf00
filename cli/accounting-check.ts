import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { AccountingLine } from "#audit/accounting";
import { checkLine, type LineProblem, type LineProof, readProof, sameSubject } from "#audit/accounting-proof";
import { err, ok, type Result } from "#kernel/result";
import type { Verifier } from "#ledger/signed-note";
import { countsText } from "#gateway/accounting-told";
import { linesShown, type ShownLine } from "./accounting-lines.ts";
import { givenKeys, Misuse, tellFault } from "./ledger-keys.ts";
import { keyOfLog } from "./ledger-root.ts";
import { printable } from "./printable.ts";

export const accountingCheckUsage = "phylax accounting check FILE [--key VKEY]… [--keys DEV.JSON]…";

/**
 * Checks each line of an accounting that was saved (FHIR, CSV or page) against the ledger's public keys, offline. Says what each line says
 * by its proof, and what is wrong; that none is missing, no proof shows. Answers 0 when every line has a proof that holds.
 */
export async function accountingCheck(args: readonly string[]): Promise<number> {
  try {
    const many = { type: "string", multiple: true, default: [] as string[] } as const;
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: { key: many, keys: many } });
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new Misuse("one file with an accounting is needed");
    const given = givenKeys(values.key, values.keys);
    if (given === undefined) throw new Misuse("without a public key (--key or --keys) nothing can be checked");
    return tellLines(linesShown(bytesOf(file)), given.keys) ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, accountingCheckUsage);
  }
}

/** Whether every line has a proof that holds. */
function tellLines(lines: readonly ShownLine[], keys: readonly Verifier[]): boolean {
  const good: AccountingLine[] = [];
  for (const line of lines) {
    if (line.proof === undefined) continue;
    const proof = readProof(Buffer.from(line.proof, "base64").toString("utf8"));
    const checked = proof.ok ? checkShown(proof.value, line, keys) : proof;
    const place = proof.ok ? `${proof.value.log}/${proof.value.index}/${proof.value.line}` : "a line";
    const said = checked.ok ? `good: ${sentence(checked.value)}` : `WRONG: ${checked.error.replaceAll("_", " ")}`;
    console.log(printable(`${place}: ${said}`));
    if (checked.ok) good.push(checked.value);
  }
  const unproven = lines.filter(({ proof }) => proof === undefined).length;
  if (unproven > 0) console.log(`${unproven} without a proof: ask for the accounting again`);
  const [first] = good;
  const others = first === undefined ? 0 : good.filter((line) => !sameSubject(line, first)).length;
  if (others > 0) console.log(`${others} are kept under another record of the patient than the first line is, or are another patient's`);
  console.log(`${good.length} of ${lines.length} lines are proven; no proof shows that none is missing`);
  return good.length === lines.length;
}

/** What a line says by its proof, and what stands beside it must say alike. */
function checkShown(
  proof: LineProof,
  { shown, disclosed }: ShownLine,
  keys: readonly Verifier[],
): Result<AccountingLine, LineProblem | "shows_something_else_than_it_proves" | "there_is_no_key_of_its_log_here"> {
  const verifier = keyOfLog(keys, proof.log);
  if (verifier === undefined) return err("there_is_no_key_of_its_log_here");
  const checked = checkLine(proof, verifier);
  if (!checked.ok) return checked;
  const { says } = checked.value;
  const facts = [new Date(says.at).toISOString(), says.recipient, ...says.purposes];
  const alike = disclosed === countsText(says) && facts.every((fact) => isIn(shown, fact));
  return alike ? ok(says) : err("shows_something_else_than_it_proves");
}

/** As words of their own: `TREAT` is not in `ETREAT`. */
function isIn(shown: string, fact: string): boolean {
  for (let at = shown.indexOf(fact); at >= 0; at = shown.indexOf(fact, at + 1)) {
    if (!/[\w.-]$/u.test(shown.slice(0, at)) && !/^[\w.-]/u.test(shown.slice(at + fact.length))) return true;
  }
  return false;
}

const sentence = (line: AccountingLine): string =>
  [new Date(line.at).toISOString(), `to ${line.recipient}`, `for ${line.purposes.join(" ")}`, countsText(line)].join(", ");

function bytesOf(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    throw new Misuse(`${file} cannot be read`);
  }
}
