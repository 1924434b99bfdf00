import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isResourceType } from "#fhir/r4/elements";
import { instant, type Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { rowFactsOf } from "#policy/consent/row-facts";
import { ReferredLabels, referredRow, type ReferredRow } from "#policy/sensitivity/referred-labels";
import { allRows, type Asking, type RowsRefusal } from "./all-rows.ts";
import { chunks } from "./followed-targets.ts";

const idsMaxOfQuestion = 100;

/** How long labels are remembered: a label that an origin adds counts within this time. */
const rememberedMillis = 60_000;
const rememberedMax = 10_000;
/** By origin and `Type/id`. Settled data: no request waits for a further request. */
const remembered = new Map<string, { readonly row: ReferredRow; readonly until: Instant }>();

/** The labels through references of a request: the book by which rows are judged, and the way to fill it. */
export class FollowedLabels {
  readonly book: ReferredLabels;
  readonly #origin: string;
  readonly #at: Instant;

  constructor(origin: string, at: Instant) {
    this.#origin = origin;
    this.#at = at;
    this.book = new ReferredLabels((reference) => {
      const known = remembered.get(`${origin} ${reference}`);
      return known !== undefined && known.until > at ? known.row : undefined;
    });
  }

  /**
   * Asks the origin for the noted resources, with one search for each type and each hundred ids.
   * A resource that the origin does not find counts as labelled.
   */
  async learn(origin: Asking): Promise<Result<undefined, RowsRefusal>> {
    const read: (() => void)[] = [];
    const noted = [...this.book.unknown].flatMap(([type, ids]) =>
      chunks([...ids], idsMaxOfQuestion).map((some) => [type, some] as const),
    );
    for (const [type, ids] of noted) {
      const found = new Map<string, ReferredRow>();
      const keeps = (row: JsonObject, base: FhirBase): boolean => {
        const id = textAt(row, "id") ?? "";
        if (textAt(row, "resourceType") === type && ids.includes(id)) {
          const referred = referredRow(row, rowFactsOf(row, base).labels, base);
          found.set(id, referred);
          this.#remember(`${type}/${id}`, referred);
        }
        return false; // its labels and patients alone are retained
      };
      if (isResourceType(type)) {
        const question = { path: type, query: `_id=${ids.join(",")}&_count=${ids.length}`, posted: true };
        const asked = await allRows(question, ids.length, origin, keeps);
        if (!asked.ok && !isUnsupported(asked.error)) return asked;
      }
      read.push(() => this.book.learn(type, ids, found));
    }
    // Together: once the book changes, the reading begins again.
    for (const each of read) each();
    return ok(undefined);
  }

  #remember(reference: string, row: ReferredRow): void {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value ?? "");
    remembered.set(`${this.#origin} ${reference}`, {
      row,
      until: instant(this.#at + rememberedMillis),
    });
  }
}

/** The origin has no search by id for this type: its resources count as labelled. */
const isUnsupported = (refusal: RowsRefusal): boolean =>
  refusal.reason === "absent" ||
  refusal.reason === "posted_search_not_at_origin" ||
  (refusal.reason === "origin_refused" && refusal.status >= 400 && refusal.status < 500);
