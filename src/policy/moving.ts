import { belongingOf, showsOwner } from "#fhir/r4/compartment";
import { isArray, property, textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { canonicalText } from "#fhir/json/same";

interface Moving {
  readonly stored: JsonObject;
  /** The stored one as its writer sees it; `undefined`: not at all. */
  readonly shown: JsonObject | undefined;
  readonly result: JsonObject;
  readonly isContained: boolean;
}

/**
 * Whether a write makes a resource another patient's, or takes it away from its own. By its owners, in
 * whatever element R4 has them; and where its writer sees no owner, by who took part too: whether there is
 * one that is hidden must not decide.
 *
 * @param base FHIR base of the origin, without a trailing slash.
 */
export function isMoved({ stored, shown, result, isContained }: Moving, base: FhirBase): boolean {
  const [before, after] = [belongingOf(stored, base), belongingOf(result, base)];
  if (!isEqual(before.owners, after.owners)) return true;
  if ((shown === undefined || !showsOwner(shown)) && !isEqual(before.takers, after.takers)) return true;
  // A contained Patient is who its identifiers say: it has no address that anything else could know it by.
  return (
    isContained &&
    textAt(stored, "resourceType") === "Patient" &&
    !isEqual(identifiersOf(stored), identifiersOf(result))
  );
}

const isEqual = (before: readonly string[], after: readonly string[]): boolean =>
  before.length === after.length && before.every((one, index) => one === after[index]);

function identifiersOf(patient: JsonObject): readonly string[] {
  const identifiers = property(patient, "identifier");
  return (isArray(identifiers) ? identifiers : []).map(canonicalText).toSorted();
}
