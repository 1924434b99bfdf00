import { isCompartmentPath } from "#fhir/r4/compartment-tables";
import { workOn, type Facts } from "#fhir/json/facts";
import { isObject, textAt, valuesAt } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { workOf } from "./row-work.ts";
import { RowKeys } from "./found-values.ts";
import { idsOf, matches, mayMatch } from "./row-judge.ts";
import { searchedReferences } from "./value-finder.ts";

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
    const { definition } = parameter;
    if (definition.code === "_id") return namesIn(parameter).has(textAt(row, "id") ?? "");
    if (decidedHere.has(parameter)) return matches(row, parameter, base);
    if (definition.type !== "reference" || !reads(type, definition, "owner"))
      return mayMatch(row, parameter, base);
    const { owners, hasNone, hasOther } = ownersIn(row, definition, base);
    // a row that names no patient does not name the requested patient
    return !hasNone && (hasOther || owners.hasOneOf(namesIn(parameter)));
  });
}

/** The owners that a row names, as `id` and `Type/id`. */
interface NamedOwners {
  readonly owners: RowKeys;
  readonly hasNone: boolean;
  /** No owner, or not each, is named as a resource of this server. */
  readonly hasOther: boolean;
}

function ownersIn(
  row: Facts,
  { paths = noPaths }: SearchParameter["definition"],
  base: FhirBase,
): NamedOwners {
  const work = workOn(row);
  return work.once(paths, () => {
    const named = paths.flatMap((path) => valuesAt(row, path));
    work.spend(named.length * workOf.reference);
    const references = named
      .flatMap((value) => (isObject(value) ? (textAt(value, "reference") ?? []) : []))
      .map((text) => parseReference(text, base));
    const local = references.filter((reference) => reference.kind === "local");
    const owners = new RowKeys();
    for (const { type, id } of local) {
      owners.add(id);
      owners.add(`${type}/${id}`);
    }
    return {
      owners,
      hasNone: named.length === 0,
      hasOther: local.length === 0 || local.length < references.length,
    };
  });
}

const noPaths: readonly (readonly string[])[] = [];
const names = new WeakMap<SearchParameter, ReadonlySet<string>>();

/** The resources that a parameter names: ids, or `id` and `Type/id` for a reference. */
function namesIn(parameter: SearchParameter): ReadonlySet<string> {
  const known = names.get(parameter);
  if (known !== undefined) return known;
  const { values } = parameter;
  const found = parameter.definition.code === "_id" ? idsOf(values) : searchedReferences(values);
  names.set(parameter, found);
  return found;
}

const none: ReadonlySet<SearchParameter> = new Set();

const reads = (type: string, { paths }: SearchParameter["definition"], part: "owner" | "any"): boolean =>
  paths?.some((path) => isCompartmentPath(type, path, part)) === true;
