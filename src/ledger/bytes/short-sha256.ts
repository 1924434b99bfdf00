/**
 * SHA-256 (FIPS 180-4) of short byte strings, for Workers: the hashes of their `node:crypto` cost several times
 * as much (docs/adr/0041). No look-up and no branch depends on the data.
 */

const BLOCK_BYTES = 64;
const MARK = 0x80;
// The mark and the length in bits.
const END_BYTES = 9;
const SCRATCH_BYTES = 16 * BLOCK_BYTES;
/** The longest message. */
export const SHORT_BYTES_MAX = SCRATCH_BYTES - END_BYTES;

const firstPrimes = (count: number): readonly number[] => {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return primes;
};
/** The first 32 bits of the fraction of a number: FIPS 180-4 takes its constants from roots of primes. */
const fraction = (root: number): number => (root - Math.floor(root)) * 2 ** 32;
const roundConstants = Int32Array.from(firstPrimes(64), (prime) => fraction(Math.cbrt(prime)) | 0);
const firstState = Int32Array.from(firstPrimes(8), (prime) => fraction(Math.sqrt(prime)) | 0);

// One message at a time: nothing here waits.
const scratch = new Uint8Array(SCRATCH_BYTES);
const state = new Int32Array(8);
const schedule = new Int32Array(64);

/** SHA-256 over the joined parts, of at most `SHORT_BYTES_MAX` bytes. Throws a RangeError for a longer message. */
export function shortSha256(parts: readonly Uint8Array[]): Uint8Array {
  let at = 0;
  for (const part of parts) at = put(part, at);
  return digestOf(at);
}

/**
 * HMAC-SHA-256 (RFC 2104) of a message of at most `SHORT_BYTES_MAX` − 64 bytes. Throws a RangeError for a
 * longer message, and for a key of over 64 bytes.
 */
export function shortHmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  if (key.length > BLOCK_BYTES) throw new RangeError("a key of several blocks");
  putKey(key, 0x36);
  const inner = digestOf(put(message, BLOCK_BYTES));
  putKey(key, 0x5c);
  return digestOf(put(inner, BLOCK_BYTES));
}

function putKey(key: Uint8Array, pad: number): void {
  for (let i = 0; i < BLOCK_BYTES; i++) scratch[i] = (key[i] ?? 0) ^ pad;
}

/** Returns the end. */
function put(part: Uint8Array, at: number): number {
  const { length } = part;
  if (at + length > SHORT_BYTES_MAX) throw new RangeError("longer than a short message");
  if (length > BLOCK_BYTES) scratch.set(part, at);
  // A loop costs less than a call of the library for so few bytes.
  else for (let i = 0; i < length; i++) scratch[at + i] = part[i] ?? 0;
  return at + length;
}

/** The digest of the first bytes of the scratch buffer. */
function digestOf(length: number): Uint8Array {
  const end = (length + END_BYTES + BLOCK_BYTES - 1) & -BLOCK_BYTES;
  const bits = length * 8;
  scratch[length] = MARK;
  for (let i = length + 1; i < end - 2; i++) scratch[i] = 0;
  scratch[end - 2] = bits >>> 8;
  scratch[end - 1] = bits;
  state.set(firstState);
  for (let at = 0; at < end; at += BLOCK_BYTES) compress(at);
  return stateBytes();
}

function stateBytes(): Uint8Array {
  const digest = new Uint8Array(32);
  for (let i = 0; i < digest.length; i++) digest[i] = (state[i >>> 2] ?? 0) >>> (24 - 8 * (i & 3));
  return digest;
}

/**
 * SHA-256 over the joined parts, of any length: for a browser, whose library has no synchronous hash.
 */
export function blockwiseSha256(parts: readonly Uint8Array[]): Uint8Array {
  state.set(firstState);
  let length = 0;
  let filled = 0; // bytes of the block that is not whole
  for (const part of parts) {
    length += part.length;
    for (let at = 0; at < part.length;) {
      const taken = Math.min(BLOCK_BYTES - filled, part.length - at);
      scratch.set(part.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
      if (filled < BLOCK_BYTES) continue;
      compress(0);
      filled = 0;
    }
  }
  const end = filled + END_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
  scratch.fill(0, filled, end);
  scratch[filled] = MARK;
  const view = new DataView(scratch.buffer);
  view.setUint32(end - 8, Math.floor(length / 2 ** 29)); // the length in bits, 64 bits long
  view.setUint32(end - 4, length << 3);
  for (let at = 0; at < end; at += BLOCK_BYTES) compress(at);
  return stateBytes();
}

/** HMAC-SHA-256 (RFC 2104) over the joined parts, of any length. */
export function blockwiseHmac(key: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? blockwiseSha256([key]) : key);
  const inner = blockwiseSha256([block.map((byte) => byte ^ 0x36), ...parts]);
  return blockwiseSha256([block.map((byte) => byte ^ 0x5c), inner]);
}

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits));

/**
 * FIPS 180-4 §6.2.2, for the block at this place of the scratch buffer. Local names in place of arrays of two
 * or eight values halve its time.
 */
function compress(from: number): void {
  const words = schedule;
  const constants = roundConstants;
  for (let i = 0, at = from; i < 16; i++, at += 4)
    words[i] =
      ((scratch[at] ?? 0) << 24) |
      ((scratch[at + 1] ?? 0) << 16) |
      ((scratch[at + 2] ?? 0) << 8) |
      (scratch[at + 3] ?? 0);
  for (let i = 16; i < 64; i++) {
    const early = words[i - 15] ?? 0;
    const late = words[i - 2] ?? 0;
    const s0 = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const s1 = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    words[i] = (words[i - 16] ?? 0) + s0 + (words[i - 7] ?? 0) + s1;
  }
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let f = state[5] ?? 0;
  let g = state[6] ?? 0;
  let h = state[7] ?? 0;
  for (let i = 0; i < 64; i++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const choice = g ^ (e & (f ^ g));
    const first = (h + s1 + choice + (constants[i] ?? 0) + (words[i] ?? 0)) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const majority = (a & b) | (c & (a | b));
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + s0 + majority) | 0;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
  state[4] = (state[4] ?? 0) + e;
  state[5] = (state[5] ?? 0) + f;
  state[6] = (state[6] ?? 0) + g;
  state[7] = (state[7] ?? 0) + h;
}
