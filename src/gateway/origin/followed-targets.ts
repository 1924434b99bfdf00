import type { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import { Discloser } from "#phi/disclose";
import type { NamedBases } from "#phi/row-views";
import { factsFor } from "#policy/facts";
import type { PolicyRefusal, SearchGrant } from "#policy/grant";
import type { TargetBook } from "#fhir/r4/target-book";
import type { Asking, RowsRefusal } from "./all-rows.ts";
import { questionsById, rowsById } from "./rows-by-id.ts";

/** The part of a session with an origin that judges the rows of an answer. */
export interface Judging extends Asking {
  basesAt(origin: FhirBase): NamedBases;
}

/** The targets of a request's Provenances: the book by which rows are judged, and the way to fill it. */
export class FollowedTargets {
  readonly book: TargetBook;
  readonly #grantOf: (type: ResourceType, ids: readonly string[]) => Result<SearchGrant, PolicyRefusal>;
  readonly #seen: DecidingRow[] = [];

  /** @param grantOf the search for these ids, as the client itself may search. */
  constructor(
    book: TargetBook,
    grantOf: (type: ResourceType, ids: readonly string[]) => Result<SearchGrant, PolicyRefusal>,
  ) {
    this.book = book;
    this.#grantOf = grantOf;
  }

  /** The targets that the client may see: they decided the answer. */
  get seen(): readonly DecidingRow[] {
    return this.#seen;
  }

  /**
   * Reads the noted targets. The book knows them once `stands` says that they were judged finally; otherwise the
   * reading begins again.
   */
  async learn(
    origin: Judging,
    stands: () => Promise<Result<boolean, RowsRefusal>>,
  ): Promise<Result<undefined, RowsRefusal>> {
    const found: (() => void)[] = [];
    for (const [type, ids] of questionsById(this.book.unknown)) {
      const seen = await this.#read(type, ids, origin);
      if (!seen.ok) return seen;
      found.push(() => {
        for (const row of seen.value.rows) this.#seen.push(row);
        this.book.learn(type, ids, seen.value.facts);
      });
    }
    const standing = await stands();
    if (!standing.ok) return standing;
    if (standing.value) for (const each of found) each();
    return ok(undefined);
  }

  async #read(
    type: string,
    ids: readonly string[],
    origin: Judging,
  ): Promise<
    Result<{ readonly facts: ReadonlyMap<string, Facts>; readonly rows: readonly DecidingRow[] }, RowsRefusal>
  > {
    const facts = new Map<string, Facts>();
    const rows: DecidingRow[] = [];
    const grant = isResourceType(type) ? this.#grantOf(type, ids) : undefined;
    if (grant?.ok !== true) return ok({ facts, rows });
    const wanted = new Set(ids);
    let discloser: Discloser | undefined;
    const keeps = (row: JsonObject, base: FhirBase): boolean => {
      const id = textAt(row, "id") ?? "";
      if (textAt(row, "resourceType") !== type || !wanted.has(id)) return false;
      discloser ??= new Discloser(grant.value, origin.basesAt(base));
      const seen = discloser.seen(row);
      if (seen === undefined) return false;
      facts.set(id, factsFor(grant.value, row));
      rows.push(seen);
      return false; // its facts go on
    };
    // A server that does not search by id has no target that could be seen.
    const read = await rowsById(type, ids, origin, keeps);
    return read.ok ? ok({ facts, rows }) : read;
  }
}
