import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { ageAt, type Instant } from "#kernel/clock";
import { OfObjects } from "#kernel/memo";
import { ok, type Result } from "#kernel/result";
import type { ConsentBook } from "#policy/consent/consent-book";
import { rowFactsOf } from "#policy/consent/row-facts";
import { factsFor } from "#policy/facts";
import type { Grant } from "#policy/grant";
import { joinNeeds, type RowNeeds } from "#policy/row-needs";
import {
  isReferredFrom,
  referredRow,
  type Referred,
  ReferredLabels,
  type ReferredRow,
} from "#policy/sensitivity/referred-labels";
import { rowLabels } from "#policy/sensitivity/row-labels";
import type { Asking, RowsRefusal } from "#gateway/origin/asking";
import { questionsById, rowsById } from "#gateway/origin/rows-by-id";

/** How long labels are remembered: a label, or a rule that hides the resource, counts within this time. */
const rememberedMillis = 10_000;
/** The patients of rows may be thousands. */
const nameMax = 300;

/** A remembered resource; `row` is undefined if it is absent, or as absent for the caller. */
interface Remembered {
  readonly row: ReferredRow | undefined;
  readonly asOf: Instant;
}

/** By caller: callers see different rows. Settled data: no request waits for a further request. Some 10 MB. */
const remembered = new OfObjects<Remembered>(16_384, ({ row }) => 1 + (row?.patients?.length ?? 0) / 8);

/** The caller who asks, and the resources that the caller may see. */
export interface LabelsAsker {
  /** The object that stands for the caller in each request. */
  readonly caller: object;
  /** The grants by which the caller may see resources of a type, whatever these refer to. */
  readonly grantsOf: (type: ResourceType) => readonly Pick<Grant, "viewOf" | "needsOf" | "factPaths">[];
  /** The Consents of the rows' patients: a judgement by further Consents is not remembered. */
  readonly consents: Pick<ConsentBook, "sumOf">;
}

/** Fills the labels of the resources to which the rows of a request refer. */
export class LabelsAtOrigin {
  readonly book = new ReferredLabels();
  readonly #asker: LabelsAsker;
  readonly #at: Instant;

  constructor(asker: LabelsAsker, at: Instant) {
    this.#asker = asker;
    this.#at = at;
  }

  /** No resource of the request is known any more: the Consents have changed. */
  forget(): void {
    this.book.forget();
  }

  /**
   * Asks the origin for these resources, by the names that the book gave them, with one search for each type and each
   * fifty ids. A resource counts as labelled if the origin does not find it, or cannot search its type by id; if the
   * caller may not see it; if it belongs to a patient who is none of the row's. All of these are remembered alike.
   */
  async learn(names: Iterable<string>, origin: Asking): Promise<Result<undefined, RowsRefusal>> {
    const unknown = Map.groupBy(
      [...names].map((name) => this.book.named(name)).filter((each) => !this.#recall(each)),
      ({ resource }) => resource,
    );
    for (const [type, ids] of questionsById(unknown.keys())) {
      if (!isResourceType(type)) continue;
      const found = await this.#read(type, ids, unknown, origin);
      if (!found.ok) return found;
      for (const id of ids)
        for (const each of unknown.get(`${type}/${id}`) ?? []) {
          const row = found.value.get(id);
          this.#learn(each, row !== undefined && isReferredFrom(patientsOf(each), row) ? row : undefined);
        }
    }
    return ok(undefined);
  }

  /** The resources that the caller may see, and to which a row of their patients refers. */
  async #read(
    type: ResourceType,
    ids: readonly string[],
    asked: ReadonlyMap<string, readonly Referred[]>,
    origin: Asking,
  ): Promise<Result<ReadonlyMap<string, ReferredRow>, RowsRefusal>> {
    const found = new Map<string, ReferredRow>();
    const grants = this.#asker.grantsOf(type);
    const needs = (row: JsonObject, base: FhirBase): RowNeeds | undefined => {
      const meant = asked.get(`${type}/${textAt(row, "id")}`);
      if (meant === undefined || textAt(row, "resourceType") !== type) return undefined;
      const owners = referredRow(row, noLabels, base);
      const isOfRow = meant.some((each) => isReferredFrom(patientsOf(each), owners) && each.from !== "");
      // A resource of a further patient is as absent, so nothing is asked for it.
      return isOfRow || owners.patients === undefined ? needsBy(grants, row, base) : undefined;
    };
    const keeps = (row: JsonObject, base: FhirBase): boolean => {
      const id = textAt(row, "id") ?? "";
      if (textAt(row, "resourceType") !== type || !ids.includes(id)) return false;
      const isKnown = needsBy(grants, row, base) === undefined;
      const isSeen =
        isKnown && grants.some((grant) => grant.viewOf(factsFor(grant, row), base) !== undefined);
      if (isSeen) found.set(id, referredRow(row, rowFactsOf(row, base).labels, base));
      return false; // its labels and patients alone are retained
    };
    const read = await rowsById(type, ids, origin, { needs, keeps });
    return read.ok ? ok(found) : read;
  }

  /** Answers whether a resource is known. */
  #recall(referred: Referred): boolean {
    if (this.book.knows(referred)) return true;
    const known = remembered.get(this.#asker.caller, this.#nameOf(referred));
    if (known === undefined || ageAt(known.asOf, this.#at) >= rememberedMillis) return false;
    this.book.learn(referred, known.row);
    return true;
  }

  #learn(referred: Referred, row: ReferredRow | undefined): void {
    this.book.learn(referred, row);
    const name = this.#nameOf(referred);
    if (name.length <= nameMax) remembered.set(this.#asker.caller, name, { row, asOf: this.#at });
  }

  #nameOf({ resource, from }: Referred): string {
    return `${resource} ${from} ${this.#asker.consents.sumOf(from.split(","))}`;
  }
}

const noLabels = rowLabels([]);
const patientsOf = ({ from }: Referred): ReadonlySet<string> => new Set(from === "" ? [] : from.split(","));

/** The facts to learn before the caller's grants judge a resource. */
const needsBy = (
  grants: ReturnType<LabelsAsker["grantsOf"]>,
  row: JsonObject,
  base: FhirBase,
): RowNeeds | undefined =>
  joinNeeds(grants.flatMap((grant) => grant.needsOf(factsFor(grant, row), base) ?? []));
