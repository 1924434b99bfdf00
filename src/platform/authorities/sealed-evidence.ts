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

/** The pseudonym of a person at a client, by which authorities are counted: 43 characters of base64url. */
export const personName = (keys: KeyList, client: string, person: string): string =>
  createHmac("sha256", keys[0].reveal())
    .update(`phylax authority person v1\n${client}\n${person}`)
    .digest("base64url");

const sealing = (key: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(key, salt, utf8(label)));
const placeOf = (place: readonly (string | number)[]): Uint8Array => utf8(JSON.stringify([label, ...place]));
