import { elementsOf } from "#fhir/r4/elements";
import type { SearchParameterDefinition } from "#fhir/search/parameters";
import { fateOf, fates, type DeidForm, type ValueChange } from "./fates.ts";

/**
 * The changes after which a value that leaves answers a search as the origin's own value does. A code that stays is
 * unchanged, and `src/deid/asked-values.ts` refuses each further code.
 */
const searchable: ReadonlySet<ValueChange> = new Set([
  "keep",
  "coding",
  "listedCode",
  "reference",
  "randomId",
]);

/** The datatypes whose search reads these of their parts alone. */
const readParts: Readonly<Record<string, readonly string[]>> = {
  CodeableConcept: ["coding"],
  Period: ["start", "end"],
  Timing: ["event", "repeat.boundsPeriod"],
};

/**
 * Answers whether a search by a parameter of a type tells no more than the values that leave in a form: each element
 * that the parameter reads leaves as it is. The table of fates decides it.
 */
export function isSearchableIn(form: DeidForm, type: string, definition: SearchParameterDefinition): boolean {
  // The components of a composite parameter meet in a single item, of which a part may stay back.
  if (definition.paths === undefined || definition.components !== undefined) return false;
  const isDate = definition.type === "date";
  return definition.paths.every((path) => leavesWhole(form, type, path, isDate));
}

/** The datatypes in which a search by a date finds a date: a text in their place is none. */
export const datatypesOfDates: ReadonlySet<string> = new Set([
  "date",
  "dateTime",
  "instant",
  "Period",
  "Timing",
]);

function leavesWhole(
  form: DeidForm,
  parent: string,
  [step, ...below]: readonly string[],
  isDate = false,
): boolean {
  if (step === undefined) return false;
  const all = formsOf(parent, step);
  const forms = isDate && below.length === 0 ? all.filter(({ type }) => datatypesOfDates.has(type)) : all;
  return forms.length > 0 && forms.every(({ name, type }) => inForm(form, parent, name, type, below));
}

function inForm(
  form: DeidForm,
  parent: string,
  name: string,
  type: string,
  below: readonly string[],
): boolean {
  const change: ValueChange = fates[fateOf(parent, name, type)].change[form];
  if (change !== "parts") return below.length === 0 && searchable.has(change);
  if (below.length > 0) return leavesWhole(form, type, below);
  const parts = Object.hasOwn(readParts, type) ? (readParts[type] ?? []) : [];
  return parts.length > 0 && parts.every((part) => leavesWhole(form, type, part.split(".")));
}

/** The names of an element in JSON, each with its type: a step is an element (`value[x]`) or one form of a choice. */
function formsOf(parent: string, step: string): readonly { readonly name: string; readonly type: string }[] {
  const elements = elementsOf(parent);
  const whole = elements.get(step) ?? elements.get(`${step}[x]`);
  if (whole !== undefined) return whole.forms;
  return [...elements.values()].flatMap(({ forms }) => forms.filter(({ name }) => name === step));
}
