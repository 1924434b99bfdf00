import type { Bundle, BundleEntry } from "@medplum/fhirtypes";

/** An answer that may take more than one page. */
export interface Listing {
  readonly type: "searchset" | "history";
  /** The URL that was asked: what the first page calls itself. */
  readonly self: string;
  /** How many there were when it was asked. Later writes move nothing from one page to another. */
  readonly length: number;
  /** Whether the number is told; unless it is said otherwise, yes. */
  readonly total?: boolean;
  /** What stands from one place up to another now, without what was deleted meanwhile, and what comes with it. */
  readonly entries: (from: number, to: number) => BundleEntry[];
}

export interface PagesOptions {
  /** Searches with more than one page that are kept; the oldest goes first. */
  readonly searchesMax?: number;
  readonly keptMilliseconds?: number;
}

/** Pages behind opaque links on the FHIR base, in HAPI's manner: `?_getpages=<id>&_getpagesoffset=20&_count=20`. */
export class Pages {
  readonly #base: string;
  readonly #searchesMax: number;
  readonly #keptMilliseconds: number;
  /** In the order of their making, which is that of their end. */
  readonly #kept = new Map<string, { readonly listing: Listing; readonly until: number }>();

  // 2,000: one search of 10,000 rows takes 80 KB here. An hour is HAPI's default.
  constructor(base: string, { searchesMax = 2_000, keptMilliseconds = 3_600_000 }: PagesOptions = {}) {
    this.#base = base;
    this.#searchesMax = searchesMax;
    this.#keptMilliseconds = keptMilliseconds;
  }

  /** The first page. A search is kept only when there are more. */
  first(listing: Listing, count: number): Bundle {
    const more = count > 0 && listing.length > count;
    return this.#page(listing, more ? this.#keep(listing) : undefined, 0, count, listing.self);
  }

  /** A further page; undefined when the search is not kept, or no longer. */
  turn(id: string, offset: number, count: number): Bundle | undefined {
    this.#forget();
    const listing = this.#kept.get(id)?.listing;
    return listing && this.#page(listing, id, offset, count, this.#link(id, offset, count));
  }

  #keep(listing: Listing): string {
    const id = crypto.randomUUID();
    this.#kept.set(id, { listing, until: Date.now() + this.#keptMilliseconds });
    this.#forget();
    return id;
  }

  #forget(): void {
    const now = Date.now();
    for (const [id, { until }] of this.#kept) {
      if (until > now && this.#kept.size <= this.#searchesMax) return;
      this.#kept.delete(id);
    }
  }

  #page(
    { type, length, total = true, entries }: Listing,
    id: string | undefined,
    offset: number,
    count: number,
    self: string,
  ): Bundle {
    const entry = entries(offset, offset + count);
    return {
      resourceType: "Bundle",
      id: crypto.randomUUID(),
      meta: { lastUpdated: new Date().toISOString() },
      type,
      ...((total || count === 0) && { total: length }), // the total alone is all that a count of 0 asks for
      link: [
        { relation: "self", url: self },
        ...(id === undefined || count === 0 ? [] : this.#around(id, offset, count, length)),
      ],
      ...(entry.length > 0 && { entry }), // no array of FHIR JSON is empty (R4 §2.6.2)
    };
  }

  #around(
    id: string,
    offset: number,
    count: number,
    length: number,
  ): { readonly relation: string; readonly url: string }[] {
    const to = (relation: string, place: number) => ({ relation, url: this.#link(id, place, count) });
    return [
      to("first", 0),
      ...(offset > 0 ? [to("previous", Math.max(0, offset - count))] : []),
      ...(offset + count < length ? [to("next", offset + count)] : []),
      to("last", Math.floor((length - 1) / count) * count),
    ];
  }

  #link(id: string, offset: number, count: number): string {
    return `${this.#base}?_getpages=${id}&_getpagesoffset=${offset}&_count=${count}`;
  }
}
