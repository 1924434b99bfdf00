import { largest } from "#kernel/largest";
import type { FiledConsent } from "#policy/consent/decide-by-consents";
import type { ConsentRules } from "#policy/consent/consent";
import type { FiledChange } from "#policy/consent/consents";
import { readStoredForm } from "#policy/consent/stored-form";
import { ageAt, type Clock, type Instant } from "#kernel/clock";
import type { AppliedUpdate, RegistryPosition } from "#registry/revocation";
import { inTime } from "#platform/deadlines";
import type { ConsentOnFile, ConsentQuestion, ConsentsOnFile } from "./consent-desk.ts";
import { Newest } from "#kernel/memo";

/** The store of Consents: `control`, by RPC. */
export interface ConsentSource {
  of(question: ConsentQuestion): Promise<readonly ConsentsOnFile[]>;
}

/** Consents by patient id; every patient of the question is in it. */
export type ConsentsByPatient = ReadonlyMap<string, readonly FiledConsent[]>;

// A lease ends at most seven seconds after its guard asked for deltas (P4). A copy that may lack a delta of
// that age is not used.
const youngMilliseconds = 7_000;
// An active client's lease is renewed before this. A chain of deltas that is older may have ended.
const activeMilliseconds = 3_000;
// Deltas keep the copies right. This bounds the time for which an error could last.
const hardMilliseconds = 600_000;
const patientsMax = 20_000;
const rereadMax = 20_000;
const weightMax = 8_388_608; // characters of the forms of all copies, and of all rules
const changesMax = 1_000;
const formsMax = 5_000;

interface Copy {
  /** The pseudonyms in deltas: more than one while their key is replaced. */
  readonly subjects: readonly string[];
  readonly all: readonly FiledConsent[];
  readonly epoch: number;
  readonly read: Instant;
  readonly weight: number;
}

/** By origin and patient. */
class Copies extends Newest<Copy> {
  /** The names of copies by the pseudonyms in deltas. */
  readonly nameOf = new Map<string, string>();

  constructor() {
    super(patientsMax, weightMax, ({ weight }) => weight);
  }

  override set(name: string, copy: Copy): this {
    super.set(name, copy);
    if (this.has(name)) for (const subject of copy.subjects) this.nameOf.set(subject, name);
    return this;
  }

  override delete(name: string): boolean {
    for (const subject of this.get(name)?.subjects ?? []) this.nameOf.delete(subject);
    return super.delete(name);
  }
}

/**
 * This isolate's copies of the Consents of patients, also of patients without any Consent. A copy is right until
 * a delta names its patient, so no request reads the registry again while the deltas arrive (P4). The deltas of
 * any client are good for all copies, if they join the deltas that were applied before.
 */
