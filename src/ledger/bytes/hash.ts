import { createHash, hash } from "node:crypto";

const HASH_BYTES = 32;
// Enough for the prefix and the entry of nearly every leaf, and for the two children of a node.
const joined = new Uint8Array(4_096);

/**
 * SHA-256 over the joined parts: 32 bytes. One call of the library costs less than a hash object, and a text
 * of 32 characters less than a buffer of the library, of which a verifier makes millions.
 */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return bytesOf(hash("sha256", first, "binary"));
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > joined.length) return longSha256(parts);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return bytesOf(hash("sha256", joined.subarray(0, length), "binary"));
}

function longSha256(parts: readonly Uint8Array[]): Uint8Array {
  const long = createHash("sha256");
  for (const part of parts) long.update(part);
  return bytesOf(long.digest("binary"));
}

/** The bytes of a digest in Latin-1. */
function bytesOf(digest: string): Uint8Array {
  const bytes = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i++) bytes[i] = digest.charCodeAt(i);
  return bytes;
}
