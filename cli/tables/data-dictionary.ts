import { typeShapeOf } from "#fhir/validate/shape";
import { fateOf, fates, type DeidForm } from "#policy/form/fates";
import { cellFormOf } from "./column-types.ts";
import { csvLine } from "./table-file.ts";
import type { Column, View } from "./view-definition.ts";

/** The dictionary's CSV: a row for each column of each table. */
export const dictionaryOf = (views: readonly View[], form: DeidForm | undefined): string =>
  [
    ["table", "column", "type", "fhir_type", "resource", "path", "description", "effect_of_form"],
    ...views.flatMap((view) =>
      view.columns.map((column) => [
        view.name,
        column.name,
        cellFormOf(column)?.word ?? "",
        column.type ?? "",
        view.resource,
        [...column.within, column.path].join(" / "),
        column.description ?? "",
        form === undefined ? "" : effectOf(view, column, form),
      ]),
    ),
  ]
    .map(csvLine)
    .join("");

/** What a form does to the element that a column shows. */
function effectOf(view: View, column: Column, form: DeidForm): string {
  const fate = fateAt(view.resource, [...column.within, column.path].flatMap(stepsOf));
  if (fate === undefined) return "see its elements in docs/deid-elements.txt";
  const { change, paragraphs, why } = fates[fate];
  return `${change[form]}: ${why} 45 CFR 164.514(b)(2)(i) ${paragraphs.replace("; ", "; (e)(2) ")}`;
}

/** The steps of a path, split at the dots outside of brackets. */
function stepsOf(path: string): readonly string[] {
  const steps = path.match(/(?:[^.([]|\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])+/gu) ?? [];
  return steps.map((step) => step.trim());
}

/** Functions that choose among elements, and change none. */
const chooses = /^(?:where\(.*\)|first\(\))$/su;

/** The fate of the element at the end of plain steps; undefined if a step computes. */
function fateAt(resource: string, steps: readonly string[]): ReturnType<typeof fateOf> | undefined {
  let [parent, element, type] = ["", "", resource];
  const enter = (name: string): boolean => {
    const below = [...typeShapeOf(type).slots].find(([slot]) => slot === name)?.[1].type;
    if (below === undefined) return false;
    [parent, element, type] = [type, name, below];
    return true;
  };
  for (const [at, step] of steps.entries()) {
    if (chooses.test(step)) continue;
    const name = step.replace(/\[\d+\]$/u, "");
    const next = /^ofType\((?<type>\w+)\)$/u.exec(steps[at + 1] ?? "")?.groups?.["type"];
    if (step.startsWith("ofType(")) continue;
    if (step === "getResourceKey()" || (name === "id" && at === 0)) return "row";
    if (step.startsWith("getReferenceKey(")) return "reference";
    const slot = next === undefined ? name : `${name}${next.charAt(0).toUpperCase()}${next.slice(1)}`;
    if (!enter(slot)) return undefined;
    const fate = fateOf(parent, element, type);
    if (fate !== "parts") return fate; // decided as a whole, such as a Coding or a Quantity
  }
  return element === "" ? undefined : fateOf(parent, element, type);
}