export class IsolateConsents {
  readonly #source: ConsentSource;
  readonly #clock: Clock;
  readonly #copies = new Copies();
  /** By digest: patients with the same form share the rules. */
  readonly #rules = new Newest<{ readonly rules: ConsentRules; readonly weight: number }>(
    formsMax,
    weightMax,
    ({ weight }) => weight,
  );
  readonly #changes = new Map<string, number>(); // the newest change of a pseudonym, oldest first
  /**
   * Names of copies that only the primary database may replace. Of a name that is dropped the change has come with the
   * deltas meanwhile, or comes within ten seconds (P4).
   */
  readonly #reread = new Newest<true>(rereadMax);
  readonly #readOrigins = new Set<string>(); // deltas do not yet say that an origin has its first Consent
  /** The position after the last change that this isolate filed. */
  #ownChange: Pick<RegistryPosition, "epoch" | "bookmark"> = { epoch: 0, bookmark: null };
  #floor = 0; // changes up to this epoch are not all in `#changes`
  #known: { readonly standing: RegistryPosition; readonly asOf: Instant } | undefined;

  constructor(source: ConsentSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Takes a client's deltas. Call it before a request uses the lease that came with them. */
  apply({ standing, stale, after, asOf }: AppliedUpdate): void {
    const known = this.#known;
    if (known !== undefined && after !== undefined && after <= known.standing.epoch && stale !== "all") {
      for (const name of stale)
        if (name.startsWith("consent/")) this.#drop(name.slice("consent/".length), standing.epoch);
    } else if (known === undefined || standing.epoch > known.standing.epoch) {
      // Changes between the two epochs are unknown. If further clients' deltas still arrive, they name them.
      if (known !== undefined && ageAt(known.asOf, this.#clock()) < activeMilliseconds) return;
      this.#dropOlder(standing.epoch);
    }
    const isNewer =
      known === undefined ||
      standing.epoch > known.standing.epoch ||
      (standing.epoch === known.standing.epoch && asOf > known.asOf);
    if (isNewer) this.#known = { standing, asOf };
  }

  /**
   * The Consents in force for each patient, as they count for this client: a Consent that the client wrote itself
   * does not permit. `unavailable`: the registry does not answer, and there is no copy of every patient. At most a
   * single call of `control`, and none when the origin has no Consents.
   */
  async consentsOf(
    origin: string,
    patients: readonly string[],
    client: string,
  ): Promise<ConsentsByPatient | "unavailable"> {
    const at = this.#clock();
    const standing =
      this.#known !== undefined && ageAt(this.#known.asOf, at) < youngMilliseconds
        ? this.#known.standing
        : undefined;
    if (standing?.consentOrigins?.includes(origin) === false && !this.#readOrigins.has(origin))
      return new Map(patients.map((patient) => [patient, noConsents]));
    const found = new Map<string, readonly FiledConsent[]>();
    const missing = new Set<string>();
    for (const patient of patients) {
      const copy = standing && this.#copies.get(`${origin}/${patient}`);
      if (copy !== undefined && ageAt(copy.read, at) < hardMilliseconds)
        found.set(patient, asSeenBy(client, copy));
      else missing.add(patient);
    }
    if (missing.size === 0) return found;
    try {
      for (const [patient, copy] of await this.#load(origin, [...missing], standing, at))
        found.set(patient, asSeenBy(client, copy));
      return found;
    } catch {
      return "unavailable";
    }
  }

  /**
   * The Consents of these patients were read at the origin, and may have changed before the deltas say so: the
   * next question about them goes to the primary database.
   */
  reread(origin: string, patients: readonly string[]): void {
    this.#readOrigins.add(origin);
    for (const patient of patients) {
      const name = `${origin}/${patient}`;
      this.#copies.delete(name);
      this.#reread.set(name, true);
    }
  }

  /**
   * Takes a change that this isolate has filed, before its deltas come: an answer that says so is true here at once.
   * No copy of before is used, and none is made by a database that may lack the change.
   */
  applyFiled(origin: string, { records = [], epoch = 0, bookmark = null }: FiledChange): void {
    this.#readOrigins.add(origin);
    if (epoch > this.#ownChange.epoch) this.#ownChange = { epoch, bookmark };
    for (const name of records) this.#drop(name.slice("consent/".length), epoch);
  }

  mayHave(origin: string): boolean {
    return this.#readOrigins.has(origin) || this.#known?.standing.consentOrigins?.includes(origin) !== false;
  }

  async #load(
    origin: string,
    patients: readonly string[],
    standing: RegistryPosition | undefined,
    at: Instant,
  ): Promise<readonly (readonly [patient: string, copy: Copy])[]> {
    const isBehind = patients.some((patient) => this.#reread.has(`${origin}/${patient}`));
    const newest = (standing?.epoch ?? 0) < this.#ownChange.epoch ? this.#ownChange : standing;
    const answers = await inTime("consents", () =>
      this.#source.of({
        origin,
        patients,
        bookmark: isBehind || standing === undefined ? null : (newest?.bookmark ?? null),
        hasPending: standing?.pending.some((name) => name.startsWith(`consent/${origin}/`)) !== false,
      }),
    );
    if (answers.length !== patients.length) throw new Error("not an answer for each patient");
    return patients.map((patient, i) => {
      const { subject, formerSubjects = [], consents } = answers[i] ?? missingAnswer();
      const copy: Copy = {
        subjects: [subject, ...formerSubjects].map((name) => `${origin}/${name}`),
        all: consents.map((consent) => this.#filed(consent)),
        epoch: standing?.epoch ?? 0,
        read: at,
        weight: consents.reduce((sum, { form }) => sum + form.length, 0),
      };
      this.#keep(`${origin}/${patient}`, copy);
      this.#reread.delete(`${origin}/${patient}`);
      return [patient, copy];
    });
  }

  #filed({ consent, digest, form, mayPermit, filedBy, filedAt }: ConsentOnFile): FiledConsent {
    let rules = this.#rules.get(digest)?.rules;
    if (rules === undefined) {
      rules = readStoredForm(form);
      this.#rules.set(digest, { rules, weight: form.length });
    }
    return { consent, digest, rules, mayPermit, filedBy, filedAt };
  }

  /** Stores a copy, unless it may lack a change that arrived meanwhile. */
  #keep(key: string, copy: Copy): void {
    const changed = largest(copy.subjects.map((subject) => this.#changes.get(subject) ?? 0));
    if (copy.epoch === 0 || copy.epoch < this.#floor || copy.epoch < changed) return;
    const before = this.#copies.get(key);
    if (before !== undefined && before.epoch > copy.epoch) return;
    this.#copies.set(key, copy);
  }

  #drop(subject: string, epoch: number): void {
    // Deltas of different clients arrive in any order: an older delta never hides a later change.
    const latest = Math.max(epoch, this.#changes.get(subject) ?? 0);
    this.#changes.delete(subject);
    this.#changes.set(subject, latest);
    if (this.#changes.size > changesMax) {
      const [[oldest, changed] = ["", 0]] = this.#changes;
      this.#changes.delete(oldest);
      this.#floor = Math.max(this.#floor, changed);
    }
    const key = this.#copies.nameOf.get(subject);
    if (key !== undefined && (this.#copies.get(key)?.epoch ?? 0) < epoch) this.#copies.delete(key);
  }

  #dropOlder(epoch: number): void {
    this.#floor = Math.max(this.#floor, epoch);
    for (const [key, copy] of this.#copies) if (copy.epoch < epoch) this.#copies.delete(key);
  }
}

const noConsents: readonly FiledConsent[] = [];

/** A client never benefits from a Consent that it wrote. */
const asSeenBy = (client: string, { all }: Copy): readonly FiledConsent[] =>
  all.some(({ mayPermit, filedBy }) => mayPermit && filedBy === client)
    ? all.map((filed) => (filed.filedBy === client ? { ...filed, mayPermit: false } : filed))
    : all;

function missingAnswer(): never {
  throw new Error("not an answer for each patient");
}
