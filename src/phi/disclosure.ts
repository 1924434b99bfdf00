import { joinBytes, utf8 } from "#fhir/json/bytes";

/** What may be released, and what the record must say of it before it is (P1). */
export interface Disclosure {
  /**
   * In the order of the body, at least one. Each is whole entries, closed at the first end of one past 1 MiB;
   * a single resource is never split.
   */
  readonly windows: readonly DisclosedWindow[];
  /** The resources in it, as `Type/id`. */
  readonly released: ReadonlySet<string>;
  /** The element paths that the view hides. */
  readonly withheldPaths: readonly string[];
  /**
   * Of one resource that is the whole answer: what its body shows of when it changed (`meta.lastUpdated`).
   */
  readonly representation?: { readonly lastUpdated: string | undefined };
  /** Of an answer that is no FHIR: its media type, and what guards it. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DisclosedWindow {
  readonly body: Uint8Array<ArrayBuffer>;
  /**
   * Every patient concerned, as `<origin name>/Patient/<id>`, with the released resources that concern them,
   * by type: none for one who was asked for in vain.
   */
  readonly patients: readonly {
    readonly patient: string;
    readonly counts: Readonly<Record<string, number>>;
  }[];
  /** Released resources about somebody whom no reference names, as `Type/id`. */
  readonly unnamed: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /**
   * Resources that leave, with those inside another one: what the answer costs where the grant counts
   * records.
   */
  readonly records: number;
  /** Resources dropped whole: for the record only, since the reader may not know how many there are. */
  readonly withheldResources: number;
  /** Of the patients those whom nothing names that leaves. */
  readonly unseen: readonly string[];
  /** For which the record of the window has room, whatever hidden elements name. */
  readonly room: {
    readonly names: number;
    readonly unnamed: readonly string[];
    /** The most that one of these patients can have. */
    readonly counts: Readonly<Record<string, number>>;
  };
}

/** Whom a resource concerns that is shown: for its record. */
export interface ConcernedPatients {
  /** Ids of patients of the origin: whose it is, and to whom what leaves refers. */
  readonly patients: ReadonlySet<string>;
  /** Of these the ones whom nothing names that leaves. */
  readonly unseen: ReadonlySet<string>;
  /** For so many unseen ones its record has room: by the view and by what leaves, whatever is hidden. */
  readonly room: number;
  /** It is about somebody whom no reference names. */
  readonly unnamed: boolean;
}

/** Whom two versions of a resource concern, both of which may be seen. */
export function concernedByBoth(one: ConcernedPatients, other: ConcernedPatients): ConcernedPatients {
  const seen = new Set(
    [one, other].flatMap(({ patients, unseen }) => [...patients].filter((patient) => !unseen.has(patient))),
  );
  const patients = new Set([...one.patients, ...other.patients]);
  const unseen = new Set([...patients].filter((patient) => !seen.has(patient)));
  return { patients, unseen, room: one.room + other.room, unnamed: one.unnamed };
}

/** A resource that leaves, cut and written out, and whom it concerns. */
export interface Released extends ConcernedPatients {
  readonly type: string;
  readonly id: string;
  readonly text: Uint8Array;
  /** Resources inside it that were dropped whole. */
  readonly withheld: number;
  /** It and the resources inside it, at any depth. */
  readonly records: number;
}

/** Of output. What is not longer is recorded at once, before its first byte. */
export const windowBytes = 1_048_576;

/**
 * Of one window: so many accounting lines and names fit one append of the ledger, whatever their length
 * (platform/ledger/object/append/draft).
 */
export const patientsMax = 5_000;

const comma = utf8(",");

/** Puts the body of an answer together and counts, window by window, what leaves and whom it concerns. */
export class Tally {
  readonly #origin: string;
  readonly #closed: DisclosedWindow[] = [];
  #parts: Uint8Array[] = [];
  #length = 0;
  #patients = new Map<string, Record<string, number>>();
  #counts: Record<string, number> = {};
  #unnamed: string[] = [];
  #withheld = 0;
  readonly #released = new Set<string>();
  readonly #seen = new Set<string>();
  #room = 0;
  #unnamedRoom: string[] = [];
  #records = 0;

  /** @param origin name of the origin whose patients these are. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  add({ type, id, text, patients, unseen, room, unnamed, withheld, records }: Released): void {
    const key = `${type}/${id}`;
    this.#released.add(key);
    this.#records += records;
    this.#counts[type] = (this.#counts[type] ?? 0) + 1;
    this.#withheld += withheld;
    this.#room += room;
    if (room > 0) this.#unnamedRoom.push(key);
    if (unnamed) this.#unnamed.push(key);
    for (const patient of patients) {
      if (!unseen.has(patient)) this.#seen.add(patient);
      const counts = this.#patients.get(patient) ?? {};
      counts[type] = (counts[type] ?? 0) + 1;
      this.#patients.set(patient, counts);
    }
    this.write(text);
  }

  /** Text of the answer that is about nobody. */
  write(text: Uint8Array): void {
    this.#parts.push(text);
    this.#length += text.length;
  }

  withhold(resources: number): void {
    this.#withheld += resources;
  }

  /** The entries of a list with commas between them, and the text around them. */
  writeList([before, after]: readonly [string, string], entries: readonly Released[]): void {
    this.write(utf8(before));
    for (const [index, entry] of entries.entries()) {
      if (index > 0) {
        this.mayClose(entry);
        this.write(comma);
      }
      this.add(entry);
    }
    this.write(utf8(after));
  }

  /** Ends the window when it is long enough, or the next resource has not room for whom it concerns. */
  mayClose(next: Released): void {
    // By the room for names and not by how many there are: hidden elements decide nothing about the windows.
    if (
      this.#length >= windowBytes ||
      this.#names + next.patients.size - next.unseen.size + next.room > patientsMax
    )
      this.#close();
  }

  disclosure(withheldPaths: readonly string[]): Disclosure {
    if (this.#length > 0) this.#close();
    return { windows: this.#closed, withheldPaths, released: this.#released };
  }

  /** So many names, and references in their place, the record has room for. */
  get #names(): number {
    const unseen = this.#patients.size - this.#seen.size;
    return this.#seen.size + Math.max(this.#room, unseen) + this.#unnamedRoom.length;
  }

  #close(): void {
    const nameOf = (id: string) => `${this.#origin}/Patient/${id}`;
    this.#closed.push({
      body: joinBytes(this.#parts),
      patients: [...this.#patients].map(([id, counts]) => ({ patient: nameOf(id), counts })),
      unnamed: this.#unnamed,
      counts: this.#counts,
      records: this.#records,
      withheldResources: this.#withheld,
      unseen: [...this.#patients.keys()].filter((id) => !this.#seen.has(id)).map(nameOf),
      room: { names: this.#room, unnamed: this.#unnamedRoom, counts: this.#counts },
    });
    [this.#parts, this.#length, this.#patients, this.#counts] = [[], 0, new Map(), {}];
    [this.#unnamed, this.#withheld, this.#records] = [[], 0, 0];
    [this.#room, this.#unnamedRoom] = [0, []];
    this.#seen.clear();
  }
}
