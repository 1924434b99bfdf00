import type { ReadConsent } from "#gateway/consents/consent-filing";
import type { ConsentBook } from "#policy/consent/consent-book";
import type { Consents } from "#policy/consent/consents";

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

/** Brings the Consents of patients on file up to the state at the origin. False: it is not known. */
export type ReadAtOriginFirst = (patients: readonly string[]) => Promise<boolean>;

/** The Consents of a request's patients: the book by which rows are judged, and the port that fills it. */
export class RequestConsents {
  readonly book: ConsentBook;
  readonly #consents: Consents;
  readonly #origin: string;
  readonly #client: string;
  readonly #readFirst: ReadAtOriginFirst | undefined;
  /** The patients whom the question names. */
  readonly #expected: ReadonlySet<string>;
  #asking: Promise<boolean> | undefined;
  #generation = 0;
  /** The patients who were read since the last filing of this request. */
  readonly #readAnew = new Set<string>();

  /** @param readFirst for an origin whose entry says that its own Consents are read. */
  constructor(
    book: ConsentBook,
    consents: Consents,
    { origin, client, expected }: { origin: string; client: string; expected: Iterable<string> },
    readFirst?: ReadAtOriginFirst,
  ) {
    this.book = book;
    this.#consents = consents;
    this.#origin = origin;
    this.#client = client;
    this.#expected = new Set(expected);
    this.#readFirst = readFirst;
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

  /** How many Consents in force of a patient may only deny; undefined: they cannot be read. */
  async denyingOf(patient: string): Promise<number | undefined> {
    return (await this.learn([patient])) ? this.book.denyingOf(patient) : undefined;
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
    if (this.#readFirst !== undefined && !(await this.#readFirst(patients))) return false;
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
