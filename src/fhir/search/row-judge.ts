import { workOf, type RowWork } from "./row-work.ts";
import { workOn } from "#fhir/json/facts";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { elementsOf, isResourceType, typesAt } from "#fhir/r4/elements";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { FoundValues } from "./found-values.ts";
import type { SearchParameter } from "./search.ts";
import type { SearchParameterDefinition, SearchParameterType } from "./parameters.ts";
import type { SearchValue } from "./value.ts";
import { valueFinder } from "./value-finder.ts";

/*
 * Servers read the same search in different ways: a date without a zone, a name by its words, a code in any
 * case. A row is therefore judged in two ways. `mayMatch` is true for every row that a correct server could
 * return; with it, a server that ignores a parameter does not widen an answer. `matches` is R4's own reading;
 * it decides alone where the server does not know the parameter.
 */

/** False if no correct server would return the row for this parameter. */
export const mayMatch = (row: JsonObject, parameter: SearchParameter, base: FhirBase): boolean =>
  judge(row, parameter, base, true);

/** True if the row matches the parameter by R4 §3.1.1.4; dates and times without a zone are UTC. */
export const matches = (row: JsonObject, parameter: SearchParameter, base: FhirBase): boolean =>
  judge(row, parameter, base, false);

/** True if {@link matches} can decide about every row of the type. */
export function isJudgeable(type: string, { definition, values }: SearchParameter): boolean {
  const { paths, type: kind } = definition;
  if (paths === undefined || kind === "composite" || kind === "special") return false;
  if (values.some(({ text }) => ordered.has(kind) && text.startsWith("ap"))) return false;
  const readable = formsRead[kind];
  return (
    readable === undefined || paths.every((path) => typesAt(type, path).every((one) => readable.has(one)))
  );
}

/** True if {@link matches} finds no row of the type that a correct server would not find. It may find fewer. */
export function isJudgedNarrowly(type: string, parameter: SearchParameter): boolean {
  const { definition, modifier, values } = parameter;
  const { components } = definition;
  if (components === undefined || modifier !== undefined) return isJudgeable(type, parameter);
  const isApproximate = ({ text }: SearchValue, index: number) =>
    ordered.has(components[index]?.type ?? "special") && text.startsWith("ap");
  return values.every((value) => value.kind === "composite" && !value.parts.some(isApproximate));
}

/**
 * A criterion that finds rows without a value (`:missing`, `:not`), and that {@link mayMatch} decides exactly. An
 * origin would leave out a row whose value is withheld, which has to answer like a row without the value: it is asked
 * only where no row that leaves lacks a withheld value.
 */
export const isDecidedByRows = (type: string, parameter: SearchParameter): boolean =>
  (parameter.modifier === "missing" || parameter.modifier === "not") &&
  !parameter.definition.code.startsWith("_") &&
  isJudgeable(type, parameter);

const ordered: ReadonlySet<SearchParameterType> = new Set(["date", "number", "quantity"]);
const formsRead: Partial<Record<SearchParameterType, ReadonlySet<string>>> = {
  date: new Set(["date", "dateTime", "instant", "Period", "Timing"]),
  number: new Set(["decimal", "integer", "positiveInt", "unsignedInt"]),
  quantity: new Set(["Quantity", "Money", "Age", "Count", "Distance", "Duration"]),
  reference: new Set(["Reference"]),
};

/** Answers whether a row meets a parameter. @param base the FHIR base of the references in it. */
type RowTest = (row: JsonObject, base: FhirBase) => boolean;

/** By parameter: a question's values are prepared once, for all its rows. */
const prepared = {
  lenient: new WeakMap<SearchParameter, RowTest>(),
  exact: new WeakMap<SearchParameter, RowTest>(),
};

function judge(row: JsonObject, parameter: SearchParameter, base: FhirBase, isLenient: boolean): boolean {
  const known = isLenient ? prepared.lenient : prepared.exact;
  let test = known.get(parameter);
  if (test === undefined) known.set(parameter, (test = testOf(parameter, isLenient)));
  return test(row, base);
}

