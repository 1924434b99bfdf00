/** Answers whether `own` stands in a text from `from` to `to`. */
export function isSame(own: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  const { length } = own;
  if (to - from !== length) return false;
  for (let at = 0; at < length; at += 1) if (own[at] !== bytes[from + at]) return false;
  return true;
}

/** Answers whether the `length` bytes (at least 4) at two places are the same, comparing four at a time. */
export function isSameWords(
  one: DataView,
  from: number,
  other: DataView,
  at: number,
  length: number,
): boolean {
  const last = length - 4;
  let same = 0;
  while (same < last) {
    if (one.getInt32(from + same, true) !== other.getInt32(at + same, true)) return false;
    same += 4;
  }
  return one.getInt32(from + last, true) === other.getInt32(at + last, true);
}

/** Copies `length` bytes, four at a time. It writes to no byte behind them. */
export function copyWords(
  target: DataView,
  at: number,
  source: DataView,
  from: number,
  length: number,
): void {
  const last = length - 4;
  if (last < 0) {
    for (let each = 0; each < length; each += 1) target.setUint8(at + each, source.getUint8(from + each));
    return;
  }
  for (let each = 0; each < last; each += 4)
    target.setInt32(at + each, source.getInt32(from + each, true), true);
  target.setInt32(at + last, source.getInt32(from + last, true), true);
}

export const wordsOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
