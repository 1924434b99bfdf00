import { memo } from "#kernel/memo";
import { r4Compartment } from "./compartment.gen.ts";
import { elementsOf, r4ResourceTypes } from "./elements.ts";

const lines = r4Compartment.split("\n").map((line) => line.split(","));

/** Type → element paths, by their place in a line of the table. */
const column = (place: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    r4ResourceTypes.flatMap((type, line) => {
      const list = lines[line]?.[place] ?? "";
      return list === "" ? [] : [[type, list]];
    }),
  );

/** Type → paths of the owner of a resource, a Patient. */
export const r4Owners = column(0);
/** Type → paths of Patients who took part in a resource. */
export const r4Participants = column(1);
/** Types outside the patient compartment → element paths that name whom they are about. */
export const r4Concerned = column(2);
/** Types outside the patient compartment → the other element paths that may name a patient. */
export const r4Involved = column(3);

const paths = (
  table: Readonly<Record<string, string>>,
): ReadonlyMap<string, readonly (readonly string[])[]> =>
  new Map(
    Object.entries(table).map(([type, list]) => [type, list.split(" ").map((path) => path.split("."))]),
  );

/** The elements whose Patient owns a resource (FHIR R4 CompartmentDefinition/patient). */
export const ownerElements = paths(r4Owners);
/** The elements whose Patient only took part. */
export const participantElements = paths(r4Participants);
/** Outside the patient compartment: the elements that name the patient of a resource. */
export const concernedElements = paths(r4Concerned);
/** Outside the patient compartment: the further elements that may name a patient. */
export const involvedElements = paths(r4Involved);

/**
 * A row without its optional subject belongs to the patient of these elements (FHIR R4). It is only asked whether
 * any is there.
 */
export const careElements = paths({
  CareTeam: "encounter",
  Communication: "encounter",
  CommunicationRequest: "encounter",
  Composition: "encounter",
  DiagnosticReport: "encounter",
  DocumentReference: "context.encounter",
  Encounter: "episodeOfCare partOf",
  GuidanceResponse: "encounter",
  List: "encounter",
  Media: "encounter",
  MedicationDispense: "context",
  Observation: "encounter",
  QuestionnaireResponse: "encounter",
  RequestGroup: "encounter",
  Task: "encounter",
});

const joined = (
  ...tables: readonly Readonly<Record<string, string>>[]
): ReadonlyMap<string, ReadonlySet<string>> =>
  new Map(
    tables
      .flatMap(Object.keys)
      .map((type) => [type, new Set(tables.flatMap((table) => table[type]?.split(" ") ?? []))]),
  );

const ownerPaths = joined(r4Owners);

const anyPaths = joined(r4Owners, r4Concerned, r4Participants);

/**
 * The elements of a type that name its patients by any of the tables: the first step of each path.
 */
export const namingElements = (type: string): readonly string[] => [
  ...namingByValue(type),
  ...firstSteps(type, [careElements]),
];

/** The {@link namingElements} of which more is read than that an object is there (see {@link careElements}). */
export const namingByValue = (type: string): readonly string[] => [
  ...firstSteps(type, [ownerElements, participantElements, concernedElements, involvedElements]),
  ...(careElements.get(type) ?? []).filter((path) => path.length > 1).map(([first = ""]) => first),
];

const firstSteps = (
  type: string,
  tables: readonly ReadonlyMap<string, readonly (readonly string[])[]>[],
): readonly string[] => tables.flatMap((table) => (table.get(type) ?? []).map(([first = ""]) => first));

/**
 * True if an element names the owner of a resource of this type (`owner`), or any member of its compartment
 * (`any`).
 */
export function isCompartmentPath(type: string, path: readonly string[], part: "owner" | "any"): boolean {
  const table = part === "any" || mayBeOwned(type) ? anyPaths : ownerPaths;
  return table.get(type)?.has(path.join(".")) === true;
}

/** True if R4 demands an owner element: no valid row of the type belongs to a mere participant. */
export const demandsOwner = (type: string): boolean =>
  (ownerElements.get(type) ?? []).some(
    ([name = "", ...below]) => below.length === 0 && elementsOf(type).get(name)?.required === true,
  );

/** The element paths of a type at which a patient only took part; empty if there are none. */
export const participantPaths = (type: string): readonly (readonly string[])[] =>
  participantElements.get(type) ?? [];

/** The element paths that {@link ownersNamed} reads: participants count if no owner element is present. */
export const ownerPathsOf = memo(256, (type: string) => ({
  owners: [...(ownerElements.get(type) ?? []), ...(concernedElements.get(type) ?? [])],
  participants: participantElements.get(type) ?? [],
}));

/** True if rows of the type can belong to a patient (FHIR R4 CompartmentDefinition/patient). */
export const isCompartmentType = (type: string): boolean =>
  type === "Patient" || ownerElements.has(type) || participantElements.has(type);

/** True if no element of the type names a patient, by any table. */
export const namesNoPatient = (type: string): boolean =>
  type !== "Patient" && namingElements(type).length === 0;

/** True if resources of the type may be about a patient, by any table. */
export const hasPatients = (type: string): boolean => isCompartmentType(type) || concernedElements.has(type);

/**
 * True for a type outside R4's patient compartment with rows that belong to the patient in them: a Device
 * with `patient` is an implant (US Core Implantable Device Profile), a Task is done for a patient (`for`). Their further
 * rows are shared, as a Practitioner.
 */
export const mayBeOwned = (type: string): boolean => type === "Device" || type === "Task";
