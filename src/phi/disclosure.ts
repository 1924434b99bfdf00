import { joinBytes, utf8 } from "#fhir/bytes";

/** What may be released, and what the record must say of it before it is (P1). */
export interface Disclosure {
  /** In the order of the body, at least one. Each is whole entries, closed at the first end of one past 1 MiB; a single resource is never split. */
  readonly windows: readonly DisclosedWindow[];
  /** The element paths that the view hides. */
  readonly withheldPaths: readonly string[];
  /** Of one resource that is the whole answer: what its body shows of when it changed (`meta.lastUpdated`). */
  readonly representation?: { readonly lastUpdated: string | undefined };
  /** Of an answer that is no FHIR: its media type, and what guards it. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DisclosedWindow {
  readonly body: Uint8Array<ArrayBuffer>;
  /** Every patient concerned, as `<origin name>/Patient/<id>`, with the released resources that concern them, by type: none for one who was asked for in vain. */
  readonly patients: readonly { readonly patient: string; readonly counts: Readonly<Record<string, number>> }[];
  /** Released resources about somebody whom no reference names, as `Type/id`. */
  readonly unnamed: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Resources that leave, with those inside another one: what the answer costs where the grant counts records. */
  readonly records: number;
  /** Resources dropped whole: for the record only, since the reader may not know how many there are. */
  readonly withheldResources: number;
}

/** A resource that leaves, cut and written out, and whom it concerns. */
export interface Released {
  readonly type: string;
  readonly id: string;
  readonly text: Uint8Array;
  /** Ids of patients of the origin. */
  readonly patients: ReadonlySet<string>;
  readonly unnamed: boolean;
  /** Resources inside it that were dropped whole. */
  readonly withheld: number;
  /** It and the resources inside it, at any depth. */
  readonly records: number;
}

/** Of output. What is not longer is recorded at once, before its first byte. */
export const windowBytes = 1_048_576;

/** Of one window: so many accounting lines and names fit one append of the ledger, whatever their length (platform/durable/ledger-draft). */
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
  #records = 0;

  /** @param origin name of the origin whose patients these are. */
  constructor(origin: string) {
    this.#origin = origin;
  }

  add({ type, id, text, patients, unnamed, withheld, records }: Released): void {
    this.#records += records;
    this.#counts[type] = (this.#counts[type] ?? 0) + 1;
    this.#withheld += withheld;
    if (unnamed) this.#unnamed.push(`${type}/${id}`);
    for (const patient of patients) {
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

  /** Somebody whom the answer is about, whatever is in it. */
  name(patient: string): void {
    this.#patients.set(patient, this.#patients.get(patient) ?? {});
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
    if (this.#length >= windowBytes || this.#patients.size + next.patients.size > patientsMax) this.#close();
  }

  disclosure(withheldPaths: readonly string[]): Disclosure {
    if (this.#length > 0) this.#close();
    return { windows: this.#closed, withheldPaths };
  }

  #close(): void {
    this.#closed.push({
      body: joinBytes(this.#parts),
      patients: [...this.#patients].map(([id, counts]) => ({ patient: `${this.#origin}/Patient/${id}`, counts })),
      unnamed: this.#unnamed,
      counts: this.#counts,
      records: this.#records,
      withheldResources: this.#withheld,
    });
    [this.#parts, this.#length, this.#patients, this.#counts] = [[], 0, new Map(), {}];
    [this.#unnamed, this.#withheld, this.#records] = [[], 0, 0];
  }
}
