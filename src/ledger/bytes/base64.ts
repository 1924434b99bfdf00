import { toBase64url } from "#kernel/encoded";
import { plain } from "./bytes.ts";
import { CODED_BYTES_MAX, shortFromBase64, shortToBase64 } from "./short-base64.ts";

const SIGNS_MAX = (CODED_BYTES_MAX / 3) * 4;

/** RFC 4648 §4, with padding: C2SP formats and our receipts use it. */
export const toBase64 = (bytes: Uint8Array): string =>
  bytes.length <= CODED_BYTES_MAX
    ? shortToBase64(bytes)
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/** The bytes of canonical base64, or undefined: a flipped padding bit must not decode to the same bytes. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length <= SIGNS_MAX) return shortFromBase64(text);
  const bytes = plain(Buffer.from(text, "base64"));
  return toBase64(bytes) === text ? bytes : undefined;
}

/** The bytes of canonical base64url, or undefined. */
export function fromBase64url(text: string): Uint8Array | undefined {
  const bytes = plain(Buffer.from(text, "base64url"));
  return toBase64url(bytes) === text ? bytes : undefined;
}
