import { isCodedAs, mayBeCodedAs } from "#policy/view/coding";
import type { CompiledRule } from "#policy/compile";
import type { Json } from "#fhir/json/json";
import { mayRepeat, resolvePath } from "#policy/view/resolve";

/** Rows that fall under the same rules. */
export interface RowKind {
  /** Never empty. */
  readonly under: ReadonlySet<CompiledRule>;
  /** What such a row holds, as far as rules ask for it. */
  readonly says: string;
}

type Condition = CompiledRule["conditions"][number];

/** What a row must be or not be: conditions that it meets, and some that it does not. */
interface Wanted {
  readonly met: readonly Condition[];
  readonly unmet: readonly Condition[];
}

// Two policies tell a handful of kinds apart; so many would be nobody's to read.
const kindsMax = 2_000;

/**
 * Every kind of rows of a type that these rules tell apart and that can exist; `undefined`: too many to look
 * at. Exact: a rule's conditions are about coded elements, so that one value for each code that is named, and
 * one of each form in which nobody can tell, stand for all.
 */
export function rowKinds(type: string, rules: readonly CompiledRule[]): readonly RowKind[] | undefined {
  const byConditions = Map.groupBy(rules, ({ conditions }) => canonical(conditions));
  let partial: readonly { readonly under: readonly CompiledRule[]; readonly wanted: Wanted }[] = [
    { under: [], wanted: { met: [], unmet: [] } },
  ];
  for (const alike of byConditions.values()) {
    const conditions = alike[0]?.conditions ?? [];
    const next = new Map<string, (typeof partial)[number]>();
    for (const { under, wanted } of partial) {
      const branches = [
        { under: [...under, ...alike], wanted: { ...wanted, met: [...wanted.met, ...conditions] } },
        ...conditions.map((one) => ({ under, wanted: { ...wanted, unmet: [...wanted.unmet, one] } })),
      ];
      // Of several ways not to fall under a rule each stays: the rules to come may leave one of them open.
      for (const branch of branches) {
        const key = `${branch.under.map((rule) => rules.indexOf(rule)).join()} ${canonical(branch.wanted.unmet)}`;
        if (!next.has(key) && canBe(type, branch.wanted)) next.set(key, branch);
      }
    }
    partial = [...next.values()];
    if (partial.length > kindsMax) return undefined;
  }
  const kinds = new Map<string, RowKind>();
  for (const { under, wanted } of partial) {
    const key = under.map((rule) => rules.indexOf(rule)).join();
    if (under.length > 0 && !kinds.has(key)) kinds.set(key, { under: new Set(under), says: saysOf(wanted) });
  }
  return [...kinds.values()];
}

const canonical = (conditions: readonly Condition[]): string =>
  [...new Set(conditions.map(conditionText))].sort().join(" and ");

const codesOf = (condition: Condition): readonly string[] =>
  [...new Set("in" in condition ? condition.in : condition.notIn)].sort();
const oneOf = (codes: readonly string[]): string =>
  `${codes.length === 1 ? "" : "one of "}${codes.join(", ")}`;
/** In words, its codes in order. */
export const conditionText = (condition: Condition): string =>
  `${condition.path} is ${"in" in condition ? "" : "not "}${oneOf(codesOf(condition))}`;

/** First what sets the kind apart, then what it is. */
function saysOf({ met, unmet }: Wanted): string {
  const apart = unmet.map((one) => {
    if ("in" in one) return `${one.path} is not ${oneOf(codesOf(one))}`;
    const known = new Set(
      met.flatMap((other) => ("notIn" in other && other.path === one.path ? other.notIn : [])),
    );
    return `${one.path} is, or may be, ${oneOf(codesOf(one).filter((code) => !known.has(code)))}`;
  });
  const outside = Map.groupBy(
    met.filter((one) => "notIn" in one),
    ({ path }) => path,
  );
  const never = [...outside].map(
    ([path, conditions]) => `${path} is not ${oneOf([...new Set(conditions.flatMap(codesOf))].sort())}`,
  );
  return [...new Set([...apart, ...met.filter((one) => "in" in one).map(conditionText), ...never])].join(
    "; ",
  );
}

/** Whether a row can hold what is wanted. Conditions on different elements do not touch each other. */
function canBe(type: string, { met, unmet }: Wanted): boolean {
  const places = Map.groupBy([...met, ...unmet], (condition) => placeOf(type, condition));
  return [...places].every(([place, conditions]) => {
    const wanted = {
      met: met.filter((one) => placeOf(type, one) === place),
      unmet: unmet.filter((one) => placeOf(type, one) === place),
    };
    const [first] = conditions;
    if (first === undefined) return true;
    const kind = kindOf(type, first);
    const values = conditions.flatMap((condition) => valuesOf(condition, kind));
    if (!mayRepeat(type, first.steps))
      return [[], ...values.map((value) => [value])].some((held) => holds(held, wanted, kind));
    // Where several may stand, all that nothing forbids do: what has to be there is there if it can be.
    const none = {
      met: wanted.met.filter((one) => "notIn" in one),
      unmet: wanted.unmet.filter((one) => "in" in one),
    };
    return holds(
      values.filter((value) => holds([value], none, kind)),
      wanted,
      kind,
    );
  });
}

/** A CodeableConcept is told by its codings, whichever of the two a path names. */
const placeOf = (type: string, condition: Condition): string =>
  kindOf(type, condition) === "Coding" ? condition.path.replace(/\.coding$/u, "") : condition.path;

function kindOf(type: string, { steps }: Condition): "Coding" | "code" {
  const resolved = resolvePath(type, steps);
  return resolved.ok && (resolved.value === "CodeableConcept" || resolved.value === "Coding")
    ? "Coding"
    : "code";
}

/** Each code as it is listed, and in the forms that keep a row out because nobody can tell. */
function valuesOf(condition: Condition, kind: "Coding" | "code"): readonly Json[] {
  const listed = "in" in condition ? condition.in : condition.notIn;
  if (kind === "code") return [...listed.flatMap((code) => [code, `${code} `]), {}];
  return [
    ...listed.flatMap((text) => {
      const [system = "", code = ""] = text.split("|");
      return [{ system, code }, { system, code: `${code} ` }, { code }, { system }];
    }),
    {},
  ];
}

const holds = (values: readonly Json[], { met, unmet }: Wanted, kind: string): boolean =>
  met.every((condition) => isMet(condition, values, kind)) &&
  unmet.every((condition) => !isMet(condition, values, kind));

const isMet = (condition: Condition, values: readonly Json[], kind: string): boolean =>
  "in" in condition
    ? isCodedAs(values, condition.in)
    : values.every((value) => !mayBeCodedAs(value, kind, condition.notIn));
