import { patientsMax, type DisclosedWindow, type Disclosure, type ConcernedPatients } from "./disclosure.ts";

/** A row that the asker may see and that decided an answer. */
export interface DecidingRow extends ConcernedPatients {
  readonly type: string;
  readonly id: string;
}

/**
 * Patients whom the answer to a question concerns beside those of the resources in it: whom the question
 * names within the asker's reach, and of whom a row that the asker may see decided the answer (a hop, a
 * criterion, a condition, an ambiguity).
 */
export class AdditionalPatients {
  readonly #origin: string;
  readonly #named = new Set<string>();
  readonly #rows = new Map<string, DecidingRow>();
  #patients = 0;
  /** Whose names the client has paid for. */
  readonly #paid = new Set<string>();

  /** @param origin name of the origin whose patients these are. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  /** The question names this patient, within reach. */
  name(patient: string): void {
    this.#named.add(patient);
  }

  /** @returns whether there is room: an append of the ledger takes so many names and no more. */
  decide(row: DecidingRow): boolean {
    const key = `${row.type}/${row.id}`;
    if (this.#rows.has(key)) return true;
    this.#patients += Math.max(row.patients.size, row.room);
    if (this.#patients > patientsMax) return false;
    const { type, id, patients, unseen, room, unnamed } = row;
    this.#rows.set(key, { type, id, patients, unseen, room, unnamed });
    return true;
  }

  /** Those whom the question names, as records name them. */
  get named(): readonly string[] {
    return [...this.#named].map((patient) => this.#nameOf(patient));
  }

  /**
   * How many names are not paid for: all, or those of rows that decided. A patient of a resource in the
   * disclosure is paid for by that.
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

  /** All names of now are paid for. */
  pay(): void {
    for (const patient of [...this.#named, ...this.#deciding()]) this.#paid.add(patient);
  }

  /**
   * What is disclosed by a refusal, or by a write that shows nothing: that rows of these patients are as the
   * answer says.
   */
  alone(): DisclosedWindow | undefined {
    if (this.#rows.size === 0) return undefined;
    return this.#joined(nothing, new Set());
  }

  /**
   * A disclosure with these names beside its own, in its first window: on record before the first byte.
   * `undefined`: they have no room there.
   */
  join(disclosure: Disclosure): Disclosure | undefined {
    const [first, ...others] = disclosure.windows;
    if (first === undefined) return disclosure;
    const joined = this.#joined(first, disclosure.released);
    const elsewhere = new Set(others.flatMap(({ patients }) => patients.map(({ patient }) => patient)));
    const known = new Set(joined.patients.map(({ patient }) => patient));
    const inVain = this.named.filter((patient) => !known.has(patient) && !elsewhere.has(patient));
    const patients = [...joined.patients, ...inVain.map((patient) => ({ patient, counts: {} }))];
    if (this.#rows.size === 0 && inVain.length === 0) return disclosure;
    const { unseen, room } = joined;
    const names = patients.length - unseen.length + Math.max(room.names, unseen.length) + room.unnamed.length;
    if (names > patientsMax) return undefined;
    return { ...disclosure, windows: [{ ...joined, patients }, ...others] };
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
    return all;
  }

  #nameOf(patient: string): string {
    return `${this.#origin}/Patient/${patient}`;
  }
}

const hasCounts = ({ counts }: DisclosedWindow["patients"][number]): boolean =>
  Object.keys(counts).length > 0;

const nothing: DisclosedWindow = {
  body: new Uint8Array(),
  patients: [],
  unnamed: [],
  counts: {},
  records: 0,
  withheldResources: 0,
  unseen: [],
  room: { names: 0, unnamed: [], counts: {} },
};
