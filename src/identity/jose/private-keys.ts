/** The members of a JWK with a private or a shared key (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
export const privateMembers: readonly string[] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const removed = "removed: a private key";
const privatePem = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?/gu;

/**
 * A value as JSON, in which a text stands in place of each private key, as JWK or PEM. The ledger keeps a submitted
 * document for years, and an operator may name the wrong file.
 */
export const withoutPrivateKeys = (value: unknown): string =>
  JSON.stringify(value, function (this: unknown, name: string, member: unknown) {
    if (isPrivate(this, name)) return removed;
    return typeof member === "string" ? member.replaceAll(privatePem, removed) : member;
  });

/** True if a value that came as JSON has a private key. */
export const hasPrivateKey = (value: unknown): boolean => withoutPrivateKeys(value) !== JSON.stringify(value);

const isPrivate = (holder: unknown, name: string): boolean =>
  privateMembers.includes(name) && typeof holder === "object" && holder !== null && "kty" in holder;
