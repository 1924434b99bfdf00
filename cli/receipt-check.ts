import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { toBase64 } from "#ledger/bytes/base64";
import { sameBytes, utf8 } from "#ledger/bytes/bytes";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { parseReceipt, type Receipt } from "#ledger/receipt";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { onceMoreIfLate } from "./late-checkpoint.ts";
import { givenKeys, Misuse, tellFault } from "./ledger-keys.ts";
import { sentence } from "./ledger-report.ts";
import { keyOfLog } from "./ledger-root.ts";
import { readerAt } from "./reader-at.ts";

export const receiptCheckUsage =
  "phylax receipt check RECEIPT|FILE [--proof FILE] [--checkpoint FILE] [--ledger URL|DIR] [--log-key VKEY]… [--keys DEV.JSON]… [--json]";

/** What a check came to: what is shown, in sentences, or what is wrong. */
interface Verdict {
  readonly receipt?: { readonly log: string; readonly index: number };
  readonly shown: readonly string[];
  readonly wrong?: string;
}

/**
 * Checks a receipt: by the proof in it (or beside it) offline, with the log's public key alone; and against a whole ledger when one is
 * given. Answers 0 when it is shown that the ledger has what the receipt says, 1 when it is not, and names what is wrong.
 */
export async function receiptCheck(args: readonly string[]): Promise<number> {
  try {
    const many = { type: "string", multiple: true, default: [] as string[] } as const;
    const one = { type: "string" } as const;
    const options = {
      "log-key": many,
      keys: many,
      proof: one,
      checkpoint: one,
      ledger: one,
      json: { type: "boolean", default: false },
    } as const;
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    const [given, ...more] = positionals;
    if (given === undefined || more.length > 0)
      throw new Misuse("one receipt is needed, or a file that has it");
    const keys = givenKeys(values["log-key"], values.keys);
    if (keys === undefined)
      throw new Misuse("without a public key (--log-key or --keys) nothing can be checked");
    const verdict = await check(receiptText(given), keys.keys, values);
    if (values.json) console.log(JSON.stringify({ good: verdict.wrong === undefined, ...verdict }));
    else tell(verdict);
    return verdict.wrong === undefined ? 0 : 1;
  } catch (fault) {
    return tellFault(fault, receiptCheckUsage);
  }
}

interface Evidence {
  readonly proof?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly ledger?: string | undefined;
}

async function check(
  text: string,
  keys: readonly Verifier[],
  { proof, checkpoint, ledger }: Evidence,
): Promise<Verdict> {
  const parsed = parseReceipt(text);
  if (!parsed.ok) return { shown: [], wrong: "this is no receipt" };
  const receipt = parsed.value;
  const about = { receipt: { log: receipt.log, index: receipt.index } };
  const verifier = keyOfLog(keys, receipt.log);
  if (verifier === undefined) throw new Misuse(`there is no key here for log ${receipt.log}`);
  const note = proof === undefined ? receipt.proof : readBytes(proof);
  const proven = note === undefined ? undefined : checkProof(receipt, note, verifier);
  if (proven !== undefined && "wrong" in proven) return { ...about, shown: [], wrong: proven.wrong };
  const shown = proven === undefined ? [] : [shownBy(proven)];
  const named = checkpoint === undefined ? undefined : openCheckpoint(readBytes(checkpoint), verifier);
  if (named !== undefined && !named.ok)
    return { ...about, shown, wrong: `the checkpoint: ${named.error.replaceAll("_", " ")}` };
  const other = named?.value;
  const conflict = other === undefined ? undefined : compare(receipt, proven, other);
  if (conflict !== undefined) return { ...about, shown, wrong: conflict };
  if (ledger !== undefined) {
    const since = [proven, other].filter((one) => one !== undefined);
    const reader = readerAt(ledger, receipt.log);
    const result = await onceMoreIfLate(() => verifyLog(reader, verifier, { receipts: [receipt], since }));
    if (!result.ok) return { ...about, shown, wrong: sentence(result.error) };
    const { size, root } = result.value;
    return {
      ...about,
      shown: [...shown, `leaf and frame are in the ledger, whole at ${size} leaves, root ${toBase64(root)}`],
    };
  }
  if (proven === undefined)
    return {
      ...about,
      shown,
      wrong: "there is no proof in it: give one (--proof), or the ledger (--ledger)",
    };
  if (other !== undefined && other.size !== proven.size) {
    return {
      ...about,
      shown,
      wrong: `its proof is of another size (${proven.size}) than the checkpoint (${other.size}): give the ledger too (--ledger)`,
    };
  }
  return {
    ...about,
    shown: other === undefined ? shown : [...shown, "the checkpoint is the one of the proof"],
  };
}

function checkProof(
  receipt: Receipt,
  note: Uint8Array,
  verifier: Verifier,
): Checkpoint | { readonly wrong: string } {
  const opened = openInclusionNote(note, receipt.leafHash, verifier);
  if (!opened.ok) return { wrong: `the proof: ${opened.error.replaceAll("_", " ")}` };
  const { index, checkpoint } = opened.value;
  if (index !== receipt.index)
    return { wrong: `the proof is of leaf ${index}, the receipt of leaf ${receipt.index}` };
  const isLast = checkpoint.size === index + 1; // then its frame is the checkpoint's
  if (isLast && checkpoint.frame !== undefined && !sameBytes(checkpoint.frame.hash, receipt.frameHash))
    return { wrong: "its frame is not the leaf's" };
  return checkpoint;
}

const shownBy = ({ size, root }: Checkpoint): string =>
  `leaf is in the log, under a signed checkpoint of ${size} leaves, root ${toBase64(root)}; a proof does not show the frame`;

/** What cannot both be true: two histories that one key signed are the worst that can be found. */
function compare(receipt: Receipt, proven: Checkpoint | undefined, other: Checkpoint): string | undefined {
  if (other.size <= receipt.index)
    return `the checkpoint (${other.size} leaves) does not reach leaf ${receipt.index}`;
  if (proven === undefined || proven.size !== other.size) return undefined;
  const same =
    sameBytes(proven.root, other.root) &&
    sameBytes(proven.frame?.hash ?? new Uint8Array(), other.frame?.hash ?? new Uint8Array());
  return same
    ? undefined
    : `FORK: the key signed two checkpoints of ${other.size} leaves, the proof's and the one given`;
}

/** The receipt itself, or the line of a file that has it: a header as `curl -i` prints it, or what else has one. */
function receiptText(given: string): string {
  const text = existsSync(given) ? readFileSync(given, "utf8") : given;
  const line = text.split(/\r?\n/u).find((one) => /^\s*phylax-receipt:/iu.test(one));
  return (line ?? text).replace(/^\s*phylax-receipt:/iu, "").trim();
}

function readBytes(file: string): Uint8Array {
  try {
    return utf8(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(`${file} cannot be read`);
  }
}

function tell({ receipt, shown, wrong }: Verdict): void {
  const name = receipt === undefined ? "receipt" : `${receipt.log}/${receipt.index}`;
  for (const one of shown) console.log(`${name}: ${one}`);
  if (wrong === undefined) console.log(`${name}: good`);
  else console.error(`${name}: WRONG: ${wrong}`);
}
