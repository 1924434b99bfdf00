import type { Bundle, BundleEntry } from "@medplum/fhirtypes";

/** A list of entries that may need more than one page. */
export interface PagedListing {
  readonly type: "searchset" | "history";
  /** The requested URL, which is the first page's `self` link. */
  readonly self: string;
  /**
   * The number of entries at the time of the request. Later writes move no entry from one page to another.
   */
  readonly length: number;
  /** False: the answer leaves the number out. The default is true. */
  readonly total?: boolean;
  /**
   * The current entries from one position up to another, without entries deleted meanwhile, with their
   * included resources.
   */
  readonly entries: (from: number, to: number) => BundleEntry[];
}

export interface PagesOptions {
  /** The maximum number of stored searches with more than one page; the oldest is deleted first. */
  readonly searchesMax?: number;
  readonly keptMilliseconds?: number;
}

/**
 * Pages behind opaque links on the FHIR base, in HAPI's manner:
 * `?_getpages=<id>&_getpagesoffset=20&_count=20`.
 */
export class Pages {
  readonly #base: string;
  readonly #searchesMax: number;
  readonly #keptMilliseconds: number;
  /** In the order of their creation, which is the order of their expiry. */
  readonly #kept = new Map<string, { readonly listing: PagedListing; readonly until: number }>();

  // 2,000: one search of 10,000 rows takes 80 KB here. An hour is HAPI's default.
  constructor(base: string, { searchesMax = 2_000, keptMilliseconds = 3_600_000 }: PagesOptions = {}) {
    this.#base = base;
    this.#searchesMax = searchesMax;
    this.#keptMilliseconds = keptMilliseconds;
  }

  /** The first page. A search is stored only if it has more pages. */
  first(listing: PagedListing, count: number): Bundle {
    const more = count > 0 && listing.length > count;
    return this.#page(listing, more ? this.#keep(listing) : undefined, 0, count, listing.self);
  }

  /** A further page; undefined when the search was never stored, or has expired. */
  turn(id: string, offset: number, count: number): Bundle | undefined {
    this.#forget();
    const listing = this.#kept.get(id)?.listing;
    return listing && this.#page(listing, id, offset, count, this.#link(id, offset, count));
  }

  #keep(listing: PagedListing): string {
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
    { type, length, total = true, entries }: PagedListing,
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
      ...((total || count === 0) && { total: length }), // a count of 0 requests the total alone
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
