import { err, ok, type Result } from "#kernel/result";
import type { CriterionRefusal } from "../search/criterion.ts";
import { localParts, targetOf } from "../match/reference.ts";
import { servedTypes, servedParametersOf } from "../search-parameters.ts";
import type { Stored } from "../stored.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { valuesOf } from "../values.ts";

/** A rule for resources that are included with the matches (R4 search.html#revinclude). */
export interface AskedInclude {
  /** `_revinclude`: includes the referrers of a match, not its targets. */
  readonly reverse: boolean;
  /** `:iterate`: also applies to included resources. */
  readonly iterate: boolean;
  /** The type of the referrer; `*`: any. */
  readonly source: string;
  /** The search parameter of the reference; `*`: any. */
  readonly code: string;
  /** Only references to this type. */
  readonly target: string | undefined;
}

// `:recurse` is the STU3 name; servers in use still accept it.
const form = /^_(?<way>rev)?include(?<again>:iterate|:recurse)?$/u;

/** Undefined: the parameter is no include. */
export function readAskedInclude(
  name: string,
  written: string,
): Result<AskedInclude, CriterionRefusal> | undefined {
  const parts = form.exec(name)?.groups;
  if (parts === undefined) return undefined;
  const [source = "", code = source === "*" ? "*" : "", target, ...more] = written.split(":");
  const parameter = servedParametersOf(source).get(code);
  const known =
    source === "*"
      ? code === "*"
      : servedTypes.has(source) && (code === "*" || parameter?.type === "reference");
  if (!known || more.length > 0 || (target !== undefined && !reaches(parameter?.target, target)))
    return err({ reason: "bad_value", text: `The value of ${name} names no reference.` });
  return ok({
    reverse: parts["way"] !== undefined,
    iterate: parts["again"] !== undefined,
    source,
    code,
    target,
  });
}

const reaches = (targets: readonly string[] | undefined, target: string): boolean =>
  targets?.includes(target) ?? servedTypes.has(target);

// 10,000: all records of any Synthea patient, and a page still stays below the size that a client can read.
const includedMax = 10_000;

/**
 * The resources that are included with the matches of a page, each once and without the matches; `cut`: the
 * limit was exceeded.
 */
export function includedWith(
  matches: readonly Stored[],
  includes: readonly AskedInclude[],
  index: ResourceIndex,
): { readonly included: readonly Stored[]; readonly cut: boolean } {
  const found = new Set(matches);
  const known = new Set(matches);
  // The loop visits the set while it grows: the includes that iterate also follow included resources.
  for (const resource of known) {
    const first = found.has(resource);
    for (const include of includes) {
      if (!first && !include.iterate) continue;
      for (const other of followed(resource, include, index)) known.add(other);
    }
    if (known.size - matches.length > includedMax)
      return { included: [...known].slice(matches.length, matches.length + includedMax), cut: true };
  }
  return { included: [...known].slice(matches.length), cut: false };
}

function* followed(resource: Stored, include: AskedInclude, index: ResourceIndex): Iterable<Stored> {
  if (include.reverse) {
    if (include.target !== undefined && include.target !== resource.resourceType) return;
    for (const { type, code, from } of index.referrers(`${resource.resourceType}/${resource.id}`))
      if (covers(include.source, type) && covers(include.code, code)) yield* from;
    return;
  }
  if (!covers(include.source, resource.resourceType)) return;
  for (const [code, parameter] of servedParametersOf(resource.resourceType)) {
    if (parameter.type !== "reference" || !covers(include.code, code)) continue;
    for (const value of valuesOf(resource, parameter)) {
      const { type = "", id = "" } = localParts(targetOf(value, index.base) ?? "") ?? {};
      const other = include.target === undefined || include.target === type ? index.get(type, id) : undefined;
      if (other !== undefined) yield other;
    }
  }
}

const covers = (pattern: string, name: string): boolean => pattern === "*" || pattern === name;
