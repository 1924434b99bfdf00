import { createHmac } from "node:crypto";
import type { KeyList } from "#kernel/key-list";
import type { Secret } from "#kernel/secret";

/** The pseudonyms of a patient or a Consent, 43 characters of base64url each: of the first key, then of former keys. */
export type Pseudonyms = readonly [name: string, ...former: string[]];

/** The name of the Consent as it was written and could not be read: no Consent of an origin has this name. */
export const writtenName = (consent: string): string => `${consent}/written`;

/**
 * The pseudonyms under which Consents are filed: `control` alone has their keys. A Consent is filed under the first
 * key, and found under each key (docs/keys.md).
 */
export class ConsentNames {
  readonly #keys: KeyList;

  constructor(keys: KeyList) {
    this.#keys = keys;
  }

  allOfPatient(origin: string, id: string): Pseudonyms {
    return this.#names(`${origin}/Patient/${id}`);
  }

  allOfConsent(origin: string, id: string): Pseudonyms {
    return this.#names(`${origin}/Consent/${id}`);
  }

  /** The id of the first key, which the rows that are filed under it have. */
  keyId(): string {
    return this.keyIds()[0];
  }

  /** An id of each key, 22 characters of base64url: a keyed hash, by which the key cannot be found. */
  keyIds(): Pseudonyms {
    const [first, ...former] = this.#keys;
    const idOf = (key: Secret<Uint8Array>) =>
      createHmac("sha256", key.reveal()).update("phylax consent key v1").digest("base64url").slice(0, 22);
    return [idOf(first), ...former.map(idOf)];
  }

  #names(reference: string): Pseudonyms {
    const [first, ...former] = this.#keys;
    return [pseudonym(first, reference), ...former.map((key) => pseudonym(key, reference))];
  }
}

const pseudonym = (key: Secret<Uint8Array>, reference: string): string =>
  createHmac("sha256", key.reveal()).update(`phylax consent v1\n${reference}`).digest("base64url");
