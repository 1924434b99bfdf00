import { isPlainObject } from "#kernel/plain-object";
import { toBase64url, utf8 } from "#kernel/encoded";
import { fromBase64url } from "#ledger/bytes/base64";

/** The public facts of a key epoch's wrapped key. */
export interface WrappedKey {
  readonly recipients: readonly string[]; // kids of the auditors who can unwrap it
  readonly aad: string; // base64url
}

/** The text that binds a wrapped key to its log and epoch, in base64url: the JWE's `aad`. */
export const wrappedKeyAad = (origin: string, epoch: number): string =>
  toBase64url(utf8(`phylax key epoch v1\n${origin}\n${epoch}\n`));

const protectedHeader = toBase64url(utf8('{"enc":"A256GCM"}'));
const CONTENT_KEY_WRAPPED_BYTES = 40; // RFC 3394: 32 bytes of key and 8 more
const coordinateBytes: Readonly<Record<string, number>> = {
  "EC P-256": 32,
  "EC P-384": 48,
  "EC P-521": 66,
  "OKP X25519": 32,
};

/**
 * Reads a JWE in General JSON Serialization (RFC 7516 §7.2.1) of exactly the profile of
 * docs/ledger-format.md. Undefined for any other text, also for an additional or repeated member: two
 * readers must not find two different keys in it.
 */
export function readWrappedKey(text: string): WrappedKey | undefined {
  const jwe = parse(text);
  if (!hasExactly(jwe, ["protected", "aad", "iv", "ciphertext", "tag", "recipients"])) return undefined;
  const { aad, recipients } = jwe;
  if (jwe["protected"] !== protectedHeader || typeof aad !== "string" || !Array.isArray(recipients))
    return undefined;
  const whole =
    bytesIn(jwe["iv"]) === 12 && bytesIn(jwe["tag"]) === 16 && (bytesIn(jwe["ciphertext"]) ?? 0) > 0;
  const kids = recipients.flatMap((item: unknown) => kidOf(item) ?? []);
  if (!whole || kids.length < 2 || kids.length !== recipients.length || new Set(kids).size !== kids.length)
    return undefined;
  return givesEachOnce(text, jwe) ? { recipients: kids, aad } : undefined;
}

function kidOf(recipient: unknown): string | undefined {
  if (!hasExactly(recipient, ["header", "encrypted_key"])) return undefined;
  if (bytesIn(recipient["encrypted_key"]) !== CONTENT_KEY_WRAPPED_BYTES) return undefined;
  const { header } = recipient;
  if (
    !hasExactly(header, ["alg", "kid", "epk"]) ||
    header["alg"] !== "ECDH-ES+A256KW" ||
    !isEphemeralKey(header["epk"])
  )
    return undefined;
  return typeof header["kid"] === "string" ? header["kid"] : undefined;
}

/**
 * RFC 7518 §4.6.1.1 `epk`, RFC 8037 §2 for X25519. Only the owner of the private key needs to check that the
 * point is on its curve.
 */
function isEphemeralKey(epk: unknown): boolean {
  if (!isPlainObject(epk)) return false;
  const length = coordinateBytes[`${String(epk["kty"])} ${String(epk["crv"])}`];
  const coordinates = epk["kty"] === "EC" ? ["x", "y"] : ["x"];
  return (
    length !== undefined &&
    hasExactly(epk, ["kty", "crv", ...coordinates]) &&
    coordinates.every((name) => bytesIn(epk[name]) === length)
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // JSON.parse throws only for text that is not JSON
  }
}

/**
 * True when no member of valid JSON text is repeated; JSON.parse does not check that. A string before a
 * colon is a member's name.
 */
function givesEachOnce(text: string, value: unknown): boolean {
  // Each string is matched whole, so that none begins inside a string.
  const strings = [...text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)];
  return strings.filter(([, colon]) => colon !== undefined).length === membersIn(value);
}

function membersIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + membersIn(item), 0);
  return isPlainObject(value)
    ? Object.values(value).reduce((sum: number, item) => sum + 1 + membersIn(item), 0)
    : 0;
}

const bytesIn = (value: unknown): number | undefined =>
  typeof value === "string" ? fromBase64url(value)?.length : undefined;

const hasExactly = (value: unknown, names: readonly string[]): value is Record<string, unknown> =>
  isPlainObject(value) &&
  Object.keys(value).length === names.length &&
  names.every((name) => Object.hasOwn(value, name));
