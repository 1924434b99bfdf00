import { unknownState } from "./breach-clocks.ts";
import type { AuditEvent, Counts, PatientCounts } from "./event.ts";

/** One whose health information a client got. */
export interface Affected<Place> {
  readonly patient: string; // `<origin>/Patient/<id>`
  /** Of residence, by the latest record that says one. */
  readonly state: string;
  /** Which record that is. */
  readonly stateFrom: Place | undefined;
  readonly first: number; // ms since 1970
  readonly last: number;
  /** Resources by type, summed over the records: one that was read twice counts twice. */
  readonly disclosed: Counts;
  /** Digests of the policies that the views came from. */
  readonly policies: readonly string[];
  /** Element paths that no record let out; whatever else the resources had may have left. */
  readonly withheld: readonly string[];
  /** Numbers of the records that say so, as they were taken in. */
  readonly records: readonly number[];
}

export interface BreachScope<Place> {
  readonly affected: readonly Affected<Place>[]; // by patient
  readonly byState: Counts;
  readonly disclosed: Counts; // as the records count it: a resource of several patients once
  /** Patients who were asked for and of whom nothing was found. */
  readonly askedInVain: readonly string[];
  /**
   * Patients whom its questions name beyond its reach: the client was told nothing of them, and knew their
   * ids.
   */
  readonly askedBeyondReach: readonly string[];
  /** Disclosed resources that name no patient: whose they are, nobody but the origin knows. */
  readonly unnamed: readonly string[];
  /** Patients whom writes of the client concern: no disclosure, but their records may have been changed. */
  readonly written: readonly string[];
}

/** What a record says of where somebody lives. */
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
 * Adds up what a client got (45 CFR 164.402: whose protected health information, and which). Windows of an
 * answer that broke off count: what they say may have left.
 *
 * @typeParam Place where a record stands, for who adds them up.
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
   * Takes in what an event says of where patients live: of any client and any time, since a search of
   * observations has no Patient in its answer. Of two that differ the later request holds, of one request the
   * later step: the notice goes to where people live now.
   */
  locate(event: AuditEvent, from: Place): void {
    for (const { patient, state } of event.patients) {
      if (state === undefined) continue;
      const [said, known] = [
        { state, at: event.at, step: event.step ?? 0, from },
        this.#residences.get(patient),
      ];
      if (known === undefined || isLater(said, known)) this.#residences.set(patient, said);
    }
  }

  /**
   * Takes an event in. Whether it tells of a disclosure, of a write, or of a question beyond reach: what has
   * to be proven.
   */
  add(event: AuditEvent, record: number): boolean {
    const beyond = event.asked ?? [];
    for (const patient of beyond) this.#beyond.add(patient);
    return this.#addNamed(event, record) || beyond.length > 0;
  }

  #addNamed(event: AuditEvent, record: number): boolean {
    if (event.kind === "write" || event.kind === "intent") {
      // An intent without an outcome: nobody knows, so it counts. That of a long answer names nobody.
      for (const { patient } of event.patients) this.#written.add(patient);
      return event.patients.length > 0;
    }
    if (event.kind !== "disclosure") return false;
    for (const one of event.patients) this.#addPatient(one, event, record);
    for (const one of event.unnamed) this.#unnamed.add(one);
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

  #addPatient(one: PatientCounts, event: AuditEvent, record: number): void {
    if (Object.keys(one.counts).length === 0) {
      this.#inVain.add(one.patient);
      return;
    }
    const withheld = new Set(event.withheld?.paths);
    const person: Person = this.#people.get(one.patient) ?? {
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
    addTo(person.disclosed, one.counts);
    person.records.push(record);
    this.#people.set(one.patient, person);
  }
}

/** Of one moment in two logs neither is later: the same one, in whatever order they are read. */
function isLater<Place>(one: Residence<Place>, other: Residence<Place>): boolean {
  return (one.at - other.at || one.step - other.step || (one.state > other.state ? 1 : -1)) > 0;
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
