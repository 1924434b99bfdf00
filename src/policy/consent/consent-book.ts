import { coversPurpose } from "#fhir/r4/purpose-of-use";
import { Facts, type Sought } from "#fhir/json/facts";
import { isOwnedBy } from "#fhir/r4/compartment";
import { isCompartmentType } from "#fhir/r4/compartment-tables";
import { allConcernedBy, concernedBy, type ConcernedByRow } from "#fhir/r4/concerned-patients";
import { textAt, type JsonObject } from "#fhir/json/json";
import { nestedResources } from "#fhir/json/nested-resources";
import type { FhirBase } from "#fhir/r4/reference";
import { targetsOf, type TargetBook } from "#fhir/r4/target-book";
import type { ConsentDecision, ConsentPolicy, FiledConsent } from "./decide-by-consents.ts";
import type { Statement } from "./consent.ts";
import type { ConsentRequest } from "./judge-consent.ts";
import type { RowLabels } from "#policy/sensitivity/row-labels";
import { isHarmless, labelsOf } from "#policy/labels";
import { isContentType } from "#fhir/route";
import { soughtBy, timesAsked, type AskedTimes } from "./asked-facts.ts";
import { knownConsents, NamesOfRequest, noConsents, type KnownConsents } from "./known-consents.ts";
import { capturedRowFacts, rowFactsOf, type ConsentRowFacts } from "./row-facts.ts";

/** The request whose rows the Consents judge. */
export interface ConsentSetting {
  readonly request: Omit<ConsentRequest, "isByLabel" | "action">;
  /** The id of the individual who asks for their own records: no Consent limits that access (45 CFR 164.524). */
  readonly individual: string | undefined;
  /** The gateway's FHIR base of the origin: a row may name its patient by it. */
  readonly publicBase: FhirBase;
  /**
   * If the origin has Consents on file, a Provenance leaves only if each target may leave, since it need not name the
   * patient of its targets.
   */
  readonly targets?: TargetBook | undefined;
  /**
   * The origin has Consents on file: no row is judged before the Consents of its patients are known, and any Consent
   * may be of a patient whom a row does not identify, so that such a row does not leave.
   */
  readonly hasConsents?: boolean;
}

/** A row was judged before the Consents of its patients were known: an error of the program, and the row is hidden. */
export class ConsentsUnknown extends Error {
  override readonly name = "ConsentsUnknown";
}

/**
 * The Consents of the patients of one request, as far as they are known. Ask {@link lacking} before a row is judged:
 * {@link of} throws for a row of a patient who is not known, if the origin has Consents on file.
 */
export class ConsentBook {
  readonly #setting: ConsentSetting;
  readonly #known = new Map<string, KnownConsents>();
  readonly #names: NamesOfRequest;
  #sought:
    | { readonly answers: number; readonly labels: boolean; readonly sought: Sought | undefined }
    | undefined;
  /** The Consents that let a row through, by `consent digest`. */
  readonly #permitting = new Map<string, ConsentOfPatient>();
  /** By the id of the Binary. */
  readonly #openers = new Map<string, Opener>();
  /** Changes with each answer of {@link learn}: earlier facts of a row do not count any more. */
  #answers = 0;
  #isNeeded: boolean;

  constructor(setting: ConsentSetting) {
    this.#setting = setting;
    this.#names = new NamesOfRequest(setting.request);
    this.#isNeeded = setting.hasConsents === true;
  }

  /** Answers whether a row is judged only once the Consents of its patients are known. */
  get isNeeded(): boolean {
    return this.#isNeeded;
  }

  /** Answers whether a Provenance is judged by its targets. */
  get followsTargets(): boolean {
    const { targets, individual } = this.#setting;
    return this.#isNeeded && targets !== undefined && individual === undefined;
  }

