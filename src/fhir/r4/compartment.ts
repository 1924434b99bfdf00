import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { r4Concerned, r4Involved, r4Owners, r4Participants } from "./compartment.gen.ts";
import { isId, mentionOf, parseReference, type FhirBase, type Mention } from "./reference.ts";
import { nestedResources } from "#fhir/json/nested-resources";
import { canonicalText } from "#fhir/json/same";

/** Whom a resource is about. */
export interface Concerned {
  /** Ids of the patients of this origin, each once. */
  readonly patients: readonly string[];
  /** It is about somebody, but an element that says whom names no patient of this origin (a group, an identifier, another server). */
  readonly unnamed: boolean;
}

const paths = (
  table: Readonly<Record<string, string>>,
): ReadonlyMap<string, readonly (readonly string[])[]> =>
  new Map(
    Object.entries(table).map(([type, list]) => [type, list.split(" ").map((path) => path.split("."))]),
  );

const owners = paths(r4Owners);
const participants = paths(r4Participants);
const concerned = paths(r4Concerned);
const involved = paths(r4Involved);

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

/** The elements of a type by which anything here is decided about whose a resource is: the first step of each path. */
export const namingElements = (type: string): readonly string[] =>
  [owners, participants, concerned, involved].flatMap((table) =>
    (table.get(type) ?? []).map(([first = ""]) => first),
  );

/** Whether an element says whose a resource of the type is (`owner`), or names anybody of its compartment (`any`). */
export function isCompartmentPath(type: string, path: readonly string[], part: "owner" | "any"): boolean {
  const table = part === "owner" ? ownerPaths : anyPaths;
  return table.get(type)?.has(path.join(".")) === true;
}

/**
 * The patients named by compartment elements (FHIR R4 CompartmentDefinition/patient), owners and participants alike; a Patient is about
 * itself. For the record: it reads references as generously as a reader might, so it says nothing about who owns the resource.
 *
 * @param bases every FHIR base whose patients are this origin's: its own and the gateway's.
 */
export function concernedBy(resource: JsonObject, bases: readonly FhirBase[]): Concerned {
  const type = property(resource, "resourceType");
  if (typeof type !== "string") return { patients: [], unnamed: true };
  if (type === "Patient") {
    const id = textAt(resource, "id");
    // In a Bundle it may have any: one that no reference could name is nobody's name, and no record would take it.
    return id !== undefined && isId(id)
      ? { patients: [id], unnamed: false }
      : { patients: [], unnamed: true };
  }
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? []).flatMap((path) => valuesAt(resource, path));
  const owning = [...at(owners), ...at(concerned)].map((value) => mentionIn(value, bases));
  const taking = at(participants).map((value) => mentionIn(value, bases));
  const patients = new Set(
    [...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])),
  );
  const nobody = owners.has(type) && patients.size === 0;
  const unnamed =
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "somebody");
  return { patients: [...patients], unnamed: nobody || unnamed };
}

/** The element paths by which {@link ownersNamed} goes: those who took part count where no owner element is there. */
export const ownerPathsOf = (type: string) => ({
  owners: [...(owners.get(type) ?? []), ...(concerned.get(type) ?? [])],
  participants: participants.get(type) ?? [],
});

/**
 * Whose a resource is, for the record: as generous as {@link concernedBy}, and without those who only took part. A Patient is its own. Where no
 * owner element is there, it is of those who took part.
 */
export function ownersNamed(resource: JsonObject, bases: readonly FhirBase[]): Concerned {
  const type = property(resource, "resourceType");
  if (typeof type !== "string" || type === "Patient") return concernedBy(resource, bases);
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? [])
      .flatMap((path) => valuesAt(resource, path))
      .map((value) => mentionIn(value, bases));
  const owning = [...at(owners), ...at(concerned)];
  const taking = owning.length === 0 ? at(participants) : [];
  const patients = new Set(
    [...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])),
  );
  const unnamed =
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "somebody");
  return { patients: [...patients], unnamed: unnamed || (owners.has(type) && patients.size === 0) };
}

