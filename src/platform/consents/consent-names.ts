import { createHmac } from "node:crypto";
import type { Secret } from "#kernel/secret";

/** The pseudonyms under which Consents are filed: `control` alone has their key. */
export class ConsentNames {
  readonly #key: Secret<Uint8Array>;

  /** @param key 32 bytes. */
  constructor(key: Secret<Uint8Array>) {
    this.#key = key;
  }

  /** The pseudonym of a patient at an origin, 43 characters of base64url. */
  ofPatient(origin: string, id: string): string {
    return this.#name(`${origin}/Patient/${id}`);
  }

  /** The pseudonym of a Consent at an origin, 43 characters of base64url. */
  ofConsent(origin: string, id: string): string {
    return this.#name(`${origin}/Consent/${id}`);
  }

  #name(reference: string): string {
    return createHmac("sha256", this.#key.reveal())
      .update(`phylax consent v1\n${reference}`)
      .digest("base64url");
  }
}
