/** A view of these bytes without Node's Buffer type, which changes on its way through an RPC call. */
export const plain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * True when two public byte strings are equal. The comparison is not constant-time: never use it for
 * secrets.
 */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // the library compares words; a call of it costs as much as a few dozen bytes here
  if (a.length > 64) return Buffer.compare(a, b) === 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Four bytes, big-endian. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Joins byte strings. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The bytes of lower-case hex digits. Throws for a text that is not. */
export function fromHex(hex: string): Uint8Array {
  if (hex.length % 2 === 1) throw notHex();
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = digitOf(hex.charCodeAt(i * 2)) * 16 + digitOf(hex.charCodeAt(i * 2 + 1));
  return bytes;
}

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  throw notHex();
}

const notHex = (): Error => new RangeError("not lower-case hex digits");

/** The text of strict UTF-8 (a byte order mark stays a character), or undefined. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // the decoder throws for malformed UTF-8 only
  }
}
