import { unknownState } from "./breach-clocks.ts";
import type { AuditEvent, Counts, PatientCounts } from "./event.ts";

/** An individual whose health information a client received. */
export interface Affected<Place> {
  readonly patient: string; // `<origin>/Patient/<id>`
  /** State of residence, by the latest record that names one. */
  readonly state: string;
  /** The record that names the state. */
  readonly stateFrom: Place | undefined;
  readonly first: number; // ms since 1970
  readonly last: number;
  /** Resources by type, summed over the records: a resource that was read twice counts twice. */
  readonly disclosed: Counts;
  /** Digests of the policies that the views came from. */
  readonly policies: readonly string[];
  /** Element paths that were withheld in every record; all further elements may have left. */
  readonly withheld: readonly string[];
  /** Numbers of the records that prove it, in the order of their addition. */
  readonly records: readonly number[];
}

export interface BreachScope<Place> {
  readonly affected: readonly Affected<Place>[]; // by patient
  readonly byState: Counts;
  readonly disclosed: Counts; // as the records count: a resource of several patients counts once
  /** Patients in questions that found nothing. */
  readonly askedInVain: readonly string[];
  /**
   * Patients that the client's questions name outside its access: the client learned nothing about them, and
   * knew their ids.
   */
  readonly askedBeyondReach: readonly string[];
  /** Disclosed resources that name no patient: only the origin knows the owner. */
  readonly unnamed: readonly string[];
  /** Patients of the client's writes: not a disclosure, but their records may have been changed. */
  readonly written: readonly string[];
}

/** A patient's residence according to a record. */
interface Residence<Place> {
  readonly state: string;
  readonly at: number;
  readonly step: number;
  readonly from: Place;
}

interface Person {
  first: number;
  last: number;
  readonly disclosed: Map<string, number>;
  readonly policies: Set<string>;
  withheld: ReadonlySet<string>;
  readonly records: number[];
}

/**
 * Sums up the health information that a client received (45 CFR 164.402: the individuals, and the
 * information). Windows of an answer that broke off count: their content may have left.
 *
 * @typeParam Place the caller's type for the position of a record.
 */
export class BreachTally<Place> {
  readonly #people = new Map<string, Person>();
  readonly #disclosed = new Map<string, number>();
  readonly #inVain = new Set<string>();
  readonly #beyond = new Set<string>();
  readonly #unnamed = new Set<string>();
  readonly #written = new Set<string>();
  readonly #residences = new Map<string, Residence<Place>>();

  /**
   * Adds the patients' residences of an event: of any client and any time, since the answer to a search of
   * observations has no Patient in it. If two records differ, the later request counts, and within a request
   * the later step: the notice goes to the current residence.
   */
  locate(event: AuditEvent, from: Place): void {
    for (const { patient, state } of event.patients) {
      if (state === undefined) continue;
      const [stated, known] = [
        { state, at: event.at, step: event.step ?? 0, from },
        this.#residences.get(patient),
      ];
      if (known === undefined || isLater(stated, known)) this.#residences.set(patient, stated);
    }
  }

  /**
   * Adds an event. Returns whether it proves a disclosure, a write, or a question outside the client's
   * access.
   */
  add(event: AuditEvent, record: number): boolean {
    const beyond = event.asked ?? [];
    for (const patient of beyond) this.#beyond.add(patient);
    return this.#addNamed(event, record) || beyond.length > 0;
  }

  #addNamed(event: AuditEvent, record: number): boolean {
    if (event.kind === "write" || event.kind === "intent") {
      // An intent without an outcome counts, since its outcome is unknown. The intent of a long answer names
      // no patients.
      for (const { patient } of event.patients) this.#written.add(patient);
      return event.patients.length > 0;
    }
    if (event.kind !== "disclosure") return false;
    for (const item of event.patients) this.#addPatient(item, event, record);
    for (const item of event.unnamed) this.#unnamed.add(item);
    addTo(this.#disclosed, event.counts);
    return true;
  }

  get scope(): BreachScope<Place> {
    const affected = [...this.#people]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([patient, person]) => asAffected(patient, person, this.#residences.get(patient)));
    const byState = new Map<string, number>();
    for (const { state } of affected) byState.set(state, (byState.get(state) ?? 0) + 1);
    return {
      affected,
      byState: Object.fromEntries([...byState].sort(([a], [b]) => (a < b ? -1 : 1))),
      disclosed: Object.fromEntries(this.#disclosed),
      askedInVain: [...this.#inVain].filter((patient) => !this.#people.has(patient)).sort(),
      askedBeyondReach: [...this.#beyond].sort(),
      unnamed: [...this.#unnamed].sort(),
      written: [...this.#written].sort(),
    };
  }

  #addPatient(item: PatientCounts, event: AuditEvent, record: number): void {
    if (Object.keys(item.counts).length === 0) {
      this.#inVain.add(item.patient);
      return;
    }
    const withheld = new Set(event.withheld?.paths);
    const person: Person = this.#people.get(item.patient) ?? {
      first: event.at,
      last: event.at,
      disclosed: new Map(),
      policies: new Set(),
      withheld,
      records: [],
    };
    person.first = Math.min(person.first, event.at);
    person.last = Math.max(person.last, event.at);
    person.withheld = new Set([...person.withheld].filter((path) => withheld.has(path)));
    if (event.why?.policy !== undefined) person.policies.add(event.why.policy);
    addTo(person.disclosed, item.counts);
    person.records.push(record);
    this.#people.set(item.patient, person);
  }
}

/**
 * If two logs state different residences at the same moment, neither is later: the choice is constant, in any
 * order of reading.
 */
function isLater<Place>(item: Residence<Place>, other: Residence<Place>): boolean {
  return (item.at - other.at || item.step - other.step || (item.state > other.state ? 1 : -1)) > 0;
}

const asAffected = <Place>(
  patient: string,
  person: Person,
  residence: Residence<Place> | undefined,
): Affected<Place> => ({
  patient,
  state: residence?.state ?? unknownState,
  stateFrom: residence?.from,
  first: person.first,
  last: person.last,
  disclosed: Object.fromEntries(person.disclosed),
  policies: [...person.policies].sort(),
  withheld: [...person.withheld].sort(),
  records: person.records,
});

function addTo(sum: Map<string, number>, counts: Counts): void {
  for (const [type, count] of Object.entries(counts)) sum.set(type, (sum.get(type) ?? 0) + count);
}
