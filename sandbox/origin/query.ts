import { err, ok, type Result } from "#kernel/result";
import { readCriterion, type Criterion, type SearchRefusal } from "./criterion.ts";
import { pageSizes, readPageSize } from "./page-size.ts";
import { searchParametersOf, type SearchParameter } from "./search-parameters.ts";

/** A search of one type, understood to the last parameter. */
export interface Query {
  readonly type: string;
  /** All must be met. */
  readonly criteria: readonly Criterion[];
  readonly sort: readonly { readonly by: SearchParameter; readonly descending: boolean }[];
  /** At most so many entries on a page; 0: only the total. */
  readonly count: number;
}

/** Reads the pairs of a query string or a form, in order. Repeated parameters must all be met (R4 §3.1.1.4.3). */
export function readQuery(type: string, pairs: Iterable<readonly [string, string]>, base: string): Result<Query, SearchRefusal> {
  const criteria: Criterion[] = [];
  const sort: { by: SearchParameter; descending: boolean }[] = [];
  let count: number = pageSizes.default;
  for (const [name, value] of pairs) {
    switch (name) {
      case "_format":
        if (!/^(?:json|application\/(?:fhir\+)?json)(?:;.*)?$/u.test(value))
          return err({ reason: "unsupported", text: "Only JSON is spoken here." });
        break;
      case "_pretty":
        break;
      case "_total":
        if (!["none", "estimate", "accurate"].includes(value)) return err(badValue(name));
        break;
      case "_count": {
        const size = readPageSize(value);
        if (size === undefined) return err(badValue(name));
        count = size;
        break;
      }
      case "_summary":
        if (value !== "count" && value !== "false") return err({ reason: "unsupported", text: "_summary can be count or false." });
        if (value === "count") count = 0;
        break;
      case "_sort":
        for (const written of value.split(",")) {
          const by = searchParametersOf(type).get(written.replace(/^-/u, ""));
          if (by === undefined) return err({ reason: "unknown_parameter", text: "_sort names no search parameter of this type." });
          sort.push({ by, descending: written.startsWith("-") });
        }
        break;
      default: {
        const criterion = readCriterion(type, name, value, base);
        if (!criterion.ok) return criterion;
        criteria.push(criterion.value);
      }
    }
  }
  return ok({ type, criteria, sort, count });
}

const badValue = (name: string): SearchRefusal => ({ reason: "bad_value", text: `The value of ${name} cannot be read.` });
