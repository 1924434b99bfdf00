import { createHash, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { keptSecret } from "../keys.ts";
import { base32, TotpCheck } from "./totp.ts";

/**
 * An account of a person who can sign in, in the form of `dev.json`: development only, so the password is
 * readable.
 */
export interface Account {
  readonly login: string;
  readonly password: string;
  /**
   * Secret of the second factor (RFC 6238) in base32, as authenticator apps take it: SHA-1, six digits, 30
   * seconds.
   */
  readonly totp: string;
}

/** A person who signs in to apps. */
export interface AppUser extends Account {
  /** Relative to the FHIR base (SMART App Launch 2 §4.0.4). */
  readonly fhirUser: string;
}

/** A patient. */
export interface Person extends AppUser {
  /** FHIR id. */
  readonly patient: string;
}

/** An account with secrets that are made once and stored with the state. */
export function accountOf(state: string, login: string): Account {
  const kept = (what: string) => keptSecret(join(state, "secrets", `${what}-of-${login}`));
  return {
    login,
    password: kept("password").slice(0, 20), // 120 bits
    totp: base32(Buffer.from(kept("totp"), "base64url")),
  };
}

/** An account for each of these patients. A login discloses nothing about its patient. */
export function peopleOf(state: string, patients: readonly string[]): readonly Person[] {
  return patients.map((patient, index) => ({
    ...accountOf(state, `patient-${index + 1}`),
    patient,
    fhirUser: `Patient/${patient}`,
  }));
}

/**
 * An account of a practitioner, who launches apps for patients. An own FHIR server need not have the resource of
 * this user.
 */
export const clinicianOf = (state: string, practitioner = "clinician-1"): AppUser => ({
  ...accountOf(state, "clinician-1"),
  fhirUser: `Practitioner/${practitioner}`,
});

export interface SignInCredentials {
  readonly login: string;
  readonly password: string;
  /** Six digits; undefined without a request for the second factor. */
  readonly code: string | undefined;
}

/** Authenticates people by their credentials. */
export class Doorkeeper {
  readonly #people: ReadonlyMap<string, { readonly person: Account; readonly totp: TotpCheck }>;

  constructor(people: readonly Account[]) {
    this.#people = new Map(
      people.map((person) => [person.login, { person, totp: new TotpCheck(person.totp) }]),
    );
  }

  /**
   * The account with these credentials; undefined for wrong credentials. A code is valid once, and only spent
   * with the right password.
   */
  admit({ login, password, code }: SignInCredentials, atMilliseconds: number): Account | undefined {
    const known = this.#people.get(login);
    const right =
      timingSafeEqual(sha256(known?.person.password ?? ""), sha256(password)) && known !== undefined;
    if (!right || (code !== undefined && !known.totp.spend(code, atMilliseconds))) return undefined;
    return known.person;
  }
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest();
