import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import {
  type Checkpoint,
  type CheckpointProblem,
  decimal,
  isTooLarge,
  openCheckpoint,
} from "./checkpoint.ts";
import { HASH_BYTES, verifyInclusion } from "./merkle.ts";
import type { Verifier } from "./signed-note.ts";

const firstLine = "c2sp.org/tlog-proof@v1";

/**
 * C2SP tlog-proof: an index, its audit path, and the checkpoint it leads to. The text proves itself offline.
 */
export const inclusionNote = (index: number, path: readonly Uint8Array[], checkpoint: string): string =>
  [firstLine, `index ${index}`, ...path.map(toBase64), "", checkpoint].join("\n");

/**
 * Checks a proof for a leaf hash. Returns the index and the signed checkpoint that it was proven against.
 *
 * @param rootIndex as for `openCheckpoint`: 0 if the caller checks that the log has the checkpoint in its past.
 */
export function openInclusionNote(
  proof: Uint8Array,
  leaf: Uint8Array,
  verifier: Verifier,
  rootIndex?: number,
): Result<
  { readonly index: number; readonly checkpoint: Checkpoint },
  CheckpointProblem | "proof_malformed" | "proof_wrong"
> {
  const text = fromUtf8(proof) ?? "";
  const split = text.indexOf("\n\n");
  const [first, ...lines] = text.slice(0, Math.max(split, 0)).split("\n");
  if (lines[0]?.startsWith("extra ")) lines.shift(); // opaque and not authenticated: it is ignored
  const [indexLine = "", ...pathLines] = lines;
  const indexText = indexLine.startsWith("index ") ? indexLine.slice(6) : "";
  const index = decimal(indexText);
  const path = pathLines.map(fromBase64);
  if (first === firstLine && isTooLarge(indexText)) return err("number_too_large");
  if (first !== firstLine || index === undefined || !isPath(path)) return err("proof_malformed");
  const checkpoint = openCheckpoint(utf8(text.slice(split + 2)), verifier, rootIndex);
  if (!checkpoint.ok) return checkpoint;
  const { size, root } = checkpoint.value;
  return verifyInclusion(index, size, leaf, path, root)
    ? ok({ index, checkpoint: checkpoint.value })
    : err("proof_wrong");
}

const isPath = (path: readonly (Uint8Array | undefined)[]): path is Uint8Array[] =>
  path.every((hash) => hash?.length === HASH_BYTES);
