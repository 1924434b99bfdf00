import { utf8 } from "#kernel/encoded";
import { BodyParts } from "./body-parts.ts";

/**
 * A part of an answer that may be released, with the facts that the record must state before the release
 * (P1).
 */
export interface Disclosure {
  /**
   * In the order of the body, at least one window. Each window holds whole entries and closes at the first
   * entry end past 1 MiB; a single resource is never split.
   */
  readonly windows: readonly DisclosedWindow[];
  /** The resources in the answer, as `Type/id`. */
  readonly released: ReadonlySet<string>;
  /** For content outside of the FHIR server: the row that leads to the content, as `Type/id`. It does not leave. */
  readonly through?: string;
  /** The element paths that the view hides. */
  readonly withheldPaths: readonly string[];
  /**
   * For an answer of a single resource: the time of its last change as the body shows it
   * (`meta.lastUpdated`).
   */
  readonly representation?: { readonly lastUpdated: string | undefined };
  /** The media type and the protective headers of an answer that is not FHIR; the `Link` of a disputed resource. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the content of a Binary in its own media type. */
  readonly content?: {
    /** Equal for equal content: the validator of the answer is made of it. */
    readonly version: string;
    /** 206: `headers` say which range it is. */
    readonly status: 200 | 206;
    /** The bytes that it holds until its last window is sent. */
    readonly held: number;
    /** The windows behind the first, one after another. */
    readonly next: () => Promise<Pick<DisclosedWindow, "body" | "mark"> | undefined>;
    /** Nothing is read any more. It never throws. */
    readonly stop: () => Promise<void>;
  };
}

export interface DisclosedWindow {
  readonly body: Uint8Array<ArrayBuffer>;
  /** For content: whether the window is the last, which says the length and the SHA-256 (hex) of what left. */
  readonly mark?: { readonly complete: boolean; readonly bytes?: number; readonly contentDigest?: string };
  /**
   * Every concerned patient, as `<origin name>/Patient/<id>`, with the released resources that concern the
   * patient, by type. The counts are empty for a patient of a question that found nothing.
   */
  readonly patients: readonly {
    readonly patient: string;
    readonly counts: Readonly<Record<string, number>>;
  }[];
  /** Released resources about a person whom no reference names, as `Type/id`. */
  readonly unnamed: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /**
   * Resources that leave, including nested resources: the price of the answer if the grant counts records.
   */
  readonly records: number;
  /**
   * Resources that were dropped as a whole. Only the record states the number: the client must not learn it.
   */
  readonly withheldResources: number;
  /** The patients that only hidden elements name. */
  readonly unseen: readonly string[];
  /** The room that the window's record reserves, whatever hidden elements name. */
  readonly room: {
    readonly names: number;
    readonly unnamed: readonly string[];
    /** The highest counts that any of these patients can have. */
    readonly counts: Readonly<Record<string, number>>;
  };
}

/** A window in which no resource begins. */
export const nothingReleased: DisclosedWindow = {
  body: new Uint8Array(),
  patients: [],
  unnamed: [],
  counts: {},
  records: 0,
  withheldResources: 0,
  unseen: [],
  room: { names: 0, unnamed: [], counts: {} },
};

/** The patients that a released resource concerns, for its record. */
export interface ConcernedPatients {
  /**
   * Ids of the origin's patients: the owners of the resource, and the patients that released references name.
   */
  readonly patients: ReadonlySet<string>;
  /** The patients in `patients` that only hidden elements name. */
  readonly unseen: ReadonlySet<string>;
  /**
   * The number of unseen patients for which the record has room. The view and the released elements decide
   * it, never the hidden ones.
   */
  readonly room: number;
  /** The resource is about a person whom no reference names. */
  readonly unnamed: boolean;
}

/** The patients of two versions of a resource, both of which may be seen. */
export function concernedByBoth(one: ConcernedPatients, other: ConcernedPatients): ConcernedPatients {
  const seen = new Set(
    [one, other].flatMap(({ patients, unseen }) => [...patients].filter((patient) => !unseen.has(patient))),
  );
  const patients = new Set([...one.patients, ...other.patients]);
  const unseen = new Set([...patients].filter((patient) => !seen.has(patient)));
  return { patients, unseen, room: one.room + other.room, unnamed: one.unnamed };
}

/** A resource that leaves, redacted and serialized, with the patients that it concerns. */
export interface Released extends ConcernedPatients {
  /** The entries that a searchset with this resource must have, as JSON. */
  readonly notices?: readonly string[] | undefined;
  readonly type: string;
  readonly id: string;
  readonly text: Uint8Array;
  /** Nested resources that were dropped as a whole. */
  readonly withheld: number;
  /** The resource and its nested resources, at any depth. */
  readonly records: number;
}

/** Bytes of output. A shorter answer is recorded as a whole, before its first byte. */
export const windowBytes = 1_048_576;

/**
 * Patients of one window. At any length, this many accounting lines and names fit into one append of the
 * ledger (platform/ledger/object/append/draft).
 */
export const patientsMax = 5_000;

export interface TallySetting {
  /** The registry name of the patients' origin. */
  readonly name: string;
  /** The bytes that close a window; undefined: {@link windowBytes}. */
  readonly windowMax?: number | undefined;
}

/**
 * Assembles the body of an answer. It counts, window by window, the released resources and the patients they
 * concern.
 */
