import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, SignJWT, type JWK } from "jose";
import { Agent, request } from "undici";
import { x5tS256, type CertificateFiles } from "../../certificates.ts";
import type { Person } from "../people.ts";
import { consentOf, noChoices, type Choices } from "./choices.ts";

/** The client of the sign-in's consent page, as the registry knows it. */
export const consentPageClient = "consent-page";
const tokenSeconds = 60;

export interface ConsentFilerSetting {
  readonly iss: string;
  /** The issuer's private key. */
  readonly key: JWK;
  /** FHIR base of the gateway. */
  readonly fhir: string;
  /** Path of the authority of the gateway's certificate. */
  readonly ca: string;
  /** The page's own certificate. */
  readonly certificate: CertificateFiles;
}

/**
 * Files what people choose as FHIR Consents, through the gateway like every client: with a token of the person
 * who is signed in, for that person's Consents alone. Each person has one Consent; a later choice updates it.
 */
export class ConsentFiler {
  readonly #setting: ConsentFilerSetting;
  readonly #filed = new Map<string, { readonly id: string; readonly choices: Choices }>(); // by login

  constructor(setting: ConsentFilerSetting) {
    this.#setting = setting;
  }

  /** What a person chose since the start. */
  choicesOf(login: string): Choices {
    return this.#filed.get(login)?.choices ?? noChoices;
  }

  /**
   * Files the choices, if they differ from the choices of before. False: the gateway did not confirm it, so the
   * choices of before count.
   */
  async file(person: Person, choices: Choices, now: Date): Promise<boolean> {
    const known = this.#filed.get(person.login);
    if (isSame(choices, this.choicesOf(person.login))) return true;
    const { fhir, ca, certificate } = this.#setting;
    const dispatcher = new Agent({
      connect: {
        ca: readFileSync(ca),
        cert: readFileSync(certificate.cert),
        key: readFileSync(certificate.key),
      },
    });
    try {
      const consent = { ...consentOf(person.patient, choices, now), ...(known && { id: known.id }) };
      const answer = await request(`${fhir}/Consent${known === undefined ? "" : `/${known.id}`}`, {
        method: known === undefined ? "POST" : "PUT",
        headers: {
          authorization: `Bearer ${await this.#token(person, now)}`,
          "content-type": "application/fhir+json",
        },
        body: JSON.stringify(consent),
        dispatcher,
      });
      await answer.body.dump();
      const place = String(answer.headers["location"] ?? "");
      const id = known?.id ?? /\/Consent\/(?<id>[A-Za-z0-9.-]{1,64})(?:\/|$)/u.exec(place)?.groups?.["id"];
      if (answer.statusCode !== (known === undefined ? 201 : 200) || id === undefined) return false;
      this.#filed.set(person.login, { id, choices });
      return true;
    } catch {
      return false; // the gateway does not answer
    } finally {
      await dispatcher.close();
    }
  }

  /** A token of the person (RFC 9068), bound to the page's certificate (RFC 8705 §3.1). */
  async #token({ login, patient, fhirUser }: Person, now: Date): Promise<string> {
    const { iss, key, fhir, certificate } = this.#setting;
    const issuedAt = Math.floor(now.getTime() / 1_000);
    return new SignJWT({
      iss,
      sub: login,
      aud: fhir,
      client_id: consentPageClient,
      scope: "patient/Consent.cu",
      patient,
      fhirUser,
      purpose_of_use: ["PATRQT"],
      jti: randomUUID(),
      iat: issuedAt,
      exp: issuedAt + tokenSeconds,
      cnf: { "x5t#S256": x5tS256(readFileSync(certificate.cert, "utf8")) },
    })
      .setProtectedHeader({ alg: "ES256", kid: key.kid ?? "", typ: "at+jwt" })
      .sign(await importJWK(key));
  }
}

const isSame = (one: Choices, other: Choices): boolean =>
  one.size === other.size && [...one].every((choice) => other.has(choice));