function testOf({ definition, modifier, values }: SearchParameter, isLenient: boolean): RowTest {
  const { code, type, paths, components } = definition;
  if (paths === undefined) return () => isLenient;
  if (components !== undefined && modifier !== "missing") {
    if (!isLenient && modifier !== undefined) return () => false;
    // the type and the value of `:of-type` are of one Identifier in every reading
    const isOfType = components.every((component) => component.code === code);
    return isLenient && !isOfType
      ? partsAnywhere(components, values)
      : partsOfItem(components, values, isLenient);
  }
  if (code === "_id") {
    const ids = idsOf(values);
    return (row) => ids.has(textAt(row, "id") ?? "");
  }
  if (modifier === "missing")
    return (row, base) => {
      const isMissing = foundIn(row, definition, base).values.length === 0;
      return values.some(({ text }) => (text === "true") === isMissing);
    };
  const isNegated = modifier === "not";
  if (code === "deceased" && type === "token") {
    const meets = deceasedTest(values, isLenient && modifier === undefined);
    return (row, base) => meets(foundIn(row, definition, base).values) !== isNegated;
  }
  // For `:not` every reading of "equal" is too wide: the exact one hides fewer rows.
  const finds = valueFinder(type, values, isNegated ? { isLenient: false } : { isLenient, modifier });
  return (row, base) => {
    const found = foundIn(row, definition, base);
    // a server may keep the time, the profile or the tags of a row outside of its JSON
    if (found.values.length === 0 && isLenient && code.startsWith("_")) return true;
    return finds(found) !== isNegated;
  };
}

/** The ids that a search by `_id` names. */
export const idsOf = (values: readonly SearchValue[]): ReadonlySet<string> =>
  new Set(values.flatMap((value) => (value.kind === "token" && value.code !== "" ? [value.code] : [])));

/** The values of a row for a parameter, read once. */
function foundIn(row: JsonObject, definition: SearchParameterDefinition, base: FhirBase): FoundValues {
  const work = workOn(row);
  const known = work.read(definition) as FoundValues | undefined;
  if (known?.base === base) return known;
  const { paths = [], targets } = definition;
  const type = textAt(row, "resourceType") ?? "";
  const values = paths
    .flatMap((path) => valuesOfRow(row, path))
    .filter((value) => isTarget(value, targets, base, work) && isOfContact(value, definition));
  return work.keep(definition, new FoundValues(values, base, work, { type, paths }));
}

/** R4's parameter of Patient: `deceased.exists() and deceased != false`. A server may read the code in any case. */
function deceasedTest(
  values: readonly SearchValue[],
  isAnyCase: boolean,
): (found: readonly Json[]) => boolean {
  const codes = new Set(
    values.map((value) =>
      value.kind === "token" ? (isAnyCase ? value.code.toLowerCase() : value.code) : undefined,
    ),
  );
  return (found) => codes.has(String(found.some((value) => value !== false)));
}

/** Answers for the values of a composite parameter whether one of them has all its parts. */
interface PartsFinder<Finder> {
  /** Finds by the first part of all values: most rows have none. */
  readonly together: Finder;
  /** By first part: the values that have it differ in their other parts alone. */
  readonly groups: readonly { readonly first: Finder; readonly others: PartsFinder<Finder> }[];
}

type MakeFinder<Finder> = (component: SearchParameterDefinition, parts: readonly SearchValue[]) => Finder;

function partsFinder<Finder>(
  components: readonly SearchParameterDefinition[],
  values: readonly SearchValue[],
  make: MakeFinder<Finder>,
): PartsFinder<Finder> | undefined {
  const whole = values.flatMap((value) =>
    value.kind === "composite" && value.parts.length >= components.length ? [value.parts] : [],
  );
  return whole.length === 0 ? undefined : finderFrom(0, components, whole, make);
}

function finderFrom<Finder>(
  at: number,
  components: readonly SearchParameterDefinition[],
  values: readonly (readonly SearchValue[])[],
  make: MakeFinder<Finder>,
): PartsFinder<Finder> {
  const partFinder = (all: typeof values) => {
    const component = components[at];
    if (component === undefined) throw new Error("a composite has components");
    return make(
      component,
      all.flatMap((parts) => parts[at] ?? []),
    );
  };
  const together = partFinder(values);
  if (at === components.length - 1) return { together, groups: [] };
  const byFirst = new Map<string, (readonly SearchValue[])[]>();
  for (const parts of values) {
    const text = parts[at]?.text ?? "";
    byFirst.set(text, [...(byFirst.get(text) ?? []), parts]);
  }
  const groups = [...byFirst.values()].map((group) => ({
    first: partFinder(group.slice(0, 1)),
    others: finderFrom(at + 1, components, group, make),
  }));
  return { together, groups };
}

/** @param meets answers by a finder and the index of its component. */
const meetsParts = <Finder>(
  { together, groups }: PartsFinder<Finder>,
  work: RowWork,
  meets: (finder: Finder, index: number) => boolean,
  at = 0,
): boolean =>
  meets(together, at) &&
  (groups.length === 0 ||
    groups.some(({ first, others }) => {
      work.spend(workOf.item);
      return meets(first, at) && meetsParts(others, work, meets, at + 1);
    }));

