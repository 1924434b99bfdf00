import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isResourceType } from "#fhir/r4/elements";
import { ageAt, type Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { rowFactsOf } from "#policy/consent/row-facts";
import { ReferredLabels, referredRow, type ReferredRow } from "#policy/sensitivity/referred-labels";
import type { Asking, RowsRefusal } from "./all-rows.ts";
import { questionsById, rowsById } from "./rows-by-id.ts";

/** How long labels are remembered: a label that an origin adds counts within this time. */
const rememberedMillis = 60_000;
const rememberedMax = 10_000;
/** By origin and `Type/id`. Settled data: no request waits for a further request. */
const remembered = new Map<string, { readonly row: ReferredRow; readonly asOf: Instant }>();

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
      return known !== undefined && ageAt(known.asOf, at) < rememberedMillis ? known.row : undefined;
    });
  }

  /**
   * Asks the origin for the noted resources, with one search for each type and each hundred ids.
   * A resource that the origin does not find counts as labelled, as does each resource of a type that the origin
   * cannot search by id.
   */
  async learn(origin: Asking): Promise<Result<undefined, RowsRefusal>> {
    const read: (() => void)[] = [];
    for (const [type, ids] of questionsById(this.book.unknown)) {
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
        const answer = await rowsById(type, ids, origin, keeps);
        if (!answer.ok) return answer;
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
      asOf: this.#at,
    });
  }
}
