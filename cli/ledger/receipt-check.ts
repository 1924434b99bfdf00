import { setTimeout as wait } from "node:timers/promises";
import { Misuse } from "../misuse.ts";
import { existsSync, readFileSync } from "node:fs";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { sameBytes } from "#ledger/bytes/bytes";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import type { Receipt } from "#ledger/receipt";
import { parseReceipt } from "#ledger/read-receipt";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { onceMoreIfLate } from "#auditing/late-checkpoint";
import { givenKeys } from "../log/ledger-keys.ts";
import { sentence } from "#auditing/sentence";
import { keyOfLog } from "#auditing/ledger-root";
import { readerAt } from "../log/reader-at.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/** The result of a check: sentences that state the facts shown, or the error. */
interface Verdict {
  readonly receipt?: { readonly log: string; readonly index: number };
  readonly shown: readonly string[];
  readonly wrong?: string;
}

/**
 * Checks a receipt offline, by the proof in it (or next to it) with the log's public key alone, and against a
 * whole ledger when it is given. Returns 0 when the ledger provably has the receipt's leaf and frame, 1 when
 * not; it prints the error.
 */
export async function receiptCheck(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const single = { type: "string" } as const;
  const options = {
    "log-key": many,
    keys: many,
    proof: single,
    checkpoint: single,
    ledger: single,
  } as const;
  const { values, positionals } = readCall(args, options);
  const [given, ...more] = positionals;
  if (given === undefined || more.length > 0) throw new Misuse("name one receipt, or a file that has it");
  const keys = givenKeys(values["log-key"], values.keys);
  if (keys === undefined) throw new Misuse("no public key to check with: give one with --log-key or --keys");
  const verdict = await check(receiptText(given), keys.keys, values);
  giveResult({ good: verdict.wrong === undefined, ...verdict });
  print(verdict);
  return verdict.wrong === undefined ? 0 : 1;
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
  if (!parsed.ok)
    return {
      shown: [],
      wrong: "not a receipt: give the value of the Phylax-Receipt header, or a file that has that header",
    };
  const receipt = parsed.value;
  const about = { receipt: { log: receipt.log, index: receipt.index } };
  const verifier = keyOfLog(keys, receipt.log);
  if (verifier === undefined)
    throw new Misuse(`no key for log ${receipt.log}: give it with --log-key or --keys`);
  const note = proof === undefined ? receipt.proof : readBytes(proof);
  // A key that ended counts only if the ledger has the checkpoint in its past.
  const rootIndex = ledger === undefined ? Infinity : 0;
  const proven = note === undefined ? undefined : checkProof(receipt, note, verifier, rootIndex);
  if (proven !== undefined && "wrong" in proven) return { ...about, shown: [], wrong: proven.wrong };
  const shown = proven === undefined ? [] : [shownBy(proven)];
  const named =
    checkpoint === undefined ? undefined : openCheckpoint(readBytes(checkpoint), verifier, rootIndex);
  if (named !== undefined && !named.ok)
    return { ...about, shown, wrong: `the checkpoint: ${named.error.replaceAll("_", " ")}` };
  const given = named?.value;
  const conflict = given === undefined ? undefined : compare(receipt, proven, given);
  if (conflict !== undefined) return { ...about, shown, wrong: conflict };
  if (ledger !== undefined) {
    const since = [proven, given].filter((signed) => signed !== undefined);
    const reader = readerAt(ledger, receipt.log);
    const result = await onceMoreIfLate(
      () => verifyLog(reader, verifier, { receipts: [receipt], since }),
      wait,
    );
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
      wrong: "it has no proof: give a proof (--proof) or the ledger (--ledger)",
    };
  if (given !== undefined && given.size !== proven.size) {
    return {
      ...about,
      shown,
      wrong:
        `its proof (${proven.size} leaves) and the checkpoint (${given.size} leaves) differ in size: ` +
        "give the ledger too (--ledger)",
    };
  }
  return {
    ...about,
    shown: given === undefined ? shown : [...shown, "the checkpoint equals the proof's"],
  };
}

function checkProof(
  receipt: Receipt,
  note: Uint8Array,
  verifier: Verifier,
  rootIndex: number,
): Checkpoint | { readonly wrong: string } {
  const opened = openInclusionNote(note, receipt.leafHash, verifier, rootIndex);
  if (!opened.ok) return { wrong: `the proof: ${opened.error.replaceAll("_", " ")}` };
  const { index, checkpoint } = opened.value;
  if (index !== receipt.index)
    return { wrong: `the proof is of leaf ${index}, the receipt of leaf ${receipt.index}` };
  const isLast = checkpoint.size === index + 1; // its frame is then the checkpoint's frame
  if (isLast && checkpoint.frame !== undefined && !sameBytes(checkpoint.frame.hash, receipt.frameHash))
    return { wrong: "its frame is not the leaf's" };
  return checkpoint;
}

const shownBy = ({ size, root }: Checkpoint): string =>
  `leaf is in the log, under a signed checkpoint of ${size} leaves, root ${toBase64(root)}; ` +
  "a proof does not show the frame";

/** Finds contradictions: two histories that one key signed are the worst finding. */
function compare(receipt: Receipt, proven: Checkpoint | undefined, given: Checkpoint): string | undefined {
  if (given.size <= receipt.index)
    return `the checkpoint (${given.size} leaves) does not include leaf ${receipt.index}: give a later checkpoint`;
  if (proven === undefined || proven.size !== given.size) return undefined;
  const same =
    sameBytes(proven.root, given.root) &&
    sameBytes(proven.frame?.hash ?? new Uint8Array(), given.frame?.hash ?? new Uint8Array());
  return same
    ? undefined
    : `FORK: the key signed two checkpoints of ${given.size} leaves, the proof's and the given checkpoint`;
}

/**
 * The receipt itself, or the line of a file that has it: a header as `curl -i` prints it, or in any file with
 * the same line.
 */
function receiptText(given: string): string {
  const text = existsSync(given) ? readFileSync(given, "utf8") : given;
  const line = text.split(/\r?\n/u).find((each) => /^\s*phylax-receipt:/iu.test(each));
  return (line ?? text).replace(/^\s*phylax-receipt:/iu, "").trim();
}

function readBytes(file: string): Uint8Array {
  try {
    return utf8(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(`${file} cannot be read: check its name and permissions`);
  }
}

function print({ receipt, shown, wrong }: Verdict): void {
  const name = receipt === undefined ? "receipt" : `${receipt.log}/${receipt.index}`;
  for (const fact of shown) say(`${name}: ${fact}`);
  if (wrong === undefined) say(`${name}: good`);
  else complain(`${name}: WRONG: ${wrong}`);
}
