import { createHmac } from "node:crypto";
import { utf8 } from "#kernel/encoded";
import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { hkdf } from "#ledger/leaf/seal";
import { openText, sealText } from "#platform/sealed-text";

const label = "phylax authority v1";
/** Seals the evidence of an authority under `CONSENT_KEY`. `place`: the columns that stand beside the evidence. */
export const sealEvidence = (keys: KeyList, place: readonly (string | number)[], evidence: string): string =>
  sealText(sealing, keys, placeOf(place), evidence);

/** Undefined: no listed key sealed the evidence, or a column beside it was changed. */
export const openEvidence = (
  keys: KeyList,
  place: readonly (string | number)[],
  sealed: string,
): string | undefined => openText(sealing, keys, placeOf(place), sealed);

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
