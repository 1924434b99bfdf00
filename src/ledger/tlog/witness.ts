import { sameBytes } from "#ledger/bytes/bytes";
import { emptyRoot, verifyConsistency } from "./merkle.ts";
import { openNote, readNote, signatureLine, type Verifier } from "./signed-note.ts";
import { readTreeHead, type TreeHead } from "./tree-head.ts";
import type { AddCheckpoint } from "./witness-request.ts";

/** The largest checkpoint of a log that a witness or a root log has taken. */
export type Remembered = Pick<TreeHead, "size" | "root">;

export const nothingYet: Remembered = { size: 0, root: emptyRoot };

export type CheckpointRefusal =
  | "old_size_beyond_the_checkpoint"
  | "old_size_is_not_the_last"
  | "root_not_of_the_empty_tree"
  | "another_root_at_this_size"
  | "proof_wrong";

/**
 * The reason why a checkpoint may not follow the last checkpoint; undefined when it may. It must not be
 * smaller, nor another tree of the same size, and it needs a proof (RFC 6962 §2.1.2) that the old tree is
 * the beginning of the new tree. The order of the checks is that of C2SP tlog-witness.
 */
export function checkpointRefusal(
  last: Remembered,
  oldSize: number,
  proof: readonly Uint8Array[],
  next: Remembered,
): CheckpointRefusal | undefined {
  if (oldSize > next.size) return "old_size_beyond_the_checkpoint";
  if (oldSize !== last.size) return "old_size_is_not_the_last";
  if (next.size === 0 && !sameBytes(next.root, emptyRoot)) return "root_not_of_the_empty_tree";
  if (oldSize === next.size) {
    if (!sameBytes(last.root, next.root)) return "another_root_at_this_size";
    return proof.length === 0 ? undefined : "proof_wrong";
  }
  // any tree extends the empty tree
  if (oldSize === 0) return proof.length === 0 ? undefined : "proof_wrong";
  return verifyConsistency(oldSize, next.size, proof, last.root, next.root) ? undefined : "proof_wrong";
}

/**
 * A witness's answer to a request: cosign this text and remember this head, or a refusal of C2SP
 * tlog-witness. `note` is the text with only the log's own signatures, which were verified.
 */
export type Judgement =
  | { readonly verdict: "cosign"; readonly text: string; readonly head: TreeHead; readonly note: string }
  | { readonly verdict: "malformed" | "unknown_log" | "not_signed" | CheckpointRefusal };

/** The log that a checkpoint names as its own; nothing is proven yet. */
export function claimedOrigin(checkpoint: Uint8Array): string | undefined {
  const read = readNote(checkpoint);
  return read.ok ? readTreeHead(read.value.text)?.origin : undefined;
}

/** `known`: the keys of the logs that this witness serves, each under its origin line. */
export function judge(
  { oldSize, proof, checkpoint }: AddCheckpoint,
  last: Remembered,
  known: readonly Verifier[],
): Judgement {
  const origin = claimedOrigin(checkpoint);
  const read = readNote(checkpoint);
  if (origin === undefined || !read.ok) return { verdict: "malformed" };
  const keys = known.filter(({ name }) => name === origin);
  if (keys.length === 0) return { verdict: "unknown_log" };
  const text = openNote(checkpoint, keys);
  if (!text.ok) return { verdict: "not_signed" };
  const head = readTreeHead(text.value);
  if (head === undefined) return { verdict: "malformed" };
  const why = checkpointRefusal(last, oldSize, proof, head);
  if (why !== undefined) return { verdict: why };
  const lines = read.value.signatures.flatMap(({ name, id, bytes }) => {
    // each signature by a known key was checked above
    const key = keys.find((known) => known.name === name && known.id === id);
    return key === undefined ? [] : [signatureLine(key, bytes)];
  });
  return { verdict: "cosign", text: text.value, head, note: `${text.value}\n${lines.join("")}` };
}
