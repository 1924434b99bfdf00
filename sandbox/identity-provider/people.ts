import { createHash, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { keptSecret } from "../keys.ts";
import { base32, TotpCheck } from "./totp.ts";

/** Somebody who can sign in, as `dev.json` lists them: development only, so the password is there to be read. */
export interface Person {
  readonly login: string;
  readonly password: string;
  /** Secret of the second factor (RFC 6238) in base32, as authenticator apps take it: SHA-1, six digits, 30 seconds. */
  readonly totp: string;
  /** FHIR id. */
  readonly patient: string;
  /** Relative to the FHIR base (SMART App Launch 2 §4.0.4). */
  readonly fhirUser: string;
}

/** One for each of these patients. A login says nothing about its patient; secrets are made once and kept with the state. */
export function peopleOf(state: string, patients: readonly string[]): readonly Person[] {
  return patients.map((patient, index) => {
    const login = `patient-${index + 1}`;
    const kept = (what: string) => keptSecret(join(state, "secrets", `${what}-of-${login}`));
    return {
      login,
      password: kept("password").slice(0, 20), // 120 bits
      totp: base32(Buffer.from(kept("totp"), "base64url")),
      patient,
      fhirUser: `Patient/${patient}`,
    };
  });
}

export interface Credentials {
  readonly login: string;
  readonly password: string;
  /** Six digits; undefined where the second factor is not asked for. */
  readonly code: string | undefined;
}

/** Knows by their credentials who stands at the door. */
export class Doorkeeper {
  readonly #people: ReadonlyMap<string, { readonly person: Person; readonly totp: TotpCheck }>;

  constructor(people: readonly Person[]) {
    this.#people = new Map(people.map((person) => [person.login, { person, totp: new TotpCheck(person.totp) }]));
  }

  /** Whose credentials these are; undefined: nobody's. A code is good once, and only spent with the right password. */
  admit({ login, password, code }: Credentials, atMilliseconds: number): Person | undefined {
    const known = this.#people.get(login);
    const right = timingSafeEqual(sha256(known?.person.password ?? ""), sha256(password)) && known !== undefined;
    if (!right || (code !== undefined && !known.totp.spend(code, atMilliseconds))) return undefined;
    return known.person;
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
