import type { Facts } from "#fhir/json/facts";
import { textAt } from "#fhir/json/json";
import { TargetBook } from "#fhir/r4/target-book";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import { factsFor } from "#policy/facts";
import type { PolicyRefusal, SearchGrant } from "#policy/grant";
import type { RowReader, RowsRefusal } from "#gateway/origin/asking";
import { seenRows } from "#gateway/origin/seen-rows";
import { questionsById, rowsById } from "#gateway/origin/rows-by-id";

/** The search for these ids, as the client itself may search. */
export type GrantOf = (type: ResourceType, ids: readonly string[]) => Result<SearchGrant, PolicyRefusal>;

/** Fills the targets of a request's Provenances. */
export class TargetsAtOrigin {
  readonly book = new TargetBook();
  readonly #grantOf: GrantOf;
  readonly #seen: DecidingRow[] = [];

  constructor(grantOf: GrantOf) {
    this.#grantOf = grantOf;
  }

  /** The targets that the client may see: they decided the answer. */
  get seen(): readonly DecidingRow[] {
    return this.#seen;
  }

  /** Reads these targets (`Type/id`), each judged as a row of a search. */
  async learn(targets: Iterable<string>, origin: RowReader): Promise<Result<undefined, RowsRefusal>> {
    const unknown = [...targets].filter((target) => !this.book.knows(target));
    for (const [type, ids] of questionsById(unknown)) {
      const seen = await this.#read(type, ids, origin);
      if (!seen.ok) return seen;
      for (const id of ids) this.book.learn(`${type}/${id}`, seen.value.get(id));
    }
    return ok(undefined);
  }

  async #read(
    type: string,
    ids: readonly string[],
    origin: RowReader,
  ): Promise<Result<ReadonlyMap<string, Facts>, RowsRefusal>> {
    const facts = new Map<string, Facts>();
    const found = isResourceType(type) ? this.#grantOf(type, ids) : undefined;
    if (found?.ok !== true) return ok(facts);
    const wanted = new Set(ids);
    const judge = seenRows(found.value, origin, {
      isMeant: (row) => wanted.has(textAt(row, "id") ?? ""),
      take: (seen, row) => {
        facts.set(seen.id, factsFor(found.value, row));
        this.#seen.push(seen);
        return false; // its facts go on
      },
    });
    // A server that does not search by id has no target that could be seen.
    const read = await rowsById(type, ids, origin, judge);
    return read.ok ? ok(facts) : read;
  }
}
