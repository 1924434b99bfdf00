/** A short text of ASCII bytes. A TextDecoder takes longer for it, above all in workerd. */
export function asciiText(bytes: Uint8Array, from: number, to: number): string {
  let at = from;
  if (to - from === uuidLength) return uuidText(bytes, from);
  let text = "";
  for (; at + 16 <= to; at += 16)
    text += String.fromCharCode(
      bytes[at] ?? 0,
      bytes[at + 1] ?? 0,
      bytes[at + 2] ?? 0,
      bytes[at + 3] ?? 0,
      bytes[at + 4] ?? 0,
      bytes[at + 5] ?? 0,
      bytes[at + 6] ?? 0,
      bytes[at + 7] ?? 0,
      bytes[at + 8] ?? 0,
      bytes[at + 9] ?? 0,
      bytes[at + 10] ?? 0,
      bytes[at + 11] ?? 0,
      bytes[at + 12] ?? 0,
      bytes[at + 13] ?? 0,
      bytes[at + 14] ?? 0,
      bytes[at + 15] ?? 0,
    );
  for (; at + 4 <= to; at += 4)
    text += String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0);
  for (; at < to; at += 1) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}

const uuidLength = 36;

/** The usual id in one piece: a text made of parts is copied before it is compared. */
const uuidText = (bytes: Uint8Array, at: number): string =>
  String.fromCharCode(
    bytes[at] ?? 0,
    bytes[at + 1] ?? 0,
    bytes[at + 2] ?? 0,
    bytes[at + 3] ?? 0,
    bytes[at + 4] ?? 0,
    bytes[at + 5] ?? 0,
    bytes[at + 6] ?? 0,
    bytes[at + 7] ?? 0,
    bytes[at + 8] ?? 0,
    bytes[at + 9] ?? 0,
    bytes[at + 10] ?? 0,
    bytes[at + 11] ?? 0,
    bytes[at + 12] ?? 0,
    bytes[at + 13] ?? 0,
    bytes[at + 14] ?? 0,
    bytes[at + 15] ?? 0,
    bytes[at + 16] ?? 0,
    bytes[at + 17] ?? 0,
    bytes[at + 18] ?? 0,
    bytes[at + 19] ?? 0,
    bytes[at + 20] ?? 0,
    bytes[at + 21] ?? 0,
    bytes[at + 22] ?? 0,
    bytes[at + 23] ?? 0,
    bytes[at + 24] ?? 0,
    bytes[at + 25] ?? 0,
    bytes[at + 26] ?? 0,
    bytes[at + 27] ?? 0,
    bytes[at + 28] ?? 0,
    bytes[at + 29] ?? 0,
    bytes[at + 30] ?? 0,
    bytes[at + 31] ?? 0,
    bytes[at + 32] ?? 0,
    bytes[at + 33] ?? 0,
    bytes[at + 34] ?? 0,
    bytes[at + 35] ?? 0,
  );
