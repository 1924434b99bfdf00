import { BODY_BYTES_MAX, LEAF_HEADER_BYTES } from "./leaf.ts";

export const TAG_BYTES = 16; // AES-GCM

/**
 * Lengths that a padded plaintext can have: 256-byte steps to 1 KiB, powers of two to 32 KiB, then the most
 * that fits a leaf.
 */
export const sizeClasses: readonly number[] = [
  256,
  512,
  768,
  1024,
  2048,
  4096,
  8192,
  16_384,
  32_768,
  BODY_BYTES_MAX - TAG_BYTES,
];

const MARK = 0x80;
/** The longest plaintext that fits: one byte always goes to the mark. */
export const PLAINTEXT_BYTES_MAX = BODY_BYTES_MAX - TAG_BYTES - 1;

/** The size class of a plaintext of this length. Throws when longer than PLAINTEXT_BYTES_MAX. */
export function paddedLength(length: number): number {
  const size = sizeClasses.find((size) => size > length);
  if (size === undefined) throw new RangeError("longer than the largest size class");
  return size;
}

/**
 * ISO/IEC 7816-4 padding (0x80, then zeros) to the next size class. Throws when longer than
 * PLAINTEXT_BYTES_MAX. `padded`: zeros of that length.
 */
export function pad(
  plaintext: Uint8Array,
  padded: Uint8Array = new Uint8Array(paddedLength(plaintext.length)),
): Uint8Array {
  padded.set(plaintext);
  padded[plaintext.length] = MARK;
  return padded;
}

/** The plaintext without padding, or undefined when the bytes are not one size class with its mark. */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  const end = padded.findLastIndex((byte) => byte !== 0);
  if (padded[end] !== MARK || !sizeClasses.includes(padded.length)) return undefined;
  const plaintext = padded.subarray(0, end);
  return paddedLength(plaintext.length) === padded.length ? plaintext : undefined;
}

/** The bytes of the kind 0 leaf around a plaintext of this length. */
export const leafLength = (plaintext: number): number =>
  LEAF_HEADER_BYTES + paddedLength(plaintext) + TAG_BYTES;