/**
 * A server finds a row by one item that has all parts (FHIR R4 §3.1.1.4.13): the row then has each part
 * somewhere.
 */
function partsAnywhere(
  components: readonly SearchParameterDefinition[],
  values: readonly SearchValue[],
): RowTest {
  const finder = partsFinder(components, values, (definition, parts) =>
    testOf({ definition, values: parts }, true),
  );
  return (row, base) => finder !== undefined && meetsParts(finder, workOn(row), (test) => test(row, base));
}

/** R4 §3.1.1.4.13: a single item of the row has each part. */
function partsOfItem(
  components: readonly SearchParameterDefinition[],
  values: readonly SearchValue[],
  isLenient: boolean,
): RowTest {
  const finder = partsFinder(components, values, ({ type }, parts) =>
    valueFinder(type, parts, { isLenient }),
  );
  return (row, base) => {
    if (finder === undefined) return false;
    const work = workOn(row);
    // by the components: the definition itself is the key of its values for `:missing`
    const known = work.read(components) as ReturnType<typeof itemsOf> | undefined;
    const { items } =
      known?.base === base ? known : work.keep(components, itemsOf(row, components, base, work));
    return items.some((item) => {
      work.spend(workOf.item);
      return meetsParts(finder, work, (finds, index) => {
        const found = item[index];
        return found !== undefined && finds(found);
      });
    });
  };
}

/** The items of a row that may have all parts of a composite: the values of each component in each of them. */
const itemsOf = (
  row: JsonObject,
  components: readonly SearchParameterDefinition[],
  base: FhirBase,
  work: RowWork,
): { readonly base: FhirBase; readonly items: readonly (readonly FoundValues[])[] } => ({
  base,
  items: itemPathsOf(components).flatMap((path) =>
    (path.length === 0 ? [row] : valuesOfRow(row, path)).map((item) =>
      components.map(({ paths = [], targets }) => {
        const values = paths
          .filter((each) => isItemPath(each, path))
          .flatMap((each) => (path.length === 0 ? valuesOfRow(row, each) : valuesBelow(item, each.slice(-1))))
          .filter((each) => isTarget(each, targets, base, work));
        return new FoundValues(values, base, work);
      }),
    ),
  ),
});

const isItemPath = (path: readonly string[], item: readonly string[]): boolean =>
  path.length === item.length + 1 && item.every((step, index) => step === path[index]);

/** The paths of the items that may have all parts of a composite. */
const itemPathsOf = ([
  first,
  ...others
]: readonly SearchParameterDefinition[]): readonly (readonly string[])[] =>
  (first?.paths ?? [])
    .map((path) => path.slice(0, -1))
    .filter((item) => others.every(({ paths = [] }) => paths.some((path) => isItemPath(path, item))));

/** `patient` reads the same element as `subject`: a reference to another type is no value of it. */
function isTarget(
  value: Json,
  targets: ReadonlySet<string> | undefined,
  base: FhirBase,
  work: RowWork,
): boolean {
  const text = targets !== undefined && isObject(value) ? textAt(value, "reference") : undefined;
  if (text === undefined) return true;
  work.spend(workOf.reference);
  const named = parseReference(text, base);
  return named.kind !== "local" || targets?.has(named.type) !== false;
}

/** R4's `email` and `phone` read the contact points of that system: `telecom.where(system='email')`. */
export const isOfContact = (value: Json, { code }: SearchParameterDefinition): boolean =>
  (code !== "email" && code !== "phone") || (isObject(value) && textAt(value, "system") === code);

/** Every value at a path. A step with `[x]` is every form of the choice. */
export function valuesBelow(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (isArray(value)) return value.flatMap((item) => valuesBelow(item, path));
  const [step, ...below] = path;
  if (step === undefined) return [value];
  if (!isObject(value)) return [];
  if (!step.endsWith("[x]")) return valuesBelow(property(value, step), below);
  const stem = step.slice(0, -"[x]".length);
  return Object.keys(value)
    .filter((name) => name.startsWith(stem) && /^[A-Z]/u.test(name.slice(stem.length)))
    .flatMap((name) => valuesBelow(property(value, name), below));
}

/**
 * As {@link valuesBelow}, of a row. It may be facts, whose members are asked for by their names: a choice is each
 * of the forms that R4 has for the row's type.
 */
function valuesOfRow(row: JsonObject, [step = "", ...below]: readonly string[]): readonly Json[] {
  if (!step.endsWith("[x]")) return valuesBelow(property(row, step), below);
  const type = textAt(row, "resourceType") ?? "";
  const forms = isResourceType(type) ? (elementsOf(type).get(step)?.forms ?? []) : [];
  return forms.flatMap(({ name }) => valuesBelow(property(row, name), below));
}
