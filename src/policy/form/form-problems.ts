import { purposesAbove, purposesOutsideCare } from "#fhir/r4/purpose-of-use";
import { searchParametersOf } from "#fhir/search/parameters";
import type { PolicyDocument, PolicyProblem, PolicyRule } from "#policy/schema";
import { formTableOf, withheldTypes, type DeidForm } from "./fates.ts";
import { isSearchableIn } from "./form-search.ts";

/** The purposes of a limited data set (45 CFR 164.514(e)(3)(i)), with the purposes below them. */
const ofLimitedSet: ReadonlySet<string> = new Set(["HRESCH", "PUBHLTH", "HOPERAT"]);
const outside: ReadonlySet<string> = new Set(purposesOutsideCare);

/** Answers whether a limited data set may serve a purpose. */
function mayServeLimitedSet(purpose: string): boolean {
  for (const code of purposesAbove(purpose)) {
    if (outside.has(code)) return false;
    if (ofLimitedSet.has(code)) return true;
  }
  return false;
}

/** The operations whose answers are searchsets of rows, each in the form. */
const operationsOfRows: ReadonlySet<string> = new Set(["everything", "lastn"]);

/** The problems of a policy whose rows leave in a form of 45 CFR 164.514. */
export function formProblems({
  form,
  purposes,
  operations = [],
  consentRegistrar,
  rules,
}: PolicyDocument): readonly PolicyProblem[] {
  if (form === undefined) return [];
  const table = formTableOf(form);
  const problems: PolicyProblem[] = [];
  const add = (pointer: string, problem: string) => void problems.push({ pointer, problem });
  if (form.kind === "expert" && form.until <= form.on) add("/form/until", "must be after on");
  for (const [index, purpose] of purposes.entries())
    if (form.kind === "limited-data-set" && !mayServeLimitedSet(purpose))
      add(
        `/purposes/${index}`,
        "a limited data set serves research, public health and health care operations alone (45 CFR 164.514(e)(3)(i))",
      );
  for (const [index, operation] of operations.entries())
    if (!operationsOfRows.has(operation)) add(`/operations/${index}`, "has no answer in a form");
  if (consentRegistrar === true) add("/consentRegistrar", "a policy with a form writes nothing");
  for (const [index, rule] of rules.entries())
    for (const { pointer, problem } of ruleProblems(rule, table)) add(`/rules/${index}${pointer}`, problem);
  return problems;
}

function ruleProblems(
  { types, interactions, search }: PolicyRule,
  table: DeidForm,
): readonly PolicyProblem[] {
  const changing = interactions.flatMap((interaction, index) =>
    interaction === "read" || interaction === "search"
      ? []
      : [{ pointer: `/interactions/${index}`, problem: "a policy with a form writes nothing" }],
  );
  const withheld = types.flatMap((type, index) =>
    Object.hasOwn(withheldTypes, type)
      ? [{ pointer: `/types/${index}`, problem: `no ${type} leaves in a form: ${withheldTypes[type] ?? ""}` }]
      : [],
  );
  const named =
    search === undefined && interactions.includes("search")
      ? [{ pointer: "/search", problem: `is needed in a policy with a form: ${allOf(types, table)}` }]
      : [];
  const hidden = (search ?? []).flatMap((code, index) =>
    types.every((type) => searchesIn(table, type, code))
      ? []
      : [
          {
            pointer: `/search/${index}`,
            problem: `reads what the form changes. These do not: ${allOf(types, table)}`,
          },
        ],
  );
  return [...changing, ...withheld, ...named, ...hidden];
}

function searchesIn(table: DeidForm, type: string, code: string): boolean {
  const definition = searchParametersOf(type).get(code);
  // A name that the type lacks finds nothing there.
  return definition === undefined || isSearchableIn(table, type, definition);
}

/** The parameters by which rows of all these types may be searched in a form. */
function allOf(types: PolicyRule["types"], table: DeidForm): string {
  const codes = new Set(types.flatMap((type) => [...searchParametersOf(type).keys()]));
  return [...codes].filter((code) => types.every((type) => searchesIn(table, type, code))).join(", ");
}
