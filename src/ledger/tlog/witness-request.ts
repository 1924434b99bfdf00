import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { decimal } from "./checkpoint.ts";
import { HASH_BYTES } from "./merkle.ts";

/**
 * C2SP tlog-witness `add-checkpoint`: a signed checkpoint, and the proof that it extends the checkpoint of
 * `oldSize`.
 */
export interface AddCheckpoint {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  readonly checkpoint: Uint8Array;
}

const PROOF_LINES_MAX = 63; // the specification's limit: a tree of 2^63 leaves needs no more
/** 63 lines, the old size, and a checkpoint with many cosignatures. A longer body is not a request. */
export const REQUEST_BYTES_MAX = 65_536;

export const writeAddCheckpoint = ({ oldSize, proof, checkpoint }: AddCheckpoint): Uint8Array =>
  concat([utf8(`old ${oldSize}\n${proof.map((hash) => `${toBase64(hash)}\n`).join("")}\n`), checkpoint]);

/**
 * Reads the body of a request, or undefined for any other body. The checkpoint in it is only cut out, not
 * checked.
 */
export function readAddCheckpoint(body: Uint8Array): AddCheckpoint | undefined {
  const text = body.length > REQUEST_BYTES_MAX ? undefined : fromUtf8(body);
  const split = text?.indexOf("\n\n") ?? -1;
  if (text === undefined || split < 0) return undefined;
  const [first = "", ...lines] = text.slice(0, split).split("\n");
  const oldSize = first.startsWith("old ") ? decimal(first.slice(4)) : undefined;
  const proof = lines.map(fromBase64);
  if (oldSize === undefined || proof.length > PROOF_LINES_MAX || !isProof(proof)) return undefined;
  return { oldSize, proof, checkpoint: utf8(text.slice(split + 2)) };
}

const isProof = (lines: readonly (Uint8Array | undefined)[]): lines is Uint8Array[] =>
  lines.every((line) => line?.length === HASH_BYTES);