/** As {@link concernedBy}, of a resource and every resource inside it. A contained Patient has no address: nobody can say who is meant. */
export function allConcernedBy(resource: JsonObject, bases: readonly FhirBase[]): Concerned {
  const patients = new Set<string>();
  let unnamed = false;
  for (const { resource: one, isContained } of nestedResources(resource)) {
    const about =
      isContained && textAt(one, "resourceType") === "Patient" ? nobodyNamed : concernedBy(one, bases);
    for (const patient of about.patients) patients.add(patient);
    unnamed ||= about.unnamed;
  }
  return { patients: [...patients], unnamed };
}

const nobodyNamed: Concerned = { patients: [], unnamed: true };

const mentionIn = (value: Json, bases: readonly FhirBase[]): Mention =>
  isObject(value) ? mentionOf(value, bases) : { kind: "nobody" };

/** Whether rows of the type can be a patient's (FHIR R4 CompartmentDefinition/patient). */
export const isCompartmentType = (type: string): boolean =>
  type === "Patient" || owners.has(type) || participants.has(type);

/**
 * Whether a resource is these patients' and nobody else's (DESIGN §6). The opposite of {@link concernedBy}: strict where that one is generous, since it
 * decides what may be read. A Patient is its own. Elsewhere one of them must be named by an owner element, and every other owner element
 * must name one of them too, or something that is nobody's (a practitioner, a place). Only where no owner element is there, of whatever form, a patient who
 * took part counts, if no other may have. A reference that cannot be followed here (`#id`, an identifier, another server) could mean
 * anybody.
 *
 * @param base FHIR base of the origin, without a trailing slash.
 */
export function isOwnedBy(resource: JsonObject, patients: ReadonlySet<string>, base: FhirBase): boolean {
  const type = textAt(resource, "resourceType") ?? "";
  if (type === "Patient") return patients.has(textAt(resource, "id") ?? "");
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? [])
      .flatMap((path) => presentAt(resource, path))
      .map((value) => standingOf(value, patients, base));
  const owning = at(owners);
  if (owning.length > 0)
    return owning.includes("theirs") && owning.every((one) => one === "theirs" || one === "nobody's");
  const taking = at(participants);
  return taking.includes("theirs") && !taking.includes("unproven");
}

/** How a resource stands inside another one: in `contained`, or whole, under an id of its own (Bundle.entry, Parameters.parameter). */
export type Nesting = "contained" | "entry";

/**
 * Whether a resource inside another one is, or may be, somebody else's than these patients'. One that names nobody goes with it, and so
 * does one that refers to it or beside itself (`#id`). Types outside the compartment count by whom they are about: a contained Task or
 * Device tells of its patient just as well. Where nothing says whose it is, another patient who took part counts.
 */
export function isOwnedByAnother(
  inside: JsonObject,
  patients: ReadonlySet<string>,
  base: FhirBase,
  nesting: Nesting = "contained",
): boolean {
  // A Patient is its own by its id; one that is contained has an id of its container's.
  if (nesting === "entry" && textAt(inside, "resourceType") === "Patient")
    return !patients.has(textAt(inside, "id") ?? "");
  const owning = owningIn(inside);
  if (owning.length === 0) return isTakenByAnother(inside, patients, base);
  return owning.some((value) => !isFragment(value) && standingOf(value, patients, base) === "unproven");
}

/**
 * Whether a resource of a type outside the compartment tells of nobody but these patients: a Device, of whom only its `patient` says that it
 * is somebody's. As strict as {@link isOwnedBy}, where one names somebody; most name nobody.
 */
export function isAboutNoOther(resource: JsonObject, patients: ReadonlySet<string>, base: FhirBase): boolean {
  const owning = owningIn(resource);
  if (owning.length === 0) return !isTakenByAnother(resource, patients, base);
  return owning.every((value) => ["theirs", "nobody's"].includes(standingOf(value, patients, base)));
}

/** Whether another patient than these took part, or somebody who is a patient and whom no reference names. */
function isTakenByAnother(resource: JsonObject, patients: ReadonlySet<string>, base: FhirBase): boolean {
  return takingIn(resource).some((value) => {
    const mention = mentionIn(value, [base]);
    return mention.kind === "somebody" || (mention.kind === "patient" && !patients.has(mention.id));
  });
}

