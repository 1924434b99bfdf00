import { createHmac, randomBytes } from "node:crypto";
import { utf8 } from "#kernel/encoded";
import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { hkdf, openBox, sealBox } from "#ledger/leaf/seal";

const label = "phylax authority v1";
const saltBytes = 32;
const noNonce = new Uint8Array(12);

/**
 * Seals the evidence of an authority with AES-256-GCM, under a key that follows from the first key of `CONSENT_KEY` and
 * a random salt, so that no nonce repeats. `place`: the columns that stand beside it, which its box opens with alone.
 */
export function sealEvidence(keys: KeyList, place: readonly (string | number)[], evidence: string): string {
  const salt = new Uint8Array(randomBytes(saltBytes));
  const box = sealBox(sealing(keys[0], salt), noNonce, placeOf(place), utf8(evidence));
  return Buffer.concat([salt, box]).toString("base64");
}

/** Undefined: no listed key sealed it, or a column beside it was changed. */
export function openEvidence(
  keys: KeyList,
  place: readonly (string | number)[],
  sealed: string,
): string | undefined {
  const bytes = new Uint8Array(Buffer.from(sealed, "base64"));
  for (const key of keys) {
    const opened = openBox(
      sealing(key, bytes.subarray(0, saltBytes)),
      noNonce,
      placeOf(place),
      bytes.subarray(saltBytes),
    );
    if (opened !== undefined) return new TextDecoder().decode(opened);
  }
  return undefined;
}

/** A person as an issuer names it, by which authorities are counted, and ended. */
export interface NamedPerson {
  readonly issuer: string;
  readonly subject: string;
}

/** A token as its issuer names it (`jti`). */
export interface NamedToken {
  readonly issuer: string;
  readonly id: string;
}

/** The pseudonyms of a person, one under each key, the current first: 43 characters of base64url. */
export const personNames = (
  keys: KeyList,
  { issuer, subject }: NamedPerson,
): readonly [string, ...string[]] =>
  underEach(keys, `phylax authority person v1\n${JSON.stringify([issuer, subject])}`);

/** As {@link personNames}, of the token that made an authority. */
export const tokenNames = (keys: KeyList, { issuer, id }: NamedToken): readonly [string, ...string[]] =>
  underEach(keys, `phylax authority token v1\n${JSON.stringify([issuer, id])}`);

function underEach([first, ...others]: KeyList, text: string): readonly [string, ...string[]] {
  const pseudonym = (key: Secret<Uint8Array>) =>
    createHmac("sha256", key.reveal()).update(text).digest("base64url");
  return [pseudonym(first), ...others.map(pseudonym)];
}

const sealing = (key: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(key, salt, utf8(label)));
const placeOf = (place: readonly (string | number)[]): Uint8Array => utf8(JSON.stringify([label, ...place]));
