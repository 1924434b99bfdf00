import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { AccountingLine } from "#audit/accounting";
import { checkLine, type LineProblem, type LineProof, readProof, sameSubject } from "#audit/accounting-proof";
import { err, ok, type Result } from "#kernel/result";
import type { Verifier } from "#ledger/signed-note";
import { givenKeys, logOf, Misuse, tellFault } from "./ledger-keys.ts";

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
    return tellLines(linesIn(readFileSync(file, "utf8")), given.keys) ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, accountingCheckUsage);
  }
}

/** Whether every line has a proof that holds. */
function tellLines(lines: readonly ShownLine[], keys: readonly Verifier[]): boolean {
  const good: AccountingLine[] = [];
  for (const { shown, proof: text } of lines) {
    if (text === undefined) continue;
    const proof = readProof(Buffer.from(text, "base64").toString("utf8"));
    const checked = proof.ok ? checkShown(proof.value, shown, keys) : proof;
    const place = proof.ok ? `${proof.value.log}/${proof.value.index}/${proof.value.line}` : "a line";
    console.log(checked.ok ? `${place}: good: ${sentence(checked.value)}` : `${place}: WRONG: ${checked.error.replaceAll("_", " ")}`);
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

/** What a line says by its proof. `shown`: what stands beside it, which must not say otherwise. */
function checkShown(
  proof: LineProof,
  shown: string,
  keys: readonly Verifier[],
): Result<AccountingLine, LineProblem | "shows_something_else_than_it_proves"> {
  const verifier = keys.find((key) => logOf(key) === proof.log);
  if (verifier === undefined) throw new Misuse(`no key for log ${proof.log}`);
  const checked = checkLine(proof, verifier);
  if (!checked.ok) return checked;
  const { says } = checked.value;
  const facts = [new Date(says.at).toISOString(), says.recipient, ...says.purposes, ...countsOf(says)];
  return facts.every((fact) => isIn(shown, fact)) ? ok(says) : err("shows_something_else_than_it_proves");
}

/** As words of their own: `Patient 1` is not in `Patient 12`. */
function isIn(shown: string, fact: string): boolean {
  for (let at = shown.indexOf(fact); at >= 0; at = shown.indexOf(fact, at + 1)) {
    if (!/[\w.-]$/u.test(shown.slice(0, at)) && !/^[\w.-]/u.test(shown.slice(at + fact.length))) return true;
  }
  return false;
}

const countsOf = ({ counts }: AccountingLine) => Object.entries(counts).map(([type, count]) => `${type} ${count}`);

const sentence = (line: AccountingLine): string => {
  const when = new Date(line.at).toISOString();
  return [when, `to ${line.recipient}`, `for ${line.purposes.join(" ")}`, countsOf(line).join(", ") || "nothing found"].join(", ");
};

/** A line as an accounting shows it, and its proof in base64. */
interface ShownLine {
  readonly shown: string;
  readonly proof: string | undefined;
}

/** The lines of an accounting, whichever of its three forms it has. */
const linesIn = (text: string): readonly ShownLine[] =>
  text.startsWith("{") ? inBundle(text) : text.startsWith("<!doctype") ? inPage(text) : inCsv(text);

interface Resource {
  readonly resourceType?: string;
  readonly entity?: readonly { readonly detail?: readonly { readonly type?: string; readonly valueBase64Binary?: string }[] }[];
}

function inBundle(text: string): readonly ShownLine[] {
  const resources = (bundleOf(text).entry ?? []).flatMap(({ resource }) => resource ?? []);
  return resources
    .filter(({ resourceType }) => resourceType === "AuditEvent")
    .map((line) => {
      const details = (line.entity ?? []).flatMap(({ detail = [] }) => detail);
      return { shown: JSON.stringify(line), proof: details.find(({ type }) => type === "proof")?.valueBase64Binary };
    });
}

function bundleOf(text: string): { readonly entry?: readonly { readonly resource?: Resource }[] } {
  try {
    return JSON.parse(text);
  } catch {
    throw new Misuse("this is no accounting"); // the parser's message would show what is in it
  }
}

const inPage = (text: string): readonly ShownLine[] =>
  [...text.matchAll(/<tr><td>.*?<\/tr>/gu)].map(([shown]) => ({ shown, proof: /<code>([A-Za-z0-9+/=]+)<\/code>/u.exec(shown)?.[1] }));

const inCsv = (text: string): readonly ShownLine[] =>
  text
    .split("\r\n")
    .filter((row) => /^\d{4}-\d\d-\d\dT/u.test(row))
    .map((shown) => ({ shown, proof: /,([A-Za-z0-9+/=]+)$/u.exec(shown)?.[1] }));
