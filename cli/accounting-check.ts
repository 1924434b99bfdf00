import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type AccountingLine } from "#audit/accounting";
import { checkLine, type LineProof, readProof, sameSubject } from "#audit/accounting-proof";
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
    const { proofs, unproven } = proofsIn(readFileSync(file, "utf8"));
    const good: AccountingLine[] = [];
    for (const text of proofs) {
      const proof = readProof(Buffer.from(text, "base64").toString("utf8"));
      const checked = proof.ok ? checkWith(given.keys, proof.value) : proof;
      const place = proof.ok ? `${proof.value.log}/${proof.value.index}/${proof.value.line}` : "a line";
      console.log(checked.ok ? `${place}: good: ${sentence(checked.value)}` : `${place}: WRONG: ${checked.error.replaceAll("_", " ")}`);
      if (checked.ok) good.push(checked.value);
    }
    if (unproven > 0) console.log(`${unproven} without a proof: ask for the accounting again`);
    const [first] = good;
    const others = first === undefined ? 0 : good.filter((line) => !sameSubject(line, first)).length;
    if (others > 0) console.log(`${others} are kept under another record of the patient than the first line is, or are another patient's`);
    console.log(`${good.length} of ${proofs.length + unproven} lines are proven; no proof shows that none is missing`);
    return good.length === proofs.length && unproven === 0 ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, accountingCheckUsage);
  }
}

function checkWith(keys: NonNullable<ReturnType<typeof givenKeys>>["keys"], proof: LineProof) {
  const verifier = keys.find((key) => logOf(key) === proof.log);
  if (verifier === undefined) throw new Misuse(`no key for log ${proof.log}`);
  const checked = checkLine(proof, verifier);
  return checked.ok ? { ok: true as const, value: checked.value.says } : checked;
}

const sentence = ({ at, recipient, purposes, counts }: AccountingLine): string => {
  const what = Object.entries(counts).map(([type, count]) => `${type} ${count}`);
  return [new Date(at).toISOString(), `to ${recipient}`, `for ${purposes.join(" ")}`, what.join(", ") || "nothing found"].join(", ");
};

/** The proofs that an accounting carries, in base64, and how many of its lines have none, whichever of its three forms it has. */
function proofsIn(text: string): { readonly proofs: readonly string[]; readonly unproven: number } {
  const [lines, proofs] = text.startsWith("{") ? inBundle(text) : text.startsWith("<!doctype") ? inPage(text) : inCsv(text);
  return { proofs, unproven: lines - proofs.length };
}

function inBundle(text: string): readonly [number, readonly string[]] {
  const bundle = bundleOf(text);
  const lines = (bundle.entry ?? []).flatMap(({ resource }) => (resource?.resourceType === "AuditEvent" ? [resource] : []));
  const details = lines.flatMap(({ entity = [] }) => entity.flatMap(({ detail = [] }) => detail));
  return [lines.length, details.flatMap(({ type, valueBase64Binary }) => (type === "proof" ? [valueBase64Binary ?? ""] : []))];
}

function bundleOf(text: string): { readonly entry?: readonly { readonly resource?: Resource }[] } {
  try {
    return JSON.parse(text);
  } catch {
    throw new Misuse("this is no accounting"); // the parser's message would show what is in it
  }
}

interface Resource {
  readonly resourceType?: string;
  readonly entity?: readonly { readonly detail?: readonly { readonly type?: string; readonly valueBase64Binary?: string }[] }[];
}

function inPage(text: string): readonly [number, readonly string[]] {
  const lines = text.match(/<tr><td>/gu)?.length ?? 0;
  return [lines, [...text.matchAll(/<code>([A-Za-z0-9+/=]+)<\/code>/gu)].map(([, proof = ""]) => proof)];
}

function inCsv(text: string): readonly [number, readonly string[]] {
  const rows = text.split("\r\n").filter((row) => /^\d{4}-\d\d-\d\dT/u.test(row));
  return [rows.length, rows.flatMap((row) => /,([A-Za-z0-9+/=]+)$/u.exec(row)?.[1] ?? [])];
}
