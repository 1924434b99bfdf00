import { isObject, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import type { ConsentRules } from "#policy/consent/consent";
import { readConsent } from "#policy/consent/read-consent";
import type { CompiledPolicy } from "#policy/compile";

/** The state of a Consent at its origin, to file. */
interface ReadConsent {
  readonly consent: string;
  readonly content: { readonly patient: string; readonly rules: ConsentRules } | undefined;
  readonly mayPermit: boolean;
  readonly filedBy: string | undefined;
}

/** Files Consents in their compiled form (docs/consent.md). Each method throws when `control` cannot. */
export interface FilingDesk {
  /** Announces a change; the number orders it. */
  announce(origin: string, consents: readonly string[], patients: readonly string[]): Promise<number>;
  /** Undefined: the change took too long, and nothing is filed. */
  file(
    change: number,
    origin: string,
    consents: readonly ReadConsent[],
  ): Promise<readonly string[] | undefined>;
}

export interface ConsentFilingPorts {
  readonly consentDesk: FilingDesk;
  /** The compiled policies by digest. */
  readonly policies: {
    byDigest(digest: string): Promise<Pick<CompiledPolicy, "isConsentRegistrar"> | undefined>;
  };
}

/** The Consent is stored at the origin, and it is not filed here: its old version counts. */
export type FilingRefusal = { readonly reason: "consent_not_filed" };

/** A Consent that the origin has written, with the content that it got, if any. */
export interface WrittenConsent {
  readonly id: string;
  readonly sent: string | undefined;
}

/** Reads a Consent at the origin. Undefined: it is absent. Throws when the origin does not answer. */
export type ReadAtOrigin = (
  id: string,
) => Promise<{ readonly body: Uint8Array; readonly base: FhirBase } | undefined>;

/**
 * Files the Consents that a request has written. A Consent is filed as the origin has it after the write; of two
 * readings the later counts, so concurrent writes end with the origin's last version.
 */
export class ConsentFiling {
  readonly #ports: ConsentFilingPorts;
  readonly #who: Principal;
  readonly #origin: string;

  constructor(ports: ConsentFilingPorts, who: Principal, origin: string) {
    this.#ports = ports;
    this.#who = who;
    this.#origin = origin;
  }

  /**
   * Files Consents after the origin's answer and before the answer to the client. A refusal leaves them as they
   * were filed before, except that for thirty seconds only denials of their patients count.
   * @param base the FHIR base that the client called.
   */
  async file(
    written: readonly WrittenConsent[],
    base: string,
    read: ReadAtOrigin,
  ): Promise<Result<undefined, FilingRefusal>> {
    if (written.length === 0) return ok(undefined);
    const { consentDesk } = this.#ports;
    const patients = written.flatMap(({ sent }) => {
      const resource = sent === undefined ? undefined : resourceIn(new TextEncoder().encode(sent));
      const patient = resource && patientOf(resource, base);
      return patient === undefined ? [] : [patient];
    });
    try {
      const ids = written.map(({ id }) => id);
      const change = await consentDesk.announce(this.#origin, ids, patients);
      const consents: ReadConsent[] = [];
      for (const id of ids) consents.push(await this.#readAgain(id, read));
      const filed = await consentDesk.file(change, this.#origin, consents);
      return filed === undefined ? err({ reason: "consent_not_filed" }) : ok(undefined);
    } catch {
      return err({ reason: "consent_not_filed" });
    }
  }

  async #readAgain(id: string, read: ReadAtOrigin): Promise<ReadConsent> {
    const filedBy = this.#who.client.id;
    const answer = await read(id);
    const resource = answer && resourceIn(answer.body);
    if (answer !== undefined && resource === undefined) throw new Error("not a Consent");
    const patient = answer && resource && patientOf(resource, answer.base);
    if (answer === undefined || resource === undefined || patient === undefined)
      return { consent: id, content: undefined, mayPermit: false, filedBy };
    return {
      consent: id,
      content: { patient, rules: readConsent(resource, answer.base) },
      mayPermit: await this.#mayPermit(patient),
      filedBy,
    };
  }

  /**
   * A Consent permits only if the patient's own token filed it, or a consent registrar. Any further client could
   * widen access by what it writes; its denials count all the same.
   */
  async #mayPermit(patient: string): Promise<boolean> {
    const { scopes, purpose, patient: ofToken, user, grant } = this.#who;
    const isOwn =
      purpose === "PATRQT" &&
      scopes.every(({ context }) => context === "patient") &&
      ofToken === patient &&
      (user === undefined || user.split("/").slice(-2).join("/") === `Patient/${patient}`);
    return isOwn || (await this.#ports.policies.byDigest(grant.policyDigest))?.isConsentRegistrar === true;
  }
}

function resourceIn(bytes: Uint8Array): JsonObject | undefined {
  const read = readJson(bytes);
  return read.ok && isObject(read.value) && textAt(read.value, "resourceType") === "Consent"
    ? read.value
    : undefined;
}

function patientOf(consent: JsonObject, base: FhirBase): string | undefined {
  const subject: Json | undefined = property(consent, "patient");
  const reference = isObject(subject) ? textAt(subject, "reference") : undefined;
  const found = parseReference(reference ?? "", base);
  return found.kind === "local" && found.type === "Patient" ? found.id : undefined;
}