/** What says whose a resource is, in whatever form. */
const owningIn = (resource: JsonObject): readonly Json[] => [
  ...presentIn(resource, owners),
  ...presentIn(resource, concerned),
];

/** What says who took part in it. */
const takingIn = (resource: JsonObject): readonly Json[] => [
  ...presentIn(resource, participants),
  ...presentIn(resource, involved),
];

function presentIn(
  resource: JsonObject,
  table: ReadonlyMap<string, readonly (readonly string[])[]>,
): readonly Json[] {
  return (table.get(textAt(resource, "resourceType") ?? "") ?? []).flatMap((path) =>
    presentAt(resource, path),
  );
}

const isFragment = (value: Json) => isObject(value) && (textAt(value, "reference") ?? "").startsWith("#");

/** `somebody's`: it belongs to a patient, and only that resource itself could say to whom. */
type Standing = "theirs" | "nobody's" | "somebody's" | "unproven";

function standingOf(value: Json, patients: ReadonlySet<string>, base: FhirBase): Standing {
  if (!isObject(value)) return "unproven";
  const reference = parseReference(textAt(value, "reference") ?? "", base);
  const said = property(value, "type") ?? null;
  // A `type` that contradicts the reference: two readers would follow it to two places.
  if (reference.kind !== "local" || (said !== null && !namesType(said, reference.type))) return "unproven";
  if (reference.type === "Patient") return patients.has(reference.id) ? "theirs" : "unproven";
  if (reference.type === "Group") return "unproven"; // its members are patients
  return isCompartmentType(reference.type) || concerned.has(reference.type) ? "somebody's" : "nobody's";
}

/** `Reference.type` is relative to the base of R4's own definitions (FHIR R4 §2.3.0.1). */
const namesType = (said: Json, type: string) =>
  said === type || said === `http://hl7.org/fhir/StructureDefinition/${type}`;

/** Whose a resource is, as its elements say it: each value once for each time that it stands there, in one order. */
export interface Belonging {
  /** By what says whose it is. What is nobody's (a practitioner, a place) is left out. */
  readonly owners: readonly string[];
  /** By what says who took part; it says whose a resource is where there is no owner. */
  readonly takers: readonly string[];
}

/** Two resources that belong alike are the same patients'. @param base FHIR base of the origin, without a trailing slash. */
export function belongingOf(resource: JsonObject, base: FhirBase): Belonging {
  const write = (value: Json) => {
    const reference = isObject(value) ? parseReference(textAt(value, "reference") ?? "", base) : undefined;
    const said = (isObject(value) ? property(value, "type") : undefined) ?? null;
    const isPlain = reference?.kind === "local" && (said === null || namesType(said, reference.type));
    return isPlain ? `${reference.type}/${reference.id}` : canonicalText(value);
  };
  const isSomebodys = (value: Json) => standingOf(value, nobody, base) !== "nobody's";
  // What any type may refer to (the focus of a Task) says whose it is only where it names a patient.
  const isPatients = (value: Json) => mentionIn(value, [base]).kind !== "nobody";
  return {
    owners: owningIn(resource).filter(isSomebodys).map(write).toSorted(),
    takers: [
      ...presentIn(resource, participants).filter(isSomebodys),
      ...presentIn(resource, involved).filter(isPatients),
    ]
      .map(write)
      .toSorted(),
  };
}

/** Whether anything that says whose a resource is can be seen in what is shown of it: a mask cannot. */
export const showsOwner = (shown: JsonObject): boolean =>
  owningIn(shown).some(
    (value) => !isObject(value) || Object.keys(value).some((name) => name !== "id" && name !== "extension"),
  );

const nobody: ReadonlySet<string> = new Set();

/** Every value at a path that is there in any form: nothing is passed over because it is null or no reference. */
function presentAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap((item) => presentAt(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  return isObject(value) ? presentAt(property(value, first), below) : [null];
}
