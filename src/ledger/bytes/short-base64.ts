// Base64 of hashes, salts and signatures. Node's Buffer makes an object and several calls of the runtime for
// each text, which cost more than the coding of a hash.

/** The longest bytes that are coded here. */
export const CODED_BYTES_MAX = 96;

const signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const codes = Uint8Array.from(signs, (sign) => sign.charCodeAt(0));
const padding = 0x3d;
/** The value of each sign; 64 for all other codes. */
const values = new Uint8Array(128).fill(64);
for (const [value, code] of codes.entries()) values[code] = value;

/** RFC 4648 §4, with padding. */
export function shortToBase64(bytes: Uint8Array): string {
  const text: number[] = [];
  const codeOf = (value: number) => codes[value & 63] ?? 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text.push(
      codeOf(bits >> 18),
      codeOf(bits >> 12),
      left > 1 ? codeOf(bits >> 6) : padding,
      left > 2 ? codeOf(bits) : padding,
    );
  }
  return String.fromCharCode(...text);
}

/** The bytes of canonical base64, or undefined. */
export function shortFromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padded = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const length = text.length - padded;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let [bits, count, written] = [0, 0, 0];
  for (let at = 0; at < length; at += 1) {
    const value = values[text.charCodeAt(at)] ?? 64;
    if (value === 64) return undefined;
    bits = ((bits << 6) | value) & 0xfff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[written] = bits >> count;
    written += 1;
  }
  // A bit beyond the last byte would give one value two texts.
  return (bits & ((1 << count) - 1)) === 0 ? bytes : undefined;
}
