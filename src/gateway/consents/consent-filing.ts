import { utf8 } from "#kernel/encoded";
import { isResource, readObject, type JsonObject } from "#fhir/json/json";
import { statedVersion } from "#fhir/history-entry";
import { baseNames, type FhirBase } from "#fhir/r4/reference";
import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import type { ConsentRules } from "#policy/consent/consent";
import type { Consents, FiledChange } from "#policy/consent/consents";
import { individualOf } from "#policy/consent/individual";
import { readConsent } from "#policy/consent/read-consent";
import { storedFormOf } from "#policy/consent/stored-form";
import type { CompiledPolicy } from "#policy/compile";
import { identifierOfPatient, patientOf } from "./consent-subject.ts";

/** The state of a Consent at its origin, to file. */
export interface ReadConsent {
  readonly consent: string;
  readonly content: { readonly patient: string; readonly rules: ConsentRules } | undefined;
  readonly mayPermit: boolean;
  readonly filedBy: string | undefined;
  /** The Consent names no patient of the origin: it was found by a question for this patient, and may be of a further one. */
  readonly isPatientAssumed?: true | undefined;
  /** The state could not be read: this content was written, and its denials alone count. */
  readonly isUnread?: true | undefined;
}

/** The client that changes Consents, and its authority: a token of the patient alone, a consent registrar, or neither. */
export interface ChangingClient {
  readonly client: string;
  readonly authority: "patient" | "registrar" | "none";
}

/** Files Consents in their compiled form (docs/consent.md). Each method throws when `control` cannot. */
export interface FilingDesk {
  /** Announces a change; the number orders it. Throws when this client has too many changes pending. */
  announce(
    origin: string,
    consents: readonly string[],
    patients: readonly string[],
    writer: ChangingClient,
  ): Promise<number>;
  /** Undefined: the change took too long, and nothing is filed. */
  file(change: number, origin: string, consents: readonly ReadConsent[]): Promise<FiledChange | undefined>;
  /** Answers whether the present version of a Consent is this state, filed with no less authority. */
  isOnFile(origin: string, consent: ReadConsent): Promise<boolean>;
}

export interface ConsentFilingPorts {
  readonly consentDesk: FilingDesk;
  readonly consents: Consents;
  /** The compiled policies by digest. */
  readonly policies: {
    byDigest(digest: string): Promise<Pick<CompiledPolicy, "isConsentRegistrar"> | undefined>;
  };
}

/**
 * The Consent is stored at the origin, and it is not filed here: its old version counts. Also if a further client
 * has changed the Consent meanwhile: nothing is filed with the authority of a client that did not write it.
 */
export type FilingRefusal = { readonly reason: "consent_not_filed" };
export interface UnfiledConsents extends FilingRefusal {
  /** Their ids. */
  readonly unfiled: ReadonlySet<string>;
}

// `control` has room for a limited number of changes at once, and a transaction may have more Consents than that.
const filedAtOnce = 10;

/** The facts of a principal that decide about the authority of a Consent that it writes. */
type ConsentWriter = Pick<Principal, "scopes" | "purpose" | "patient" | "user" | "patientIsUser"> & {
  readonly client: Pick<Principal["client"], "id">;
  readonly grant: Pick<Principal["grant"], "policyDigest">;
};

/** A Consent that the origin has written. */
export interface WrittenConsent {
  readonly id: string;
  /** Undefined: the Consent was deleted. */
  readonly content: WrittenContent | undefined;
}

/** The content by which a Consent is known again when it is read at the origin. */
export interface WrittenContent {
  /** The resource as it was sent; undefined: only the version is known. */
  readonly sent: string | undefined;
  /** The version that the origin confirmed. */
  readonly version: string | undefined;
  /** The patient to whom the identifier of a Consent without a reference leads. */
  readonly patient?: string | undefined;
}

/** A Consent as the origin has it; undefined: it is absent. */
type ConsentAtOrigin =
  | {
      readonly body: Uint8Array;
      readonly base: FhirBase;
      /** Adds the names behind actors. Undefined: they are not read again at this origin, so none is filed. */
      readonly withNames?: ((consent: ReadConsent) => Promise<ReadConsent>) | undefined;
    }
  | undefined;

