// y of the points of order 1, 2, 4 and 8, in each spelling that verifiers accept: little-endian, without the sign of
// x in the last bit (RFC 8032 §5.1.2).
const spellings: ReadonlySet<string> = new Set([
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/**
 * True if an Ed25519 key (`x` of its JWK, 32 bytes) is worthless: anyone can make signatures that it verifies, so
 * they prove no sender.
 */
export function isOfSmallOrder(x: string): boolean {
  const point = Buffer.from(x, "base64url");
  point.writeUInt8(point.readUInt8(31) & 0x7f, 31);
  return spellings.has(point.toString("hex"));
}
