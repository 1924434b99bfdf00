import {
  nothingReleased,
  patientsMax,
  type DisclosedWindow,
  type Disclosure,
  type ConcernedPatients,
} from "./disclosure.ts";

/** A row that the client may see and that decided an answer. */
export interface DecidingRow extends ConcernedPatients {
  readonly type: string;
  readonly id: string;
}

/**
 * The patients that an answer concerns in addition to the patients of its resources: patients that the
 * question names within the client's access, and patients of a visible row that decided the answer (a hop, a
 * criterion, a condition, an ambiguity).
 */
export class AdditionalPatients {
  readonly #origin: string;
  readonly #named = new Set<string>();
  readonly #rows = new Map<string, DecidingRow>();
  #patients = 0;
  /** The windows of an answer that decided its own refusal. */
  #refused: Disclosure | undefined;
  /** The patients that the client has paid for by its record limit. */
  readonly #paid = new Set<string>();

  /** @param origin the registry name of the patients' origin. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** The question names this patient, within the client's access. */
  name(patient: string): void {
    this.#named.add(patient);
  }

  /** @returns whether there is room: an append of the ledger takes a limited number of names. */
  decide(row: DecidingRow): boolean {
    const key = `${row.type}/${row.id}`;
    if (this.#rows.has(key)) return true;
    this.#patients += Math.max(row.patients.size, row.room);
    if (this.#patients > patientsMax) return false;
    const { type, id, patients, unseen, room, unnamed } = row;
    this.#rows.set(key, { type, id, patients, unseen, room, unnamed });
    return true;
  }

  /** Notes all of these rows, or none: they may take half of the names of an append, so that further rows have room. */
  decideAll(rows: readonly DecidingRow[]): boolean {
    const added = rows.filter(({ type, id }) => !this.#rows.has(`${type}/${id}`));
    const names = added.reduce((sum, { patients, room }) => sum + Math.max(patients.size, room), 0);
    return this.#patients + names <= patientsMax / 2 && added.every((row) => this.decide(row));
  }

  /** This answer does not leave, and its visible rows decided that. */
  refuse(disclosure: Disclosure): void {
    this.#refused = disclosure;
  }

  /** The patients that the question names, in the form of records. */
  get named(): readonly string[] {
    return [...this.#named].map((patient) => this.#nameOf(patient));
  }

  /**
   * The number of unpaid names: all names, or without a disclosure only those of deciding rows. A resource in
   * the disclosure pays for its patients.
   */
  due(disclosure?: Disclosure): number {
    const paid = new Set(
      disclosure?.windows.flatMap(({ patients }) => patients.filter(hasCounts).map(({ patient }) => patient)),
    );
    const names =
      disclosure === undefined ? this.#deciding() : new Set([...this.#named, ...this.#deciding()]);
    return [...names].filter((patient) => !this.#paid.has(patient) && !paid.has(this.#nameOf(patient)))
      .length;
  }

  /** Marks all current names as paid. */
  pay(): void {
    for (const patient of [...this.#named, ...this.#deciding()]) this.#paid.add(patient);
  }

  /**
   * The disclosures of a refusal, or of a write that shows nothing: rows of these patients are as the answer
   * says.
   */
  alone(): readonly DisclosedWindow[] {
    const { windows, released } = this.#refused ?? nothingRefused;
    const refused = windows.map(({ patients, unnamed, unseen, room }) =>
      Object.assign({}, nothingReleased, { patients, unnamed, unseen, room }),
    );
    const isRefused = (row: string) => released.has(row);
    return [...this.#rows.keys()].every(isRefused)
      ? refused
      : [...refused, this.#joined(nothingReleased, released)];
  }

  /**
   * Adds these names to a disclosure, in its first window, so that they are on record before the first byte. If the
   * window has no room for them, one without a byte comes before. `undefined`: they are too many for any window.
   */
  join(disclosure: Disclosure): Disclosure | undefined {
    const [first, ...others] = disclosure.windows;
    if (first === undefined || (this.#rows.size === 0 && this.#areNamed(disclosure))) return disclosure;
    const joined = this.#joined(first, disclosure.released);
    const elsewhere = new Set(others.flatMap(({ patients }) => patients.map(({ patient }) => patient)));
    const known = new Set(joined.patients.map(({ patient }) => patient));
    const inVain = this.named
      .filter((patient) => !known.has(patient) && !elsewhere.has(patient))
      .map((patient) => ({ patient, counts: {} }));
    if (this.#rows.size === 0 && inVain.length === 0) return disclosure;
    const patients = [...joined.patients, ...inVain];
    if (namesIn({ ...joined, patients }) <= patientsMax)
      return { ...disclosure, windows: [{ ...joined, patients }, ...others] };
    const alone = this.#joined(nothingReleased, disclosure.released);
    const before = { ...alone, patients: [...alone.patients, ...inVain] };
    return namesIn(before) > patientsMax ? undefined : { ...disclosure, windows: [before, first, ...others] };
  }

  /** Every patient whom the question names is in a window: so it is for most answers. */
  #areNamed({ windows }: Disclosure): boolean {
    const named = new Set(this.named);
    for (const { patients } of windows) for (const { patient } of patients) named.delete(patient);
    return named.size === 0;
  }

  #joined(window: DisclosedWindow, released: ReadonlySet<string>): DisclosedWindow {
    const patients = new Map(window.patients.map(({ patient, counts }) => [patient, { ...counts }]));
    const seen = new Set(
      window.patients.flatMap(({ patient }) => (window.unseen.includes(patient) ? [] : [patient])),
    );
    const [unnamed, unnamedRoom, totals] = [
      new Set(window.unnamed),
      new Set(window.room.unnamed),
      { ...window.room.counts },
    ];
    let names = window.room.names;
    for (const [key, row] of this.#rows) {
      if (released.has(key)) continue;
      totals[row.type] = (totals[row.type] ?? 0) + 1;
      names += row.room;
      if (row.unnamed) unnamed.add(key);
      if (row.room > 0) unnamedRoom.add(key);
      for (const id of row.patients) {
        const patient = this.#nameOf(id);
        const counts = patients.get(patient) ?? {};
        counts[row.type] = (counts[row.type] ?? 0) + 1;
        patients.set(patient, counts);
        if (!row.unseen.has(id)) seen.add(patient);
      }
    }
    return {
      ...window,
      patients: [...patients].map(([patient, counts]) => ({ patient, counts })),
      unnamed: [...unnamed],
      unseen: [...patients.keys()].filter((patient) => !seen.has(patient)),
      room: { names, unnamed: [...unnamedRoom], counts: totals },
    };
  }

  #deciding(): ReadonlySet<string> {
    const all = new Set<string>();
    for (const { patients } of this.#rows.values()) for (const patient of patients) all.add(patient);
    for (const { patients } of this.#refused?.windows ?? [])
      for (const { patient } of patients) all.add(patient.slice(this.#nameOf("").length));
    return all;
  }

  #nameOf(patient: string): string {
    return `${this.#origin}/Patient/${patient}`;
  }
}

const nothingRefused: Pick<Disclosure, "windows" | "released"> = { windows: [], released: new Set() };

/** The names for which the record of a window has room. */
const namesIn = ({ patients, unseen, room }: DisclosedWindow): number =>
  patients.length - unseen.length + Math.max(room.names, unseen.length) + room.unnamed.length;

const hasCounts = ({ counts }: DisclosedWindow["patients"][number]): boolean =>
  Object.keys(counts).length > 0;
