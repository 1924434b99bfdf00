import type { FactPath, Facts } from "#fhir/json/facts";
import { isObject, property, textAt, valuesAt, type Json } from "#fhir/json/json";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import type { FhirBase } from "#fhir/r4/reference";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import { isOfContact, matches } from "#fhir/search/row-judge";
import { readValue, type SearchValue } from "#fhir/search/value";
import type { ScopeFilter } from "#identity/scopes";
import { findersOf } from "#policy/view/coding";

/** A condition of a scope that can be judged on the rows of a type. */
export interface RowFilter {
  /** The condition as a search states it. */
  readonly parameter: SearchParameter;
  /** In doubt no: a scope grants the rows that meet it for certain. `base`: the origin's FHIR base. */
  readonly meets: (row: Facts, base: FhirBase) => boolean;
}

const known = new WeakMap<ScopeFilter, Map<string, RowFilter | undefined>>();

/**
 * The condition for a type; `undefined` if R4 has no such parameter for the type, or if the gateway cannot
 * judge it on a row: the scope then reaches no row of the type.
 */
export function rowFilterOf(type: string, filter: ScopeFilter): RowFilter | undefined {
  if (!isResourceType(type)) return undefined; // a row may have any text as its type
  let byType = known.get(filter);
  if (byType === undefined) known.set(filter, (byType = new Map()));
  if (!byType.has(type)) byType.set(type, readFilter(type, filter));
  return byType.get(type);
}

function readFilter(type: string, { parameter: code, values }: ScopeFilter): RowFilter | undefined {
  const definition = searchParametersOf(type).get(code);
  if (definition?.paths === undefined || !judged.has(definition.type)) return undefined;
  // R4's token is true or false: a date would be found by the keys of a hidden date of death.
  const isDeceased = code === "deceased";
  if (isDeceased && !values.every((text) => text === "true" || text === "false")) return undefined;
  const read = values.map((text) => readSearched(text, definition));
  const searched = read.flatMap((value) => value ?? []);
  if (searched.length < read.length) return undefined;
  const parameter = { definition, values: searched };
  const certain = { definition, values: definition.type === "date" ? searched.flatMap(certainly) : searched };
  const paths = jsonPaths(type, definition.paths);
  return {
    parameter,
    meets:
      definition.type === "token" && !isDeceased
        ? (row) => {
            const keys = keysOf(row, definition, paths);
            return values.some((text) => keys.has(text));
          }
        : (row, base) => matches(row, certain, base),
  };
}

const judged: ReadonlySet<SearchParameterDefinition["type"]> = new Set([
  "token",
  "reference",
  "date",
  "string",
]);

/** The value of a condition; `undefined` if a row could meet it in doubt. */
function readSearched(text: string, definition: SearchParameterDefinition): SearchValue | undefined {
  const value = readValue(text, definition, { base: undefined, type: undefined });
  if (value?.kind !== "reference" || value.type !== undefined) return value;
  const type = typeMeant(definition);
  return type === undefined || !isResourceType(type)
    ? undefined
    : { ...value, type, text: `${type}/${value.id}` };
}

/**
 * The dates that meet a condition for certain: a time that is not the searched time lies before it or after it,
 * and about the searched time is that time.
 */
function certainly(value: SearchValue): readonly SearchValue[] {
  const [prefix, rest] = [value.text.slice(0, 2), value.text.slice(2)];
  const prefixes = prefix === "ne" ? ["sa", "eb"] : prefix === "ap" ? ["eq"] : undefined;
  return prefixes?.map((one) => ({ kind: "other", text: one + rest })) ?? [value];
}

/** The type of a bare id: the only type, or the type of the parameter's name. In doubt there is none. */
function typeMeant({ code, targets }: SearchParameterDefinition): string | undefined {
  const all = [...(targets ?? [])];
  return all.length === 1 ? all[0] : all.find((type) => type.toLowerCase() === code);
}

/** The members of a resource that a condition reads, for the types that have the parameter. */
export const filterPaths = (type: string, parameter: string): readonly FactPath[] =>
  jsonPaths(type, searchParametersOf(type).get(parameter)?.paths ?? []).map(([first = "", second]) =>
    first === "meta" && second !== undefined ? [first, second] : [first],
  );

/** The paths by the names of JSON: a choice is each of its forms. */
function jsonPaths(type: string, paths: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return paths.flatMap(([first = "", ...below]) =>
    (elementsOf(type).get(first)?.forms ?? [{ name: first }]).map(({ name }) => [name].concat(below)),
  );
}

// Cached for each row that is judged: a token's scopes may name a thousand codes, and a row may have thousands.
const keysOfRow = new WeakMap<Facts, Map<SearchParameterDefinition, ReadonlySet<string>>>();

/** The keys that find a row by a token, in doubt none: `system|code`, and a bare code of any system. */
function keysOf(
  row: Facts,
  definition: SearchParameterDefinition,
  paths: readonly (readonly string[])[],
): ReadonlySet<string> {
  let ofRow = keysOfRow.get(row);
  if (ofRow === undefined) keysOfRow.set(row, (ofRow = new Map<SearchParameterDefinition, Set<string>>()));
  let keys = ofRow.get(definition);
  if (keys === undefined) {
    const values = paths
      .flatMap((path) => valuesAt(row, path))
      .filter((value) => isOfContact(value, definition));
    keys = new Set([...findersOf(values), ...values.flatMap(identifierKeys)]);
    ofRow.set(definition, keys);
  }
  return keys;
}

/** An Identifier is found by `system|value` and by its bare value (FHIR R4 §3.1.1.4.10). */
function identifierKeys(value: Json): readonly string[] {
  if (!isObject(value) || property(value, "code") !== undefined) return [];
  const [system, text] = [textAt(value, "system"), textAt(value, "value")];
  return system === undefined || text === undefined ? [] : [`${system}|${text}`, text];
}