/** Reads a Consent at the origin. Throws when the origin does not answer. */
export type ReadAtOrigin = (id: string) => Promise<ConsentAtOrigin>;

/**
 * Files the Consents that a request has written. A Consent is filed as the origin has it after the write, and only
 * if that is the content of this writer; of two readings the later counts, so concurrent writes end with the
 * origin's last version, under the authority of its own writer.
 */
export class ConsentFiling {
  readonly #ports: ConsentFilingPorts;
  readonly #who: ConsentWriter;
  readonly #origin: string;

  constructor(ports: ConsentFilingPorts, who: ConsentWriter, origin: string) {
    this.#ports = ports;
    this.#who = who;
    this.#origin = origin;
  }

  /**
   * Files Consents after the origin's answer and before the answer to the client, some at a time: a part that cannot
   * be filed leaves the others in force. A refusal leaves a Consent as it was filed before, except that for thirty
   * seconds only denials of its patient count. A Consent that cannot be read at the origin denies as it was written,
   * and as it was filed before, until it is filed.
   * @param base the FHIR base that the client called.
   */
  async file(
    written: readonly WrittenConsent[],
    base: string,
    read: ReadAtOrigin,
  ): Promise<Result<undefined, UnfiledConsents>> {
    const unfiled = new Set<string>();
    for (let from = 0; from < written.length; from += filedAtOnce) {
      const part = written.slice(from, from + filedAtOnce);
      for (const id of await this.#filePart(part, base, read).catch(() => idsOf(part))) unfiled.add(id);
    }
    return unfiled.size === 0 ? ok(undefined) : err({ reason: "consent_not_filed", unfiled });
  }

  /** The ids of the Consents that are not filed. Throws when none of them is. */
  async #filePart(
    written: readonly WrittenConsent[],
    base: string,
    read: ReadAtOrigin,
  ): Promise<readonly string[]> {
    const { consentDesk, consents } = this.#ports;
    const patients = written.flatMap(({ content }) => {
      const resource = content?.sent === undefined ? undefined : resourceIn(utf8(content.sent));
      const patient = (resource && patientOf(resource, base)) ?? content?.patient;
      return patient === undefined ? [] : [patient];
    });
    const writer = { client: this.#who.client.id, authority: await this.#authority() };
    const change = await consentDesk.announce(this.#origin, idsOf(written), patients, writer);
    const found = await Promise.all(written.map((consent) => this.#readState(consent, base, read)));
    const states = found.flatMap(({ state }) => state ?? []);
    const unfiled = written.filter((_consent, index) => found[index]?.isOwn !== true);
    const filed = await consentDesk.file(change, this.#origin, states);
    if (filed === undefined) return idsOf(written);
    consents.applyFiled(this.#origin, filed);
    return [...idsOf(unfiled), ...(filed.refused ?? [])];
  }

  /** The state of a written Consent at the origin, if it may be filed, and whether it is the content of this writer. */
  async #readState(
    written: WrittenConsent,
    base: string,
    read: ReadAtOrigin,
  ): Promise<{ readonly state: ReadConsent | undefined; readonly isOwn: boolean }> {
    try {
      const reading = await read(written.id);
      const state = await this.#stateOf(written, reading, base);
      const isOwn = isWrittenBy(written, reading, base) && state !== undefined;
      const absent = reading === undefined ? this.#absent(written.id) : undefined;
      return { isOwn, state: isOwn ? state : absent };
    } catch {
      return { isOwn: false, state: this.#unread(written, base) };
    }
  }

  #unread({ id, content }: WrittenConsent, base: string): ReadConsent {
    const resource = content?.sent === undefined ? undefined : resourceIn(utf8(content.sent));
    const patient = (resource && patientOf(resource, base)) ?? content?.patient;
    const known =
      resource === undefined || patient === undefined
        ? undefined
        : { patient, rules: readConsent(resource, base) };
    return { ...this.#absent(id), content: known, isUnread: true };
  }

  /**
   * Files a Consent of an earlier request, unless it is on file: the filing may have failed then, and the request
   * comes again. Returns `on file` if there was nothing to file.
   */
  async fileAgain(
    written: WrittenConsent,
    base: string,
    read: ReadAtOrigin,
  ): Promise<Result<"filed" | "on file", FilingRefusal>> {
    try {
      const reading = await read(written.id);
      const state = await this.#stateOf(written, reading, base);
      // Content of a further client has that client's authority, which is not known here.
      const isOwn = isWrittenBy(written, reading, base);
      const known = state && (isOwn ? state : { ...state, mayPermit: false });
      if (known !== undefined && (await this.#ports.consentDesk.isOnFile(this.#origin, known)))
        return ok("on file");
    } catch {
      return err({ reason: "consent_not_filed" });
    }
    const filed = await this.file([written], base, read);
    return filed.ok ? ok("filed") : filed;
  }

  #absent(consent: string): ReadConsent {
    return { consent, content: undefined, mayPermit: false, filedBy: this.#who.client.id };
  }

  /** The state to file; undefined: a Consent in force whose patient is not known. */
  async #stateOf(
    { id, content }: WrittenConsent,
    reading: ConsentAtOrigin,
    base: string,
  ): Promise<ReadConsent | undefined> {
    if (reading === undefined) return this.#absent(id);
    const resource = resourceIn(reading.body);
    if (resource === undefined) throw new Error("not a Consent");
    const rules = readConsent(resource, reading.base);
    const patient = patientOf(resource, reading.base) ?? content?.patient;
    if (patient === undefined) return rules.isActive ? undefined : this.#absent(id);
    const mayPermit = await this.#mayPermit(patient, [base, ...baseNames(reading.base)]);
    const state = { consent: id, content: { patient, rules }, mayPermit, filedBy: this.#who.client.id };
    // A client that may only deny learns nothing of the resources that its Consent names.
    return mayPermit && reading.withNames !== undefined ? reading.withNames(state) : state;
  }

  /**
   * A Consent permits only if the patient's own token filed it, or a consent registrar. Any further client could
   * widen access by what it writes; its denials count all the same.
   */
  async #mayPermit(patient: string, bases: FhirBase): Promise<boolean> {
    return (
      (this.#hasPatientScopesAlone && individualOf(this.#who, bases) === patient) ||
      (await this.#isRegistrar())
    );
  }

  /** The authority by which `control` divides its room: also a representative's token is of the patient alone. */
  async #authority(): Promise<ChangingClient["authority"]> {
    const isPatients = this.#hasPatientScopesAlone && this.#who.purpose === "PATRQT";
    return isPatients ? "patient" : (await this.#isRegistrar()) ? "registrar" : "none";
  }

  get #hasPatientScopesAlone(): boolean {
    return this.#who.scopes.every(({ context }) => context === "patient");
  }

  async #isRegistrar(): Promise<boolean> {
    const policy = await this.#ports.policies.byDigest(this.#who.grant.policyDigest);
    return policy?.isConsentRegistrar === true;
  }
}

const idsOf = (written: readonly WrittenConsent[]): readonly string[] => written.map(({ id }) => id);

/**
 * Answers whether a reading is what the writer wrote: the version that the origin confirmed, or the same patient and
 * the same rules.
 */
function isWrittenBy({ content }: WrittenConsent, reading: ConsentAtOrigin, base: string): boolean {
  if (content === undefined || reading === undefined) return content === undefined && reading === undefined;
  const resource = resourceIn(reading.body);
  if (resource === undefined) return false;
  const version = statedVersion(resource);
  if (version !== undefined && version === content.version) return true;
  const sent = content.sent === undefined ? undefined : resourceIn(utf8(content.sent));
  const read = contentOf(resource, reading.base);
  return sent !== undefined && [reading.base, base].some((each) => contentOf(sent, each) === read);
}

const contentOf = (resource: JsonObject, base: FhirBase): string =>
  JSON.stringify([
    patientOf(resource, base) ?? null,
    identifierOfPatient(resource) ?? null,
    storedFormOf(readConsent(resource, base)),
  ]);

function resourceIn(bytes: Uint8Array): JsonObject | undefined {
  const resource = readObject(bytes);
  return isResource(resource, "Consent") ? resource : undefined;
}
