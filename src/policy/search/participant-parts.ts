import { hasOwnerElement, namesListed } from "#fhir/r4/compartment";
import { isCompartmentPath } from "#fhir/r4/compartment-tables";
import type { Facts } from "#fhir/json/facts";
import { textAt } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { ownedBy, participantParameters } from "#fhir/search/owner-parameter";
import type { Search, SearchParameter } from "#fhir/search/search";
import type { CompiledPolicy, CompiledRule } from "#policy/compile";
import { showsInFull } from "#policy/relations";
import { atBestOf, participating, patientsWithin, type RowAccess } from "#policy/row-access";

/**
 * A part of a search: the rows without an owner in which the patients took part, found by one parameter. A
 * search under a `patient/` or `user/` scope, or in a patient's compartment, has these parts after the owners' rows,
 * since no single question to the origin finds both.
 */
export interface SearchPart {
  /** The criterion that names the patients. */
  readonly by: SearchParameter;
  /**
   * The rules that show the owner and the participant: without them, the row's place in the answer would
   * reveal a hidden element.
   */
  readonly rules: readonly CompiledRule[];
  /** Answers whether a row belongs to this part and to no earlier part. */
  readonly isOwn: (row: Facts, base: FhirBase) => boolean;
}

/**
 * The parts of a search after the owners' rows, in order. None for a search of all patients, for a search that
 * names an owner, and for a type without participants.
 */
export function participantParts(
  policy: CompiledPolicy,
  { type, parameters, compartment }: Pick<Search, "type" | "parameters" | "compartment">,
  {
    searchRules,
    rowAccess,
  }: { readonly searchRules: readonly CompiledRule[]; readonly rowAccess: RowAccess },
): readonly SearchPart[] {
  const within = patientsWithin(rowAccess);
  // The rows of a patient beyond the access would only be counted.
  if (compartment !== undefined && within?.has(compartment.patient) === false) return [];
  const patients = compartment === undefined ? within : new Set([compartment.patient]);
  const owner = patients === undefined ? undefined : ownedBy(type, patients)?.definition;
  if (patients === undefined || owner === undefined) return [];
  // A row without an owner element meets no condition on its owner.
  const namesOwner = parameters.some(
    (parameter) =>
      parameter !== compartment?.by &&
      parameter.definition.paths?.every((path) => isCompartmentPath(type, path, "owner")) === true,
  );
  if (namesOwner) return [];
  // A row of an unknown patient may be of this part, until its relation is known.
  const among = atBestOf(patients);
  const earlier: (readonly string[])[] = [];
  return participantParameters(type).flatMap((by): readonly SearchPart[] => {
    const rules = searchRules.filter(
      (rule) => showsInFull(policy, type, rule, owner) && showsInFull(policy, type, rule, by),
    );
    if (rules.length === 0) return [];
    const [paths, before] = [by.paths ?? [], [...earlier]];
    earlier.push(...paths);
    const isOwn = (row: Facts, base: FhirBase): boolean =>
      textAt(row, "resourceType") === type && // a row of another type belongs to no further part
      !hasOwnerElement(row) &&
      namesListed(row, paths, among, base) &&
      !namesListed(row, before, among, base);
    return [{ by: participating(by, type, patients), rules, isOwn }];
  });
}
