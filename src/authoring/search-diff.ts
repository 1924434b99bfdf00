import { searchParametersOf } from "#fhir/search/parameters";
import type { CompiledPolicy, CompiledRule } from "#policy/compile";
import { searchableBy, type Searchable } from "#policy/searchable";

/** How far each parameter of a type may be searched by under one rule; what is missing may not. */
type Allowed = ReadonlyMap<string, Exclude<Searchable, { kind: "hidden" }>>;

/**
 * Parameters by which the first rules let rows be found and the second do not. Parameters of one search have
 * to be allowed by one and the same rule, so one that is allowed alone may be missing beside others. Empty:
 * whatever finds a row by the first finds it by the second.
 */
export function searchesBeyond(
  type: string,
  [policy, rules]: readonly [CompiledPolicy, readonly CompiledRule[]],
  [other, others]: readonly [CompiledPolicy, readonly CompiledRule[]],
): readonly string[] {
  const theirs = others.map((rule) => allowedBy(other, type, rule));
  const missing = rules.map((rule) => allowedBy(policy, type, rule)).flatMap((mine) => lacking(mine, theirs));
  return [...new Set(missing)];
}

/** What the nearest of the others lacks of this one. */
function lacking(mine: Allowed, theirs: readonly Allowed[]): readonly string[] {
  const gaps = theirs.map((one) => [...mine].filter(([code, how]) => !isWithin(how, one.get(code))));
  const [nearest = [...mine]] = gaps.toSorted((a, b) => a.length - b.length);
  return nearest.map(([code, how]) => {
    const alone = theirs.some((one) => isWithin(how, one.get(code)));
    if (alone) return `${code} beside other parameters`;
    const named = theirs.some((one) => one.has(code));
    return how.kind === "free" && !named
      ? code
      : `${code} ${how.kind === "free" ? "by any value" : spoken(how.systems)}`;
  });
}

const spoken = (systems: ReadonlySet<string> | undefined) =>
  systems === undefined ? "by system|code" : `by ${[...systems].sort().join(", ")}`;

function isWithin(mine: Searchable, theirs: Searchable | undefined): boolean {
  if (theirs === undefined || theirs.kind === "hidden") return false;
  if (mine.kind === "hidden" || theirs.kind === "free") return true;
  if (mine.kind === "free") return false;
  const { systems } = theirs;
  return (
    systems === undefined ||
    (mine.systems !== undefined && [...mine.systems].every((system) => systems.has(system)))
  );
}

function allowedBy(policy: CompiledPolicy, type: string, rule: CompiledRule): Allowed {
  const { object } = policy.viewOf(type, [rule]);
  return new Map(
    [...searchParametersOf(type).values()].flatMap((definition) => {
      const how =
        rule.search?.has(definition.code) === false
          ? ({ kind: "hidden" } as const)
          : searchableBy(object, definition);
      return how.kind === "hidden" ? [] : [[definition.code, how] as const];
    }),
  );
}

/**
 * As {@link searchesBeyond}, for what a search brings along (`_include`): a reference that one rule shows
 * which allows the search itself.
 */
export function includesBeyond(
  type: string,
  [policy, rules]: readonly [CompiledPolicy, readonly CompiledRule[]],
  [other, others]: readonly [CompiledPolicy, readonly CompiledRule[]],
): readonly string[] {
  const theirs = others.map((rule) => ({
    allowed: allowedBy(other, type, rule),
    shown: referencesOf(other, type, [rule]),
  }));
  const missing = rules.flatMap((rule) => {
    const mine = allowedBy(policy, type, rule);
    const wider = theirs.filter(({ allowed }) =>
      [...mine].every(([code, how]) => isWithin(how, allowed.get(code))),
    );
    if (wider.length === 0) return []; // the search itself is missing
    return [...referencesOf(policy, type, [rule])].filter(
      (code) => !wider.some(({ shown }) => shown.has(code)),
    );
  });
  return [...new Set(missing)];
}

/** Reference parameters that some rule shows in full: by these a row brings others along. */
export function referencesOf(
  policy: CompiledPolicy,
  type: string,
  rules: readonly CompiledRule[],
): ReadonlySet<string> {
  const shown = [...searchParametersOf(type).values()].filter(
    (definition) =>
      definition.type === "reference" &&
      rules.some((rule) => searchableBy(policy.viewOf(type, [rule]).object, definition).kind === "free"),
  );
  return new Set(shown.map(({ code }) => code));
}
