import { err, ok, type Result } from "#kernel/result";
import type { Pairs } from "../call.ts";
import { readCriterion } from "./read-criterion.ts";
import type { Criterion, CriterionRefusal } from "./criterion.ts";
import { readAskedInclude, type AskedInclude } from "../join/include.ts";
import { pageSizes, readPageSize } from "./page-size.ts";
import { servedParametersOf } from "../search-parameters.ts";
import { readShape, type Shape } from "./shape.ts";
import type { ResourceIndex } from "../resource-index.ts";

/** A search, understood to the last parameter. */
export interface Query {
  /** Per type; all criteria must be met. */
  readonly of: readonly { readonly type: string; readonly criteria: readonly Criterion[] }[];
  /** Limits the search to this patient's compartment. */
  readonly patient?: string | undefined;
  readonly sort: readonly { readonly code: string; readonly descending: boolean }[];
  /** The maximum number of matches on a page; 0: only the total. */
  readonly count: number;
  /** True if the answer has the number of matches. */
  readonly total: boolean;
  readonly shape: Shape;
  readonly includes: readonly AskedInclude[];
  /** The applied parameters: the link `self` names them (R4 search.html#conformance). */
  readonly heeded: Pairs;
}

export interface QueryOptions {
  /** Leaves unknown parameters out, instead of refusing them. */
  readonly lenient?: boolean;
  readonly patient?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Reads the pairs of a query string or a form, in order. Repeated parameters must all be met (R4 §3.1.1.4.3).
 */
export function readSearchQuery(
  types: readonly string[],
  pairs: Pairs,
  index: ResourceIndex,
  { lenient = false, patient }: QueryOptions = {},
): Result<Query, CriterionRefusal> {
  const of = types.map((type) => ({ type, criteria: [] as Criterion[] }));
  const heeded: (readonly [string, string])[] = [];
  const query: Mutable<Query> = {
    of,
    patient,
    sort: [],
    count: pageSizes.default,
    total: true,
    shape: { kind: "whole" },
    includes: [],
    heeded,
  };
  for (const [name, value] of pairs) {
    const refusal = readControl(query, name, value) ?? readCriteria(of, name, value, index);
    if (refusal === undefined || refusal === "done") heeded.push([name, value]);
    else if (!lenient || refusal.reason === "bad_value") return err(refusal);
  }
  if (query.shape.kind === "text" && query.includes.length > 0)
    // R4 search.html#summary
    return err({ reason: "unsupported", text: "Narratives alone come without includes." });
  return ok(query);
}

/** Reads a parameter that controls the result; undefined: the parameter is not of this kind. */
function readControl(
  query: Mutable<Query>,
  name: string,
  value: string,
): CriterionRefusal | "done" | undefined {
  switch (name) {
    case "_format":
      return asksForJson(value) ? "done" : { reason: "bad_value", text: "Only JSON is spoken here." };
    case "_pretty":
      return "done";
    case "_total":
      if (!["none", "estimate", "accurate"].includes(value)) return badValue(name);
      query.total = value !== "none";
      return "done";
    case "_count": {
      const size = readPageSize(value);
      if (size === undefined) return badValue(name);
      query.count = size;
      return "done";
    }
    case "_summary":
    case "_elements": {
      if (name === "_summary" && value === "count") {
        query.count = 0;
        return "done";
      }
      const shape = readShape(name, value);
      if (!shape.ok) return shape.error;
      query.shape = shape.value;
      return "done";
    }
    case "_sort":
      return readSort(query, value);
    default: {
      const include = readAskedInclude(name, value);
      if (include === undefined) return undefined;
      if (!include.ok) return include.error;
      query.includes = [...query.includes, include.value];
      return "done";
    }
  }
}

/** Reads sort codes that every searched type has. */
function readSort(query: Mutable<Query>, value: string): CriterionRefusal | "done" {
  const sort = value
    .split(",")
    .map((written) => ({ code: written.replace(/^-/u, ""), descending: written.startsWith("-") }));
  if (!sort.every(({ code }) => query.of.every(({ type }) => servedParametersOf(type).has(code))))
    return { reason: "parameter_unknown", text: "_sort names no search parameter of this type." };
  query.sort = [...query.sort, ...sort];
  return "done";
}

/** A search over several types uses only the parameters that all of them have (R4 §3.1.1.3). */
function readCriteria(
  of: readonly { readonly type: string; readonly criteria: Criterion[] }[],
  name: string,
  value: string,
  index: ResourceIndex,
): CriterionRefusal | undefined {
  const read: Criterion[] = [];
  for (const { type } of of) {
    const criterion = readCriterion(type, name, value, index);
    if (!criterion.ok) return criterion.error;
    read.push(criterion.value);
  }
  for (const [i, { criteria }] of of.entries()) for (const one of read.slice(i, i + 1)) criteria.push(one);
  return undefined;
}

const badValue = (name: string): CriterionRefusal => ({
  reason: "bad_value",
  text: `The value of ${name} cannot be read.`,
});

/** True if a `_format` asks for JSON, the only supported format. */
export const asksForJson = (written: string): boolean =>
  /^(?:json|application\/(?:fhir\+)?json)(?:;.*)?$/u.test(written);
