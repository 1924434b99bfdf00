import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { OriginTraits } from "#fhir/ports";
import { baseNames, parseReference, type FhirBase } from "#fhir/r4/reference";
import type { TargetBook } from "#fhir/r4/target-book";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import { withActors } from "#gateway/origin/actors-at-origin";
import type { Asking } from "#gateway/origin/asking";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import type { CompiledPolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import type { Consents } from "#policy/consent/consents";
import { individualOf } from "#policy/consent/individual";
import type { KnownParty } from "#policy/consent/judge-consent";
import { consentsAtOrigin } from "./consents-at-origin.ts";

/** The Consents that an origin has, read again after a period. */
export interface ConsentReadings {
  /**
   * Reads and files the Consents of each patient that were not read within the period: at most a single reading of a
   * patient in a period, over all isolates. False: they are not known.
   */
  bringUpToDate(
    origin: string,
    patients: readonly string[],
    everyMilliseconds: number,
    read: ReadConsents,
  ): Promise<boolean>;
}

/** Reads all Consents of patients at the origin; undefined: it does not answer. */
type ReadConsents = (patients: readonly string[]) => Promise<readonly ReadConsent[] | undefined>;

/** The facts of the caller that decide who a Consent means, and whose patients are asked for. */
type Asker = Pick<Principal, "scopes" | "purpose" | "patient" | "user" | "patientIsUser"> & {
  readonly client: Pick<Principal["client"], "id" | "organization">;
};

/** A question of a known caller, whose rows are judged by facts. */
export interface JudgedQuestion {
  readonly policy: Pick<CompiledPolicy, "users" | "consentApi"> & {
    readonly labels: Pick<CompiledPolicy["labels"], "throughReferences">;
  };
  readonly who: Asker;
  readonly interaction: Interaction;
  readonly origin: { readonly name: string; readonly base: string; apart(): Asking };
  readonly traits: OriginTraits | undefined;
  readonly at: Instant;
}

export interface ConsentPorts {
  readonly consents: Consents;
  readonly consentReadings: ConsentReadings;
}

/** The Consents of a request's patients: the book by which rows are judged, and the port that fills it. */
export class RequestConsents {
  readonly book: ConsentBook;
  readonly #consents: Consents;
  readonly #origin: string;
  readonly #client: string;
  /** Brings the Consents of patients on file up to the state at the origin. Undefined: they are not read there. */
  readonly #readFirst: ((patients: readonly string[]) => Promise<boolean>) | undefined;
  /** The patients whom the question names. */
  readonly #expected: ReadonlySet<string>;
  #asking: Promise<boolean> | undefined;
  #generation = 0;
  /** The patients who were read since the last filing of this request. */
  readonly #readAnew = new Set<string>();

  constructor(question: JudgedQuestion, targets: TargetBook, { consents, consentReadings }: ConsentPorts) {
    const { who, interaction, origin, traits } = question;
    this.#consents = consents;
    this.#origin = origin.name;
    this.#client = who.client.id;
    const named = patientsNamed(interaction).map(({ patient }) => patient);
    this.#expected = new Set(who.patient === undefined ? named : [...named, who.patient]);
    if (traits?.consents !== undefined) {
      const { readEverySeconds, verified } = traits.consents;
      this.#readFirst = (patients) =>
        consentReadings.bringUpToDate(origin.name, patients, readEverySeconds * 1_000, async (due) => {
          const asking = origin.apart();
          const found = await consentsAtOrigin(due, asking, verified);
          return found && (await withActors(found, asking, question.at));
        });
    }
    this.book = bookOf(question, targets, this.areOnFile);
  }

  /** The origin may have Consents on file, so each record says which let something through. */
  get areOnFile(): boolean {
    return this.#readFirst !== undefined || this.#consents.mayHave(this.#origin);
  }

  /** Asks for the Consents of the patients whom the question names. False: they cannot be read. */
  async expected(): Promise<boolean> {
    return this.learn(this.#expected);
  }

  /**
   * Asks for the Consents of each of these patients who is not known, with a single call.
   *
   * @returns false: they cannot be read, so no row of the patients may be judged.
   */
  async learn(patients: Iterable<string>): Promise<boolean> {
    if (!this.book.isNeeded) return true;
    // the entries of a batch share the book
    while (this.#asking !== undefined) await this.#asking;
    const unknown = this.book.unknownOf(patients);
    if (unknown.length === 0) return true;
    const asking = this.#ask(unknown);
    this.#asking = asking.catch(() => false);
    try {
      return await asking;
    } finally {
      this.#asking = undefined;
    }
  }

  /** See `KnownFacts.denyingOf`. */
  async denyingOf(patient: string): Promise<number | undefined> {
    return (await this.learn([patient])) ? this.book.denyingOf(patient, this.#client) : undefined;
  }

  /**
   * Answers whether the Consents by which rows were judged are still the same: a withdrawal ends an answer, also
   * amid its windows (P4). False also when the Consents cannot be read, and for the first Consent of an origin.
   */
  async stand(): Promise<boolean> {
    if (!this.book.isNeeded) return !this.areOnFile;
    const { known } = this.book;
    if (known.length === 0) return true;
    const found = await this.#consents.consentsOf(this.#origin, known, this.#client);
    return found !== "unavailable" && this.book.isSame(found);
  }

  /** Grows with each {@link judgeAnew}: a decision of before rests on Consents that {@link stand} no longer covers. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Reads the Consents of every patient anew before the next decision: the request itself has filed a Consent. Call
   * it only if no row that was judged before will leave: {@link stand} covers the new decisions alone.
   */
  judgeAnew(): void {
    this.#generation += 1;
    this.#readAnew.clear();
    this.book.forget();
  }

  async #ask(patients: readonly string[]): Promise<boolean> {
    // No Consent of the individual counts in this request, so the origin is not asked for them.
    const judging = patients.filter((patient) => patient !== this.book.individual);
    if (judging.length > 0 && (await this.#readFirst?.(judging)) === false) return false;
    // The deltas may not have named a patient yet of whom this request has filed a Consent.
    const behind = this.#generation === 0 ? [] : patients.filter((patient) => !this.#readAnew.has(patient));
    if (behind.length > 0) this.#consents.reread(this.#origin, behind);
    for (const patient of behind) this.#readAnew.add(patient);
    const found = await this.#consents.consentsOf(this.#origin, patients, this.#client);
    if (found === "unavailable" || patients.some((patient) => !found.has(patient))) return false;
    this.book.learn(patients, found);
    return true;
  }
}

function bookOf(
  { policy, who, origin, traits, at }: JudgedQuestion,
  targets: TargetBook,
  hasConsents: boolean,
): ConsentBook {
  const bases: FhirBase = traits?.base === undefined ? origin.base : [origin.base, ...baseNames(traits.base)];
  const areNamesRead = traits?.consents !== undefined;
  return new ConsentBook({
    request: {
      recipient: recipientOf(who, bases, areNamesRead),
      holder: { references: noReferences, identifiers: new Set(traits?.organization), areNamesRead },
      purpose: who.purpose,
      api: policy.consentApi,
      at,
    },
    individual: individualOf(who, bases),
    publicBase: origin.base,
    targets,
    hasConsents,
  });
}

/** The holder's resource at the origin is not known: a Consent may mean it. */
const noReferences: ReadonlySet<string> = new Set();

/**
 * The names of the caller in a Consent: the signed-in user, by the user's reference at the origin, and the
 * client, by its id in the registry and by the identifiers of its organization. Without such identifiers each
 * organization that a Consent names may be the client's.
 */
function recipientOf(who: Asker, bases: FhirBase, areNamesRead: boolean): KnownParty {
  const name = `${areNamesRead} ${baseNames(bases).join(" ")}`;
  const known = recipients.get(who);
  if (known?.bases === name) return known.party;
  const { user, client } = who;
  const reference = parseReference(user ?? "", bases);
  const party = {
    references: new Set(reference.kind === "local" ? [`${reference.type}/${reference.id}`] : []),
    identifiers: new Set([`${clientSystem}|${client.id}`, ...(client.organization ?? [])]),
    areNamesRead,
  };
  recipients.set(who, { bases: name, party });
  return party;
}

/** A principal never changes, and is the same object for a token that is remembered (ADR 28). */
const recipients = new WeakMap<Asker, { readonly bases: string; readonly party: KnownParty }>();

/** The system of an identifier that names a client of the registry. */
const clientSystem = "urn:phylax:client";
