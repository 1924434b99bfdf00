import type { Facts } from "#fhir/json/facts";
import { isOwnedBy } from "./compartment.ts";
import type { FhirBase } from "./reference.ts";

/** Targets of a request: five hundred Provenances with ten targets each. */
export const targetsMax = 5_000;

/**
 * The resources to which rows of a request refer, as far as the client may see them: a Provenance belongs to the
 * patients of all its targets. A target that is not known yet counts as hidden, and is noted; the gateway then
 * reads it and judges the rows again. Each target after the first {@link targetsMax} counts as hidden, also if it
 * could be seen, so the limit refuses no request by the number of hidden rows. The book counts these as
 * {@link unfollowed}, and a page ends before their row.
 */
export class TargetBook {
  /** By `Type/id`; `undefined`: absent, or hidden from the client. */
  readonly #known = new Map<string, Facts | undefined>();
  readonly #unknown = new Map<string, Set<string>>();
  /** `Type/id` of the targets within the limit, in the order of the rows. */
  readonly #counted = new Set<string>();
  #revision = 0;
  #unfollowed = 0;

  /** Grows when a known target may change a decision. */
  get revision(): number {
    return this.#revision;
  }

  /** How often a row named a target beyond the limit: the row is not judged by it. */
  get unfollowed(): number {
    return this.#unfollowed;
  }

  /** The ids of the noted targets, by type. */
  get unknown(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#unknown;
  }

  /** Answers whether the client may see a target and it belongs to these patients. */
  isOf(type: string, id: string, patients: ReadonlySet<string>, base: FhirBase): boolean {
    const target = this.#seen(type, id);
    return target !== undefined && isOwnedBy(target, patients, base);
  }

  /** Answers whether the client may see a target. */
  isSeen(type: string, id: string): boolean {
    return this.#seen(type, id) !== undefined;
  }

  #seen(type: string, id: string): Facts | undefined {
    const key = `${type}/${id}`;
    if (!this.#counted.has(key) && this.#counted.size >= targetsMax) {
      this.#unfollowed += 1;
      return undefined;
    }
    this.#counted.add(key);
    if (!this.#known.has(key)) this.#unknown.set(type, (this.#unknown.get(type) ?? new Set()).add(id));
    return this.#known.get(key);
  }

  /** @param seen the targets among these ids that the client may see, by id. */
  learn(type: string, ids: Iterable<string>, seen: ReadonlyMap<string, Facts>): void {
    for (const id of ids) {
      this.#known.set(`${type}/${id}`, seen.get(id));
      this.#unknown.get(type)?.delete(id);
    }
    if (this.#unknown.get(type)?.size === 0) this.#unknown.delete(type);
    if (seen.size > 0) this.#revision += 1;
  }
}
