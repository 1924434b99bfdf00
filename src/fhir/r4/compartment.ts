import type { Facts } from "#fhir/json/facts";
import { isObject, textAt, type Json } from "#fhir/json/json";
import { concernedElements, mayBeOwned, ownerElements, participantElements } from "./compartment-tables.ts";
import {
  mentionIn,
  owningIn,
  presentAt,
  presentIn,
  ownerStandingOf,
  takingIn,
  type AmongPatients,
} from "./owner-reference.ts";
import { parseReference, type FhirBase } from "./reference.ts";

/*
 * Access to a resource by its patients, decided strictly. The record is generous: see concerned-patients.ts
 * (docs/adr/0007).
 */

/** True if a resource has an owner element in any form: participants then decide nothing. */
export const hasOwnerElement = (resource: Facts): boolean => presentIn(resource, ownerElements).length > 0;

/** True if an element at one of these paths names one of these patients, as {@link isOwnedBy} reads it. */
export const namesListed = (
  resource: Facts,
  among: readonly (readonly string[])[],
  patients: AmongPatients,
  base: FhirBase,
): boolean =>
  among
    .flatMap((path) => presentAt(resource, path))
    .some((value) => ownerStandingOf(value, patients, base) === "listed");

/**
 * True if a resource belongs to these patients and to no further patient (P2, P3). The opposite of {@link
 * concernedBy}: strict instead of generous, since it decides what may be read. A Patient owns itself. For
 * all further types, an owner element must name a listed patient, and every owner element must name a
 * listed patient or a thing without a patient (a practitioner, a place). If the resource has no owner
 * element in any form, a participating patient counts, unless a second patient may have taken part. A
 * reference that cannot be followed here (`#id`, an identifier, a foreign server) could mean any patient.
 * @param base FHIR base of the origin, without a trailing slash.
 * @param isOf answers for an owner element that names a patient's resource (a target of a Provenance) whether that
 * resource belongs to the patients. Without it such a resource belongs to no listed patient.
 */
export function isOwnedBy(
  resource: Facts,
  patients: AmongPatients,
  base: FhirBase,
  isOf?: (type: string, id: string) => boolean,
): boolean {
  const type = textAt(resource, "resourceType") ?? "";
  if (type === "Patient") return patients.has(textAt(resource, "id") ?? "");
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? [])
      .flatMap((path) => presentAt(resource, path))
      .map((value) => ownerStandingOf(value, patients, base));
  const owning = at(mayBeOwned(type) ? concernedElements : ownerElements);
  if (isOf !== undefined && owning.includes("unidentified") && !owning.includes("unproven"))
    return areAllOf(
      (ownerElements.get(type) ?? []).flatMap((path) => presentAt(resource, path)),
      patients,
      base,
      isOf,
    );
  if (owning.length > 0)
    return (
      owning.includes("listed") &&
      owning.every((standing) => standing === "listed" || standing === "no-patient")
    );
  const taking = at(participantElements);
  return taking.includes("listed") && !taking.includes("unproven");
}

// Each is read: a row that names more counts as a row with an unknown owner. Synthea's records have a Provenance of
// some 550 targets.
const followedMax = 1_000;

function areAllOf(
  values: readonly Json[],
  patients: AmongPatients,
  base: FhirBase,
  isOf: (type: string, id: string) => boolean,
): boolean {
  const followed = values.filter((value) => ownerStandingOf(value, patients, base) === "unidentified");
  if (followed.length > followedMax) return false;
  // Each of them is asked for, also after the first that is not theirs: their number decides, not their owners.
  const answers = followed.map((value) => {
    const reference = parseReference(isObject(value) ? (textAt(value, "reference") ?? "") : "", base);
    return reference.kind === "local" && isOf(reference.type, reference.id);
  });
  return answers.every(Boolean);
}

/**
 * The position of a resource inside a resource: in `contained`, or whole, under an id of its own
 * (Bundle.entry, Parameters.parameter).
 */
export type Nesting = "contained" | "entry";

/**
 * True if a nested resource belongs, or may belong, to a patient outside this list. A nested resource
 * without any owner follows its container, and so does a resource that refers to the container or to a
 * sibling (`#id`). Types outside the compartment count by the patients they are about: a contained Task or
 * Device discloses its patient just as well. Without any owner element, a participating patient outside the
 * list counts.
 */
export function mayBelongToAnother(
  inside: Facts,
  patients: AmongPatients,
  base: FhirBase,
  nesting: Nesting = "contained",
): boolean {
  // A Patient is its own by its id; a contained Patient has an id that only its container knows.
  if (nesting === "entry" && textAt(inside, "resourceType") === "Patient")
    return !patients.has(textAt(inside, "id") ?? "");
  const owning = owningIn(inside);
  if (owning.length === 0) return mayInvolveAnother(inside, patients, base);
  return owning.some((value) => !isFragment(value) && ownerStandingOf(value, patients, base) === "unproven");
}

/**
 * True if a resource of a type outside the compartment is about no patient outside this list. Example: only
 * a Device's `patient` says that it belongs to a person. As strict as {@link isOwnedBy} if the resource
 * names a patient; most name none.
 */
export function isAboutOnly(resource: Facts, patients: AmongPatients, base: FhirBase): boolean {
  const owning = owningIn(resource);
  if (owning.length === 0) return !mayInvolveAnother(resource, patients, base);
  return owning.every((value) => ["listed", "no-patient"].includes(ownerStandingOf(value, patients, base)));
}

/** True if a patient outside this list took part, or a patient that no reference identifies. */
function mayInvolveAnother(resource: Facts, patients: AmongPatients, base: FhirBase): boolean {
  return takingIn(resource).some((value) => {
    const mention = mentionIn(value, [base]);
    return mention.kind === "unidentified" || (mention.kind === "patient" && !patients.has(mention.id));
  });
}

const isFragment = (value: Json) => isObject(value) && (textAt(value, "reference") ?? "").startsWith("#");
