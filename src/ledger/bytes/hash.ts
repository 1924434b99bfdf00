import { createHash, createHmac, hash } from "node:crypto";
import { SHORT_BYTES_MAX, shortHmac, shortSha256 } from "./short-sha256.ts";

const HASH_BYTES = 32;
const BLOCK_BYTES = 64;
const isWorker = navigator.userAgent === "Cloudflare-Workers";
// The longest message that is hashed here: the library of the Workers runtime is slower up to a KiB, Node's is
// faster even for a block.
const SHORT_MAX = isWorker ? SHORT_BYTES_MAX : 0;
// Enough for nearly every leaf, and for a frame of 32 reads. A hash object costs as much as to copy 32 KiB.
const joined = new Uint8Array(32_768);

/**
 * SHA-256 over the joined parts: 32 bytes. One call of the library costs less than a hash object, and a text
 * of 32 characters less than a buffer of the library, of which a verifier makes millions.
 */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => sha256Of(parts);

/** {@link sha256} of any number of parts. */
export function sha256Of(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length <= SHORT_MAX) return shortSha256(parts);
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return bytesOf(hash("sha256", first, "binary"));
  if (length > joined.length) return longSha256(parts);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return bytesOf(hash("sha256", joined.subarray(0, length), "binary"));
}

/** HMAC-SHA-256: 32 bytes. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  return key.length <= BLOCK_BYTES && BLOCK_BYTES + message.length <= SHORT_MAX
    ? shortHmac(key, message)
    : bytesOf(createHmac("sha256", key).update(message).digest("binary"));
}

/** SHA-256 of bytes that come one after another. */
export class LongSha256 {
  readonly #hash = createHash("sha256");

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  digest(): Uint8Array {
    return bytesOf(this.#hash.digest("binary"));
  }
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
