import { isCompartmentPath } from "#fhir/r4/compartment-tables";
import type { Facts } from "#fhir/json/facts";
import { isObject, property, textAt, valuesAt } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { matches, mayMatch } from "./row-judge.ts";

/**
 * Ids of the patients that a search names (`patient=1`, `Patient?_id=1`, `focus=Patient/1`). An empty
 * answer discloses a fact about them too: that they have no such row.
 */
export function patientsSearchedFor(
  type: string,
  parameters: readonly SearchParameter[],
): ReadonlySet<string> {
  const ids = parameters.flatMap(({ definition, values }) =>
    values.flatMap((value) => {
      if (value.kind === "token") return type === "Patient" && definition.code === "_id" ? [value.code] : [];
      if (value.kind !== "reference") return [];
      // A bare id is a patient's id if the parameter states the row's owner; in all further parameters it
      // is more likely a practitioner's id.
      const isOnlyPatients = definition.targets?.size === 1 && definition.targets.has("Patient");
      const meansPatient =
        isOnlyPatients || (reads(type, definition, "owner") && definition.targets?.has("Patient") !== false);
      return value.type === "Patient" || (value.type === undefined && meansPatient) ? [value.id] : [];
    }),
  );
  return new Set(ids);
}

/**
 * True if a row can be a match of the search: an origin that ignores a parameter answers with rows that are
 * none. Each server reads some searches in its own way, so only a row that no reading would find is refused.
 * The id and the owners are compared exactly. A reference to a foreign server is left to the origin, which
 * alone knows that server's names.
 * @param base FHIR base of the origin, without a trailing slash.
 * @param decidedHere the parameters that the origin does not know: the row must match them by R4's reading.
 */
export function matchesSearch(
  row: Facts,
  parameters: readonly SearchParameter[],
  base: FhirBase,
  decidedHere: ReadonlySet<SearchParameter> = none,
): boolean {
  const type = textAt(row, "resourceType") ?? "";
  return parameters.every((parameter) => {
    const { definition, values } = parameter;
    if (definition.code === "_id")
      return values.some((value) => value.kind === "token" && value.code === property(row, "id"));
    if (decidedHere.has(parameter)) return matches(row, parameter, base);
    if (definition.type !== "reference" || !reads(type, definition, "owner"))
      return mayMatch(row, parameter, base);
    const named = (definition.paths ?? []).flatMap((path) => valuesAt(row, path));
    // the row names no patient, so it does not name the requested patient
    if (named.length === 0) return false;
    const references = named
      .flatMap((value) => (isObject(value) ? (textAt(value, "reference") ?? []) : []))
      .map((text) => parseReference(text, base));
    const local = references.filter((reference) => reference.kind === "local");
    if (local.length === 0 || local.length < references.length) return true;
    const owners = new Set(local.flatMap(({ type, id }) => [id, `${type}/${id}`]));
    return values.some(
      (value) =>
        value.kind === "reference" &&
        owners.has(value.type === undefined ? value.id : `${value.type}/${value.id}`),
    );
  });
}

const none: ReadonlySet<SearchParameter> = new Set();

const reads = (type: string, { paths }: SearchParameter["definition"], part: "owner" | "any"): boolean =>
  paths?.some((path) => isCompartmentPath(type, path, part)) === true;