  /** The patients whose Consents are known. */
  get known(): readonly string[] {
    return [...this.#known.keys()];
  }

  /**
   * How many Consents in force of a known patient may only deny, since neither the patient nor a registrar filed them:
   * those that a client filed count twice.
   */
  denyingOf(patient: string, client: string): number {
    const denying = (this.#known.get(patient)?.inForce ?? []).filter(
      ({ mayPermit, rules }) => !mayPermit && rules.statement === undefined,
    );
    if (denying.some(({ rules }) => rules.standsForUnread === true)) return Infinity;
    return denying.length + denying.filter(({ filedBy }) => filedBy === client).length;
  }

  /** The versions of Consents that let a row through. */
  get permitting(): readonly ConsentOfPatient[] {
    return [...this.#permitting.values()];
  }

  /** The statements in force that follow disputed rows of a patient; none of a patient who is not known. */
  statingOf(patient: string): readonly FiledConsent[] {
    return this.#known.get(patient)?.stating ?? noConsents.stating;
  }

  /** The texts by which the known Consents judge rows. @param labels see {@link soughtBy}. */
  sought(labels: boolean): Sought | undefined {
    const last = this.#sought;
    if (last?.answers === this.#answers && last.labels === labels) return last.sought;
    const all = [...this.#known.values()].filter(({ asked }) => asked.length > 0);
    const [only = noConsents] = all;
    const sought =
      all.length > 1
        ? soughtBy(
            all.flatMap(({ asked }) => asked),
            labels,
          )
        : only.sought(labels);
    this.#sought = { answers: this.#answers, labels, sought };
    return sought;
  }

  /** The id of the individual who asks for records of their own. */
  get individual(): string | undefined {
    return this.#setting.individual;
  }

  /** Answers whether these are the Consents by which rows were judged. */
  isSame(found: ReadonlyMap<string, readonly FiledConsent[]>): boolean {
    return [...this.#known].every(([patient, known]) => {
      const filed = this.#counting(patient, found);
      if (filed === known.filed) return true;
      const now = filed.filter(({ rules }) => rules.isActive);
      const names = (consents: readonly FiledConsent[]) =>
        consents
          .map(({ digest, mayPermit }) => `${digest} ${mayPermit}`)
          .toSorted()
          .join();
      return names(now) === names(known.inForce);
    });
  }

  /** Names the Consents in force of these patients by a sum, for as long as an isolate remembers their decisions. */
  sumOf(patients: readonly string[]): number {
    const inForce = this.#isNeeded ? patients.flatMap((id) => this.#known.get(id)?.inForce ?? []) : [];
    return inForce.reduce(
      (sum, { digest, mayPermit }) => sum + parseInt(digest.slice(0, 11), 16) + (mayPermit ? 1 : 0),
      0,
    );
  }

  /** @param found for each of the patients; a patient who is missing has no Consent. */
  learn(patients: Iterable<string>, found: ReadonlyMap<string, readonly FiledConsent[]>): void {
    this.#answers += 1;
    for (const patient of patients)
      this.#known.set(patient, knownConsents(this.#counting(patient, found), this.#names));
  }

  /** The Consents that count: of the individual who asks, the statements alone. */
  #counting(patient: string, found: ReadonlyMap<string, readonly FiledConsent[]>): readonly FiledConsent[] {
    const filed = found.get(patient) ?? [];
    return patient === this.individual ? filed.filter(({ rules }) => rules.statement !== undefined) : filed;
  }

  /** No patient is known any more: a Consent was filed, which may be the first of the origin. */
  forget(): void {
    this.#answers += 1;
    this.#isNeeded = true;
    this.#known.clear();
  }

  /**
   * A visible row leads to the content of a Binary, which names no patient. The Consents of the row are known.
   *
   * @returns from its call on the patients of the row judge the labels of the Binary of the id.
   */
  opening(row: JsonObject, base: FhirBase): (id: string) => void {
    const facts = Facts.of(
      row,
      Object.keys(row).map((name) => [name]),
    );
    const opener = {
      ...allConcernedBy(facts, this.basesAt(base)),
      individual: this.#individualOf(facts, base),
    };
    return (id) => {
      this.#answers += 1;
      this.#openers.set(id, opener);
    };
  }

  #openerOf(row: Facts): Opener | undefined {
    const isContent = this.#openers.size > 0 && isContentType(textAt(row, "resourceType"));
    return isContent && !isHarmless(labelsOf(row)) ? this.#openers.get(textAt(row, "id") ?? "") : undefined;
  }

  /** The patients whose Consents are not known yet. */
  unknownOf(patients: Iterable<string>): readonly string[] {
    return [...patients].filter((patient) => !this.#known.has(patient));
  }

  /** The patients whose Consents judge a row, or a resource inside it, or whose statements follow it, and are not known. */
  lacking(row: Facts, base: FhirBase): readonly string[] {
    if (!this.#isNeeded) return [];
    const bases = this.basesAt(base);
    const whole = Facts.wholeOf(row);
    const own = this.#individualOf(row, base);
    const opener = this.#openerOf(row);
    if (opener !== undefined || whole === undefined)
      return this.unknownOf(own ?? (opener ?? concernedBy(row, bases)).patients);
    const patients = new Set(own);
    for (const { resource } of nestedResources(whole))
      if (own === undefined || resource !== whole)
        for (const patient of concernedBy(resource, bases).patients) patients.add(patient);
    return this.unknownOf(patients);
  }

  /** All FHIR bases by which a row of the origin may name a patient. */
  basesAt(base: FhirBase): readonly FhirBase[] {
    return [base, this.#setting.publicBase];
  }

  /** The individual who asks, if the row belongs to no further patient. */
  #individualOf(row: Facts, base: FhirBase): readonly [string] | undefined {
    const opener = this.#openerOf(row);
    if (opener !== undefined) return opener.individual;
    const { individual } = this.#setting;
    const isOwn = individual !== undefined && isOwnedBy(row, new Set([individual]), base);
    return isOwn ? [individual] : undefined;
  }

  /**
   * The Consents that judge a row. The individual's own row is judged by no Consent, also by none of a further
   * patient who only took part in it.
   * @param action the row is disclosed, or it is written.
   */
  of(row: Facts, base: FhirBase, action: ConsentRequest["action"] = "read"): RowConsents {
    const work = Facts.workOn(row);
    const known = work.read(this) as KnownOfRow | undefined;
    if (known?.base === base && known.action === action && known.answers === this.#answers)
      return known.found;
    const found = this.#of(row, base, action);
    // The book of the targets learns by itself.
    const hasTargets = textAt(row, "resourceType") === "Provenance" && this.followsTargets;
    if (!hasTargets) work.keep(this, { base, action, answers: this.#answers, found });
    return found;
  }

  #of(row: Facts, base: FhirBase, action: ConsentRequest["action"]): RowConsents {
    const bases = this.basesAt(base);
    const whole = Facts.wholeOf(row);
    const { patients, unnamed, unidentified } =
      this.#openerOf(row) ?? (whole === undefined ? concernedBy(row, bases) : allConcernedBy(whole, bases));
    const { individual, targets } = this.#setting;
    const isWithheld =
      action === "read" &&
      targets !== undefined &&
      this.followsTargets &&
      textAt(row, "resourceType") === "Provenance" &&
      !seesTargets(row, bases, targets);
    const own = this.#individualOf(row, base);
    const isIndividuals = own !== undefined;
    const judging = isIndividuals ? [] : patients.filter((patient) => patient !== individual);
    const knownOf = (patient: string) => {
      const known = this.#known.get(patient);
      if (known === undefined && this.#isNeeded) throw new ConsentsUnknown();
      return known ?? noConsents;
    };
    const consents = judging.map(knownOf);
    const following = consents.length === patients.length ? consents : (own ?? patients).map(knownOf);
    const isOwn = isIndividuals || (judging.length === 0 && patients.length > 0 && !unnamed);
    // A patient without a usable reference is still a patient.
    const isOfNoPatient =
      patients.length === 0 && !unnamed && !isCompartmentType(textAt(row, "resourceType") ?? "");
    return new RowConsents(
      { ...this.#setting.request, action },
      consents,
      following,
      {
        isExempt: isOwn || isOfNoPatient,
        isIndividuals,
        isWithheld,
        isUnidentified: unidentified && !isIndividuals,
        hasConsents: this.#isNeeded,
      },
      () => (whole === undefined ? capturedFactsOf(row, base) : rowFactsOf(whole, base, Facts.workOn(row))),
      (version) => this.#note(version),
    );
  }

  #note({ consent, digest }: PermittingVersion): void {
    const name = `${consent} ${digest}`;
    if (this.#permitting.has(name)) return;
    for (const [patient, { judging }] of this.#known) {
      const filed = judging.find((each) => each.consent === consent && each.digest === digest);
      if (filed !== undefined) return void this.#permitting.set(name, { consent, digest, patient, filed });
    }
  }
}

/** The patients of a visible row that leads to a content. */
interface Opener extends ConcernedByRow {
  /** The individual who asks, if the row belongs to no further patient. */
  readonly individual: readonly [string] | undefined;
}

/** The Consents that judge a row: several decisions ask about it, and each Consent is asked once. */
interface KnownOfRow {
  readonly base: FhirBase;
  readonly action: ConsentRequest["action"];
  readonly answers: number;
  readonly found: RowConsents;
}

/** Answers whether the client may see each target of a Provenance; the Consents of a Patient are asked apart. */
const seesTargets = (row: Facts, bases: readonly FhirBase[], targets: TargetBook): boolean =>
  targetsOf(row, bases).every((target) => {
    if (target === "inside") return true; // it is judged with its container
    return target !== "elsewhere" && (isOfNoRow(target.type) || targets.isSeen(target.type, target.id));
  });

const ofNoRow: ReadonlySet<string> = new Set([
  "Patient",
  "Practitioner",
  "PractitionerRole",
  "Organization",
  "Location",
]);

/** Answers whether a target of this type is not read: it belongs to no row, or is asked apart. */
export const isOfNoRow = (type: string): boolean => ofNoRow.has(type);

/** The facts of a row of which only the bytes were read. */
const capturedFactsOf = (row: Facts, base: FhirBase): ConsentRowFacts =>
  capturedRowFacts(row, base, {
    labels: labelsOf(row),
    work: Facts.workOn(row),
    lacks: Facts.absentIn(row),
  });

// Their entries name patients of their own.
const containers: ReadonlySet<string> = new Set(["Bundle", "Parameters"]);

/** A version of a Consent: its pseudonym, and the digest of its compiled form. */
export type PermittingVersion = Pick<FiledConsent, "consent" | "digest">;

/** A Consent that let a row of its patient through. */
export interface ConsentOfPatient extends PermittingVersion {
  /** The patient's id at the origin. */
  readonly patient: string;
  readonly filed: FiledConsent;
}

/** How a row stands to its patients. */
interface RowStanding {
  /** The row is of the individual who asks, or of no patient: no base policy holds for it. */
  readonly isExempt: boolean;
  /** The row belongs to the individual who asks, and to no further patient. */
  readonly isIndividuals: boolean;
  /** A target of the row does not leave. */
  readonly isWithheld: boolean;
  /** The row concerns a patient whose Consents cannot be known. */
  readonly isUnidentified: boolean;
  /** The origin has Consents on file. */
  readonly hasConsents: boolean;
}

/** The Consents of the patients of a row. */
export class RowConsents {
  readonly #request: Omit<ConsentRequest, "isByLabel">;
  readonly #patients: readonly KnownConsents[];
  /** With the individual who asks, whom no Consent limits. */
  readonly #following: readonly KnownConsents[];
  readonly #standing: RowStanding;
  readonly #read: () => ConsentRowFacts;
  /** Gets each Consent that permits. */
  readonly #onPermit: (version: PermittingVersion) => void;
  #facts: ConsentRowFacts | undefined;
  /** By the question: each rule of a policy may ask the same. */
  readonly #decided = new Map<string, readonly ConsentDecision[]>();

  constructor(
    request: Omit<ConsentRequest, "isByLabel">,
    patients: readonly KnownConsents[],
    following: readonly KnownConsents[],
    standing: RowStanding,
    read: () => ConsentRowFacts,
    onPermit: (version: PermittingVersion) => void,
  ) {
    this.#request = request;
    this.#patients = patients;
    this.#following = following;
    this.#standing = standing;
    this.#read = read;
    this.#onPermit = onPermit;
  }

  /** The Consents for a row, or a part of it, that has different labels than its bytes say. */
  relabelled(change: (labels: RowLabels) => RowLabels): RowConsents {
    const read = () => {
      this.#facts ??= this.#read();
      return { ...this.#facts, labels: change(this.#facts.labels) };
    };
    const [patients, following, standing] = [this.#patients, this.#following, this.#standing];
    return new RowConsents(this.#request, patients, following, standing, read, this.#onPermit);
  }

  /** The row belongs to the individual who asks, and to no further patient. */
  get isIndividuals(): boolean {
    return this.#standing.isIndividuals;
  }

  /** A Consent is in force for a patient of the row. */
  get hasConsentInForce(): boolean {
    return this.#patients.some(({ inForce }) => inForce.length > 0);
  }

  /** The questions of the Consents about the time and the authors of the row; undefined: there is none. */
  get times(): AskedTimes | undefined {
    const [only, ...further] = this.#patients;
    return further.length === 0 ? only?.times : timesAsked(this.#patients.flatMap(({ asked }) => asked));
  }

  /** See `Grant.needsWhole`. */
  get needsWhole(): "plain" | "whole" | undefined {
    if (this.#following.every(({ inForce }) => inForce.length === 0)) return undefined;
    const facts = (this.#facts ??= this.#read());
    if (containers.has(facts.type)) return "plain";
    if (!this.#following.every((known) => known.areAnsweredBy(facts))) return "whole";
    return this.statements.length === 0 ? undefined : "plain";
  }

  /** The statements that follow the row, or for a Bundle the rows in it. Ask {@link needsWhole} first. */
  get statements(): readonly Statement[] {
    const all = this.#following.flatMap(({ stating }) =>
      stating.flatMap(({ rules }) => rules.statement ?? []),
    );
    if (all.length === 0) return all;
    const { reference, type } = (this.#facts ??= this.#read());
    return containers.has(type) ? all : all.filter(({ rows }) => rows.includes(reference));
  }

  /**
   * Answers whether the base policy and the Consents of every patient permit the row.
   */
  permit(rulePolicy: ConsentPolicy): boolean {
    if (this.#standing.isWithheld) return false;
    const policy = this.#policyFor(rulePolicy);
    if (this.#cannotBeJudged(policy)) return false;
    if (this.#standing.isExempt && !this.hasConsentInForce) return true;
    if (this.#patients.length === 0 || !this.hasConsentInForce) return policy.base === "honoured";
    return this.#permitTogether(this.#decisions(policy, false));
  }

  /**
   * No Consent can be asked about the row: a Consent of the unidentified patient may deny it, or the base
   * requires one. A write names its new patients by no id yet, and the base is about disclosures.
   */
  #cannotBeJudged({ base }: ConsentPolicy): boolean {
    const { isUnidentified, hasConsents } = this.#standing;
    return isUnidentified && this.#request.action === "read" && (hasConsents || base === "required");
  }

  /** The base policy is about disclosures: a write without a verdict is permitted. */
  #policyFor(rulePolicy: ConsentPolicy): ConsentPolicy {
    return this.#request.action === "write" ? { ...rulePolicy, base: "honoured" } : rulePolicy;
  }

  /** Answers whether a Consent of every patient permits the row and names its labels, or a general one opens them. */
  permitLabels(policy: Omit<ConsentPolicy, "base">): boolean {
    return this.labelPermits(policy) !== undefined;
  }

  /** Answers whether each patient's Consents permit data, of which the row is none, and nothing else denies the row. */
  permitOtherData(rulePolicy: ConsentPolicy): boolean {
    const policy = this.#policyFor(rulePolicy);
    if (this.#standing.isWithheld || this.#patients.length === 0 || this.#cannotBeJudged(policy))
      return false;
    const decisions = this.#decisions(policy, false);
    const isSo = decisions.every((each) => each.isPermitted || each.isBeyondData === true);
    if (isSo) this.#note(decisions);
    return isSo;
  }

  /**
   * The provision of each patient that permits the row by its labels; undefined: not of every patient.
   */
  labelPermits(
    policy: Omit<ConsentPolicy, "base">,
  ): readonly NonNullable<ConsentDecision["because"]>[] | undefined {
    if (this.#standing.isUnidentified) return undefined;
    const decisions = this.#decisions({ ...policy, base: "required" }, true);
    const found = decisions.flatMap(({ because }) => because ?? []);
    return found.length > 0 && found.length === decisions.length && this.#permitTogether(decisions)
      ? found
      : undefined;
  }

  /**
   * The provision that keeps the row back, for a record: of the first patient whose Consents do not permit
   * it. `target`: a target of the row does not leave. `unidentified`: the row concerns a patient whose
   * Consents cannot be known. Undefined: no Consent denies.
   */
  denial(
    rulePolicy: ConsentPolicy,
  ): NonNullable<ConsentDecision["because"]> | "target" | "unidentified" | undefined {
    if (this.#standing.isWithheld) return "target";
    const policy = this.#policyFor(rulePolicy);
    if (this.#cannotBeJudged(policy)) return "unidentified";
    for (const { isPermitted, because } of this.#decisions(policy, false))
      if (!isPermitted && because !== undefined) return because;
    return undefined;
  }

  /** The decisions of each patient's Consents, made once. */
  #decisions(policy: ConsentPolicy, isByLabel: boolean): readonly ConsentDecision[] {
    const question = `${policy.base} ${policy.combining} ${isByLabel} ${policy.generalOpens?.name}`;
    const known =
      this.#decided.get(question) ??
      this.#patients.map((consents) => this.#decide(consents, policy, isByLabel));
    this.#decided.set(question, known);
    return known;
  }

  #decide(known: KnownConsents, policy: ConsentPolicy, isByLabel: boolean): ConsentDecision {
    if (known.judging.length === 0) return { isPermitted: policy.base === "honoured", because: undefined };
    const facts = (this.#facts ??= this.#read());
    // The engine asks first whether it needs the whole row.
    const isOpened = isByLabel && policy.generalOpens !== undefined; // by labels from codes too
    if (!known.areAnsweredBy(facts) || (isOpened && !knowsLabels(facts.captured)))
      return { isPermitted: false, because: undefined };
    return known.decide({ ...this.#request, isByLabel }, facts, policy);
  }

  /** The Consents of one patient let nothing through that the Consents of a further patient deny. */
  #permitTogether(decisions: readonly ConsentDecision[]): boolean {
    const isPermitted = decisions.every((each) => each.isPermitted);
    if (isPermitted) this.#note(decisions);
    return isPermitted;
  }

  #note(decisions: readonly ConsentDecision[]): void {
    for (const { because } of decisions) if (because !== undefined) this.#onPermit(because);
  }
}

const knowsLabels = (captured: ConsentRowFacts["captured"]): boolean =>
  captured === undefined || captured.lacks?.labels === true;

/** The base without a rule of the policy: research and marketing need a permission (45 CFR 164.508). */
export const defaultBase = (purpose: string | undefined): ConsentPolicy["base"] =>
  purpose !== undefined && (coversPurpose("HRESCH", purpose) || coversPurpose("HMARKT", purpose))
    ? "required"
    : "honoured";
