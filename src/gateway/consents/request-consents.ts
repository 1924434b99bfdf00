import type { ConsentBook } from "#policy/consent/consent-book";
import type { Consents } from "#policy/consent/consents";
import type { FiledConsent } from "#policy/consent/decide-by-consents";

/** The Consents of a request's patients: the book by which rows are judged, and the port that fills it. */
export class RequestConsents {
  readonly book: ConsentBook;
  readonly #consents: Consents;
  readonly #origin: string;
  readonly #client: string;
  readonly #found = new Map<string, readonly FiledConsent[]>();
  #asking: Promise<boolean> | undefined;

  constructor(book: ConsentBook, consents: Consents, origin: string, client: string) {
    this.book = book;
    this.#consents = consents;
    this.#origin = origin;
    this.#client = client;
  }

  /**
   * Asks for the Consents of every patient whom the book does not know, with a single call.
   *
   * @returns false: they cannot be read, so nothing that rests on them may leave.
   */
  async learn(): Promise<boolean> {
    // the entries of a batch share the book
    while (this.#asking !== undefined) await this.#asking;
    if (this.book.unknown.size === 0) return true;
    const asking = this.#ask([...this.book.unknown]);
    this.#asking = asking;
    try {
      return await asking;
    } finally {
      this.#asking = undefined;
    }
  }

  /** Answers whether the Consents by which rows were judged are still the same: a withdrawal ends an answer. */
  async stand(): Promise<boolean> {
    const { known } = this.book;
    if (known.length === 0) return true;
    const found = await this.#consents.consentsOf(this.#origin, known, this.#client);
    return found !== "unavailable" && this.book.isSame(found);
  }

  async #ask(patients: readonly string[]): Promise<boolean> {
    const found = await this.#consents.consentsOf(this.#origin, patients, this.#client);
    if (found === "unavailable" || patients.some((patient) => !found.has(patient))) return false;
    for (const patient of patients) this.#found.set(patient, found.get(patient) ?? []);
    this.book.learn(patients, found);
    return true;
  }

  /**
   * Answers whether every Consent by which rows were judged still stands as it was: a withdrawal counts amid a long
   * answer too (P4). False also when the Consents cannot be read.
   */
  async stillHold(): Promise<boolean> {
    if (this.#found.size === 0) return true;
    const now = await this.#consents.consentsOf(this.#origin, [...this.#found.keys()], this.#client);
    if (now === "unavailable") return false;
    for (const [patient, before] of this.#found) if (!isSame(before, now.get(patient) ?? [])) return false;
    return true;
  }
}

/** The isolate gives the same list as long as no delta names the patient. */
const isSame = (before: readonly FiledConsent[], now: readonly FiledConsent[]): boolean =>
  before === now ||
  (before.length === now.length &&
    before.every(({ digest, mayPermit }, index) => {
      const other = now[index];
      return digest === other?.digest && mayPermit === other.mayPermit;
    }));