export class Tally {
  readonly #origin: string;
  readonly #windowBytes: number;
  readonly #closed: DisclosedWindow[] = [];
  readonly #body = new BodyParts();
  #patients = new Map<string, Record<string, number>>();
  #counts: Record<string, number> = {};
  /** The last resource, and how many like it were not yet counted: rows of a list are of one type and patient. */
  #last: Pick<Released, "type" | "patients" | "unseen"> | undefined;
  #uncounted = 0;
  #unnamed: string[] = [];
  #withheld = 0;
  readonly #released: string[] = [];
  readonly #seen = new Set<string>();
  #room = 0;
  #unnamedRoom: string[] = [];
  #records = 0;

  constructor({ name, windowMax = windowBytes }: TallySetting) {
    this.#origin = name;
    this.#windowBytes = windowMax;
  }

  add(released: Released): void {
    this.#note(released);
    this.#body.add(released.text);
  }

  #note(released: Released): void {
    const { type, id, patients, unseen, room, unnamed } = released;
    const key = `${type}/${id}`;
    this.#released.push(key);
    this.#records += released.records;
    this.#withheld += released.withheld;
    this.#room += room;
    if (room > 0) this.#unnamedRoom.push(key);
    if (unnamed) this.#unnamed.push(key);
    const last = this.#last;
    if (last === undefined || last.type !== type || last.patients !== patients || last.unseen !== unseen) {
      this.#count();
      this.#last = released;
      for (const patient of patients) {
        if (!unseen.has(patient)) this.#seen.add(patient);
        if (!this.#patients.has(patient)) this.#patients.set(patient, {});
      }
    }
    this.#uncounted += 1;
  }

  /** Counts the last resources. */
  #count(): void {
    if (this.#last === undefined) return;
    const { type, patients } = this.#last;
    this.#counts[type] = (this.#counts[type] ?? 0) + this.#uncounted;
    for (const patient of patients) {
      const counts = this.#patients.get(patient) ?? {};
      counts[type] = (counts[type] ?? 0) + this.#uncounted;
    }
    this.#last = undefined;
    this.#uncounted = 0;
  }

  /** Adds text that concerns no patient. */
  write(text: Uint8Array): void {
    this.#body.add(text);
  }

  /** States the number of all rows of a type, which the answer tells. */
  state(type: string, number: number): void {
    this.#count();
    this.#counts[type] = number;
  }

  withhold(resources: number): void {
    this.#withheld += resources;
  }

  /**
   * Writes a list: its entries with commas between them, and the text around them.
   *
   * @param isSearchset it has the notices of its entries; a history has no entry without a version.
   */
  writeList(
    [before, after]: readonly [string, string],
    entries: readonly Released[],
    isSearchset = true,
  ): void {
    this.write(utf8(before));
    let isFirst = true;
    for (const entry of entries) {
      if (isFirst) this.add(entry);
      else {
        this.mayClose(entry);
        this.#body.addBehindComma(entry.text);
        this.#note(entry);
      }
      isFirst = false;
    }
    const all = new Set<string>();
    if (isSearchset)
      for (const { notices } of entries) if (notices !== undefined) for (const each of notices) all.add(each);
    for (const notice of all) this.write(utf8(`,${notice}`));
    this.write(utf8(after));
  }

  /** Closes the window if it is long enough, or if the patients of the next resource do not fit. */
  mayClose(next: Released): void {
    // The room for names decides, not the number of names: hidden elements must not influence the windows.
    if (
      this.#body.length >= this.#windowBytes ||
      this.#names + next.patients.size - next.unseen.size + next.room > patientsMax
    )
      this.#close();
  }

  /** @param representation for an answer of a single resource. */
  disclosure(
    withheldPaths: readonly string[],
    representation?: NonNullable<Disclosure["representation"]>,
  ): Disclosure {
    const windows = this.#closed;
    if (this.#body.length > 0) windows.push(this.#window());
    const released = this.#released;
    if (representation !== undefined)
      return { windows, withheldPaths, representation, released: new Set(released) };
    let keys: ReadonlySet<string> | undefined;
    return {
      windows,
      withheldPaths,
      // a list has many, and few answers are asked for it
      get released() {
        return (keys ??= new Set(released));
      },
    };
  }

  /** The number of names, and references in place of names, that the record has room for. */
  get #names(): number {
    const unseen = this.#patients.size - this.#seen.size;
    return this.#seen.size + Math.max(this.#room, unseen) + this.#unnamedRoom.length;
  }

  #close(): void {
    this.#closed.push(this.#window());
    [this.#patients, this.#counts] = [new Map(), {}];
    [this.#unnamed, this.#withheld, this.#records] = [[], 0, 0];
    [this.#room, this.#unnamedRoom] = [0, []];
    this.#seen.clear();
  }

  #window(): DisclosedWindow {
    this.#count();
    const nameOf = (id: string) => `${this.#origin}/Patient/${id}`;
    const patients: { readonly patient: string; readonly counts: Record<string, number> }[] = [];
    const unseen: string[] = [];
    for (const [id, counts] of this.#patients) {
      const patient = nameOf(id);
      patients.push({ patient, counts });
      if (!this.#seen.has(id)) unseen.push(patient);
    }
    return {
      body: this.#body.take(),
      patients,
      unnamed: this.#unnamed,
      counts: this.#counts,
      records: this.#records,
      withheldResources: this.#withheld,
      unseen,
      room: { names: this.#room, unnamed: this.#unnamedRoom, counts: this.#counts },
    };
  }
}
