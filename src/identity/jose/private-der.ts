/**
 * A text without the private keys in it that stand there as DER in base64 or base64url, without the lines of PEM. A
 * text stands in the place of each. Line breaks inside a key, also written as in JSON, do not hide it, and a key that
 * was cut off counts.
 */
export function withoutPrivateDer(text: string, removed: string): string {
  let [kept, from] = ["", 0];
  for (const { index } of text.matchAll(start)) {
    if (index < from || !isPrivate(bytesAt(text, index, HEAD_LETTERS))) continue;
    kept += text.slice(from, index) + removed;
    from = endOf(text, index);
  }
  return from === 0 ? text : kept + text.slice(from);
}

// A SEQUENCE (0x30) with a length of one to three octets, at the beginning of a run of base64, or after a line break as
// JSON writes it.
const start = /(?:(?<![A-Za-z0-9+/_-])|(?<=\\[nr]))M[A-I]/gu;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const valueOf = (letter: string): number =>
  alphabet.indexOf(letter === "-" ? "+" : letter === "_" ? "/" : letter);

// More blanks than a line break and its indentation end a key, so that the search takes time in proportion to a text.
const BLANKS_MAX = 64;

/** The letters of base64 from a place on, each with its place, over line breaks; at most `max`. */
function* lettersAt(text: string, from: number, max: number): Generator<readonly [number, number]> {
  let [count, blanks] = [0, 0];
  for (let at = from; at < text.length && count < max && blanks < BLANKS_MAX; at++) {
    const letter = text[at] ?? "";
    const value = valueOf(letter);
    if (value >= 0) {
      [count, blanks] = [count + 1, 0];
      yield [at, value];
    } else {
      if (!" \t\r\n\\".includes(letter)) return;
      blanks++;
      if (letter === "\\" && /[nr]/u.test(text[at + 1] ?? "")) at++; // a line break as JSON writes it
    }
  }
}

// The longest beginning by which a private key is known: EncryptedPrivateKeyInfo, to the end of its identifier.
const HEAD_LETTERS = 32;

function bytesAt(text: string, from: number, letters: number): readonly number[] {
  let [bits, held] = [0, 0];
  const bytes: number[] = [];
  for (const [, value] of lettersAt(text, from, letters)) {
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push((bits >> held) & 0xff);
  }
  return bytes;
}

/** The place after a key: its SEQUENCE says its length. */
function endOf(text: string, from: number): number {
  const [, first = 0, second = 0, third = 0] = bytesAt(text, from, HEAD_LETTERS);
  const content = first < 0x80 ? first : first === 0x81 ? second : second * 256 + third;
  const octets = content + headerOf(first);
  let end = from;
  for (const [at] of lettersAt(text, from, Math.ceil((octets * 8) / 6))) end = at + 1;
  while (text[end] === "=") end++;
  return end;
}

/** The octets of a tag and its length, by the length's first octet. */
const headerOf = (first: number): number => (first < 0x80 ? 2 : 2 + (first & 0x7f));

const [INTEGER, OCTET_STRING, IDENTIFIER, SEQUENCE] = [0x02, 0x04, 0x06, 0x30];
/** pkcs-5 and pkcs-12 PBE (RFC 8018 §A, RFC 7292 §C), the ciphers of an encrypted key. */
const encryption = [
  [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05],
  [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c],
] as const;

/**
 * True for the beginning of a private key: PrivateKeyInfo (RFC 5958), EncryptedPrivateKeyInfo, a PFX with keys (RFC
 * 7292), ECPrivateKey (RFC 5915), RSAPrivateKey (RFC 8017 §A.1.2), and the DSA key of OpenSSL, which begins in the same
 * way. Certificates, requests, public keys and signatures begin with something else.
 */
function isPrivate(bytes: readonly number[]): boolean {
  const [tag, first = 0] = bytes;
  if (tag !== SEQUENCE || first === 0x80 || first > 0x82) return false;
  const inner = bytes.slice(headerOf(first));
  if (inner[0] === INTEGER && inner[1] === 1) return isAfterVersion(inner.slice(3));
  const inside = inner.slice(headerOf(inner[1] ?? 0));
  return (
    inner[0] === SEQUENCE &&
    inside[0] === IDENTIFIER &&
    encryption.some((prefix) => prefix.every((octet, i) => inside[2 + i] === octet))
  );
}

/** `next`: the octets after the version, whose value some readers of keys ignore. */
function isAfterVersion(next: readonly number[]): boolean {
  const [tag, first = 0] = next;
  if (tag === SEQUENCE) return next[headerOf(first)] === IDENTIFIER;
  if (tag === OCTET_STRING) return first >= 14 && first <= 72; // of an elliptic curve
  return tag === INTEGER && (first >= 0x40 || first === 0x81 || first === 0x82); // a modulus, of 64 octets or more
}
