import { withoutPrivateDer } from "./private-der.ts";

/** The members of a JWK with a private or a shared key (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
export const privateMembers: readonly string[] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const removed = "removed: a private key";
// The headers of an encrypted key (RFC 1421) have hyphens. Without its last line a key goes to the end of the text.
const privatePem =
  /-----BEGIN [^-]*PRIVATE KEY(?: BLOCK)?-----[^]*?(?:-----END [^-]*PRIVATE KEY(?: BLOCK)?-----|$)/gu;
// The member of a private key in a text. A key without `kty` is known by the length of its value: no shorter key is
// in use, and no member of a document has this name and 40 letters of base64. A digest in hexadecimal is none.
const memberOfKey = new RegExp(
  String.raw`"(?:${privateMembers.join("|")})\\*"\s*:\s*\\*"([\w+/=-]{40,})`,
  "gu",
);
const isKeyMaterial = (value: unknown): boolean =>
  typeof value === "string" && /^[\w+/=-]{40,}$/u.test(value) && !/^[0-9a-f]+$/iu.test(value);
// A JWK as JSON inside a text; a text inside a text has backslashes before its quotes.
const keyType = /"kty\\*"\s*:/u;

/**
 * A value as JSON, in which a text stands in place of each private key, as JWK, PEM or DER in base64. The ledger
 * keeps a submitted document for years, and an operator may name the wrong file.
 */
export const withoutPrivateKeys = (value: unknown): string =>
  JSON.stringify(value, function (this: unknown, name: string, member: unknown) {
    if (isPrivate(this, name, member) || isKeyInParts(member)) return removed;
    return typeof member === "string" ? publicText(member) : member;
  });

/** True if a value that came as JSON has a private key. */
export const hasPrivateKey = (value: unknown): boolean => withoutPrivateKeys(value) !== JSON.stringify(value);

const isPrivate = (holder: unknown, name: string, value: unknown): boolean =>
  privateMembers.includes(name) &&
  typeof holder === "object" &&
  holder !== null &&
  ("kty" in holder || isKeyMaterial(value));

const publicText = (text: string): string =>
  (keyType.test(text) && hasPrivateMember(text)) || hasKeyMaterial(text) ? removed : withoutEncoded(text);

const withoutEncoded = (text: string): string =>
  withoutPrivateDer(text.replaceAll(privatePem, removed), removed);

const hasPrivateMember = (text: string): boolean =>
  new RegExp(String.raw`"(?:${privateMembers.join("|")})\\*"\s*:`, "u").test(text);

const hasKeyMaterial = (text: string): boolean =>
  Array.from(text.matchAll(memberOfKey), ([, value]) => value).some(isKeyMaterial);

/** True if the lines of an array are a private key together, or if a member's name has a private key. */
function isKeyInParts(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (!Array.isArray(value)) return Object.keys(value).some((name) => publicText(name) !== name);
  const lines = value.filter((line) => typeof line === "string");
  return withoutEncoded(lines.join("\n")) !== lines.map(withoutEncoded).join("\n");
}
