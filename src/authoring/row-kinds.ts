import { possibleCodes } from "#policy/view/code-list";
import { codesOf as writtenCodes } from "#policy/view/coding";
import type { CompiledRule } from "#policy/compile";
import type { Json } from "#fhir/json/json";
import { mayRepeat, resolvePath } from "#policy/view/resolve";

/** The rows that a certain set of rules covers. */
export interface RowKind {
  /** Never empty. */
  readonly under: ReadonlySet<CompiledRule>;
  /** A description of the row, by the elements that rules test. */
  readonly says: string;
}

type Condition = CompiledRule["conditions"][number];

/** A description of a row: the conditions that it meets, and some that it does not meet. */
interface Wanted {
  readonly met: readonly Condition[];
  readonly unmet: readonly Condition[];
}

// Two policies usually distinguish a handful of kinds; a list this long would be unreadable.
const kindsMax = 2_000;

/**
 * Every kind of row of a type that these rules distinguish and that can exist; `undefined`: too many to
 * examine. The result is exact: the conditions test coded elements, so a value for each listed code and a
 * value of each uncertain form represent all rows.
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
        ...conditions.map((condition) => ({
          under,
          wanted: { ...wanted, unmet: [...wanted.unmet, condition] },
        })),
      ];
      // A row may avoid a rule in several ways. Each way stays, since a later rule may leave only one of them
      // open.
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
/** The condition in words, with its codes in order. */
export const conditionText = (condition: Condition): string =>
  `${condition.path} is ${"in" in condition ? "" : "not "}${oneOf(codesOf(condition))}`;

/** First the conditions that set the kind apart, then the conditions that it meets. */
function saysOf({ met, unmet }: Wanted): string {
  const excluding = unmet.map((condition) => {
    if ("in" in condition) return `${condition.path} is not ${oneOf(codesOf(condition))}`;
    const known = new Set(
      met.flatMap((other) => ("notIn" in other && other.path === condition.path ? other.notIn : [])),
    );
    return `${condition.path} is, or may be, ${oneOf(codesOf(condition).filter((code) => !known.has(code)))}`;
  });
  const outside = Map.groupBy(
    met.filter((condition) => "notIn" in condition),
    ({ path }) => path,
  );
  const excluded = [...outside].map(
    ([path, conditions]) => `${path} is not ${oneOf([...new Set(conditions.flatMap(codesOf))].sort())}`,
  );
  return [
    ...new Set([
      ...excluding,
      ...met.filter((condition) => "in" in condition).map(conditionText),
      ...excluded,
    ]),
  ].join("; ");
}

/** Answers whether a row can meet this description. Conditions on different elements are independent. */
function canBe(type: string, { met, unmet }: Wanted): boolean {
  const places = Map.groupBy([...met, ...unmet], (condition) => placeOf(type, condition));
  return [...places].every(([place, conditions]) => {
    const wanted = {
      met: met.filter((condition) => placeOf(type, condition) === place),
      unmet: unmet.filter((condition) => placeOf(type, condition) === place),
    };
    const [first] = conditions;
    if (first === undefined) return true;
    const kind = kindOf(type, first);
    const values = conditions.flatMap((condition) => valuesOf(condition, kind));
    if (!mayRepeat(type, first.steps))
      return [[], ...values.map((value) => [value])].some((items) => holds(items, wanted, kind));
    // A repeating element gets every value that no condition forbids: a required value is then present if it
    // can be.
    const none = {
      met: wanted.met.filter((condition) => "notIn" in condition),
      unmet: wanted.unmet.filter((condition) => "in" in condition),
    };
    return holds(
      values.filter((value) => holds([value], none, kind)),
      wanted,
      kind,
    );
  });
}

/** A CodeableConcept is compared by its codings, whether the path names the concept or its codings. */
const placeOf = (type: string, condition: Condition): string =>
  kindOf(type, condition) === "Coding" ? condition.path.replace(/\.coding$/u, "") : condition.path;

function kindOf(type: string, { steps }: Condition): "Coding" | "code" {
  const resolved = resolvePath(type, steps);
  return resolved.ok && (resolved.value === "CodeableConcept" || resolved.value === "Coding")
    ? "Coding"
    : "code";
}

/** Each code as it is listed, and in the uncertain forms that keep a row out. */
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
    ? writtenCodes(values).some((code) => condition.codes.has(code))
    : !condition.codes.mayHave(possibleCodes(values, kind));
