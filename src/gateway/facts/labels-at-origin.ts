import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isResourceType } from "#fhir/r4/elements";
import { ageAt, type Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { rowFactsOf } from "#policy/consent/row-facts";
import { referredRow, ReferredLabels, type ReferredRow } from "#policy/sensitivity/referred-labels";
import type { Asking, RowsRefusal } from "#gateway/origin/asking";
import { questionsById, rowsById } from "./rows-by-id.ts";

/** How long labels are remembered: a label that an origin adds counts within this time. */
const rememberedMillis = 60_000;
const rememberedMax = 10_000;
/** By origin and `Type/id`. Settled data: no request waits for a further request. */
const remembered = new Map<string, { readonly row: ReferredRow; readonly asOf: Instant }>();

/** Fills the labels of the resources to which the rows of a request refer. */
export class LabelsAtOrigin {
  readonly book = new ReferredLabels();
  readonly #origin: string;
  readonly #at: Instant;

  constructor(origin: string, at: Instant) {
    this.#origin = origin;
    this.#at = at;
  }

  /**
   * Asks the origin for these resources (`Type/id`), with one search for each type and each hundred ids.
   * A resource that the origin does not find counts as labelled, as does each resource of a type that the origin
   * cannot search by id.
   */
  async learn(referred: Iterable<string>, origin: Asking): Promise<Result<undefined, RowsRefusal>> {
    const unknown: string[] = [];
    for (const reference of referred) {
      if (this.book.knows(reference)) continue;
      const known = remembered.get(`${this.#origin} ${reference}`);
      const isFresh = known !== undefined && ageAt(known.asOf, this.#at) < rememberedMillis;
      if (isFresh) this.book.learn(reference, known.row);
      else unknown.push(reference);
    }
    for (const [type, ids] of questionsById(unknown)) {
      const found = new Map<string, ReferredRow>();
      const keeps = (row: JsonObject, base: FhirBase): boolean => {
        const id = textAt(row, "id") ?? "";
        if (textAt(row, "resourceType") === type && ids.includes(id))
          found.set(id, referredRow(row, rowFactsOf(row, base).labels, base));
        return false; // its labels and patients alone are retained
      };
      const answer = isResourceType(type) ? await rowsById(type, ids, origin, { keeps }) : ok(undefined);
      if (!answer.ok) return answer;
      for (const [id, row] of found) this.#remember(`${type}/${id}`, row);
      for (const id of ids) this.book.learn(`${type}/${id}`, found.get(id));
    }
    return ok(undefined);
  }

  #remember(reference: string, row: ReferredRow): void {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value ?? "");
    remembered.set(`${this.#origin} ${reference}`, { row, asOf: this.#at });
  }
}
