import { hmacSha256, sha256 } from "#ledger/bytes/hash";
import { LEAF_PREFIX, rootOf } from "#ledger/tlog/merkle";

/**
 * The salt of line i of a leaf: HMAC-SHA-256(seed, i as u32). The seed, 32 random bytes per leaf, is in the
 * sealed plaintext.
 */
export function lineSalt(seed: Uint8Array, line: number): Uint8Array {
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, line);
  return hmacSha256(seed, number);
}

/** The log's commitment to one accounting line: the RFC 6962 leaf hash of salt ‖ content. */
export const lineCommitment = (salt: Uint8Array, content: Uint8Array): Uint8Array =>
  sha256(LEAF_PREFIX, salt, content);

/**
 * `lines_root` of a leaf with at least one line: the RFC 6962 root over the commitments of its lines, in
 * their order.
 */
export const linesRoot = (seed: Uint8Array, contents: readonly Uint8Array[]): Uint8Array =>
  rootOf(contents.map((content, line) => lineCommitment(lineSalt(seed, line), content)));
