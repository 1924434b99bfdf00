import { belongingOf, showsOwner } from "#fhir/r4/belonging";
import { isArray, property, textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { canonicalText } from "#fhir/json/same";

interface Moving {
  readonly stored: JsonObject;
  /** The stored resource as its writer sees it; `undefined`: hidden. */
  readonly shown: JsonObject | undefined;
  readonly result: JsonObject;
  readonly isContained: boolean;
}

/**
 * Answers whether a write gives a resource to a different patient, or takes it away from its owner. It
 * compares the owners, in each element that R4 has for them. If the writer sees no owner, it compares the
 * participants too: the presence of a hidden owner must not decide.
 *
 * @param base FHIR base of the origin, without a trailing slash.
 */
export function isMoved({ stored, shown, result, isContained }: Moving, base: FhirBase): boolean {
  const [before, after] = [belongingOf(stored, base), belongingOf(result, base)];
  if (!isEqual(before.owners, after.owners)) return true;
  if ((shown === undefined || !showsOwner(shown)) && !isEqual(before.participants, after.participants))
    return true;
  // A contained Patient is identified only by its identifiers: it has no address of its own.
  return (
    isContained &&
    textAt(stored, "resourceType") === "Patient" &&
    !isEqual(identifiersOf(stored), identifiersOf(result))
  );
}

const isEqual = (before: readonly string[], after: readonly string[]): boolean =>
  before.length === after.length && before.every((item, index) => item === after[index]);

function identifiersOf(patient: JsonObject): readonly string[] {
  const identifiers = property(patient, "identifier");
  return (isArray(identifiers) ? identifiers : []).map(canonicalText).toSorted();
}
