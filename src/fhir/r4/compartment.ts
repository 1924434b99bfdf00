import type { Facts } from "#fhir/json/facts";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { r4Concerned, r4Involved, r4Owners, r4Participants } from "./compartment.gen.ts";
import { isId, mentionOf, parseReference, type FhirBase, type Mention } from "./reference.ts";
import { isResourceType, type ResourceType } from "./elements.ts";
import { nestedResources } from "#fhir/json/nested-resources";
import { canonicalText } from "#fhir/json/same";

/*
 * Two questions about the patients of a resource (docs/adr/0007). Access is decided strictly, by `isOwnedBy`,
 * `mayBelongToAnother` and `isAboutOnly`. The record is generous: `concernedBy`, `ownersNamed` and
 * `allConcernedBy` never decide access.
 */

/** The patients that a resource is about. */
export interface Concerned {
  /** Ids of the patients of this origin, each once. */
  readonly patients: readonly string[];
  /**
   * It is about a patient, but an element that should name the patient names no patient of this origin (a
   * group, an identifier, a foreign server).
   */
  readonly unnamed: boolean;
}

export interface ConcernedByRow extends Concerned {
  /**
   * An element refers to a patient, or may do so, in a form that no id follows from: an identifier, a display, a
   * group, a contained Patient, a foreign server; or the row names its patient only through a further resource of
   * the patient (an Encounter). The Consents of that patient cannot be known.
   */
  readonly unidentified: boolean;
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
/**
 * A row without its optional subject belongs to the patient of these elements (FHIR R4). It is only asked whether
 * any is there.
 */
const careElements = paths({
  CareTeam: "encounter",
  Communication: "encounter",
  CommunicationRequest: "encounter",
  Composition: "encounter",
  DiagnosticReport: "encounter",
  DocumentReference: "context.encounter",
  Encounter: "episodeOfCare partOf",
  List: "encounter",
  Media: "encounter",
  MedicationDispense: "context",
  Observation: "encounter",
  QuestionnaireResponse: "encounter",
  RequestGroup: "encounter",
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
 * The elements of a type that decide the resource's owner anywhere in this file: the first step of each
 * path.
 */
export const namingElements = (type: string): readonly string[] => [
  ...namingByValue(type),
  ...firstSteps(type, [careElements]),
];

/** The {@link namingElements} of which more is read than that an object is there (see {@link careElements}). */
export const namingByValue = (type: string): readonly string[] => [
  ...firstSteps(type, [owners, participants, concerned, involved]),
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

/**
 * The patients named by compartment elements (FHIR R4 CompartmentDefinition/patient), owners and
 * participants alike; a Patient is about itself. For the record: it reads references as generously as a
 * reader might, so it does not decide the resource's owner.
 * @param bases all FHIR bases with patients of this origin: the origin's and the gateway's.
 * @param container holds the resources that a reference `#id` may name.
 */
export function concernedBy(
  resource: JsonObject,
  bases: readonly FhirBase[],
  container: JsonObject = resource,
): ConcernedByRow {
  const type = property(resource, "resourceType");
  if (typeof type !== "string") return nobodyNamed;
  if (type === "Patient") {
    const id = textAt(resource, "id");
    // In a Bundle the id may be any text. An id that no reference could name identifies no patient, and the
    // ledger would refuse it.
    return id !== undefined && isId(id)
      ? { patients: [id], unnamed: false, unidentified: false }
      : nobodyNamed;
  }
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? []).flatMap((path) => valuesAt(resource, path));
  const owning = [...at(owners), ...at(concerned)].map((value) => mentionIn(value, bases));
  const taking = at(participants).map((value) => mentionIn(value, bases));
  const patients = new Set(
    [...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])),
  );
  const noPatients = owners.has(type) && patients.size === 0;
  const unnamed =
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "unidentified");
  const unidentified =
    isUnidentified(at(owners), at(careElements), { type, hasPatient: patients.size > 0, container, bases }) ||
    [...owning, ...taking].some(({ kind }) => kind === "unidentified");
  return { patients: [...patients], unnamed: noPatients || unnamed, unidentified };
}

interface OwnerScene {
  readonly type: string;
  /** An element identifies a patient. */
  readonly hasPatient: boolean;
  readonly container: JsonObject;
  readonly bases: readonly FhirBase[];
}

/**
 * Answers whether the owner elements may mean a patient whom they do not identify.
 *
 * @param care elements through which a row without an owner element belongs to a patient.
 */
function isUnidentified(owning: readonly Json[], care: readonly Json[], scene: OwnerScene): boolean {
  const { type, hasPatient } = scene;
  if (owning.length === 0) return !hasPatient && care.length > 0;
  return owning.some((value) => {
    const meant = meantBy(value, scene);
    if (meant === "known") return false;
    // The targets of a Provenance are judged each by itself (policy/consent/consent-book).
    if (meant === "through") return !hasPatient && type !== "Provenance";
    if (!isDisplayOnly(value)) return true;
    // A Schedule is of rooms and staff, and beside the patient of an appointment stands its staff.
    return type !== "Schedule" && !(type === "Appointment" && hasPatient);
  });
}

/**
 * What an owner element means: a patient or thing that it identifies (`known`), the patient of a further resource
 * (`through`), or perhaps any patient.
 */
function meantBy(value: Json, { container, bases }: OwnerScene): "known" | "through" | "unknown" {
  if (!isObject(value)) return "unknown";
  if (mentionOf(value, bases).kind === "patient") return "known";
  const standings = bases.map((base) => standingOf(value, noPatients, base));
  if (standings.includes("no-patient")) return "known";
  const type = standings.includes("unidentified")
    ? bases.map((base) => localType(value, base)).find((found) => found !== undefined)
    : literalType(value, container, bases);
  if (type === undefined || type === "Patient" || type === "Group") return "unknown";
  return isCompartmentType(type) ? "through" : "known";
}

/**
 * The type that a reference states whose resource has no address at this origin: by `Reference.type`, by its URL, or
 * as the contained resource. `undefined`: it states none, or two.
 */
function literalType(
  value: JsonObject,
  container: JsonObject,
  bases: readonly FhirBase[],
): ResourceType | undefined {
  const text = textAt(value, "reference") ?? "";
  const read = bases.map((base) => parseReference(text, base));
  if (read.some(({ kind }) => kind === "local")) return undefined; // its `type` contradicts it
  const named = text.startsWith("#") ? containedTypes(container, text.slice(1)) : [foreignType(text)];
  const stated = property(value, "type");
  const types = [...named, ...(stated === undefined ? [] : [stated])].filter((type) => type !== "");
  const [type] = types;
  const local = typeof type === "string" ? type.replace("http://hl7.org/fhir/StructureDefinition/", "") : "";
  return isResourceType(local) && types.every((each) => namesType(each, local)) ? local : undefined;
}

function localType(value: JsonObject, base: FhirBase): ResourceType | undefined {
  const reference = parseReference(textAt(value, "reference") ?? "", base);
  return reference.kind === "local" ? reference.type : undefined;
}

/** The empty text for a URL that shows no type. */
const foreignType = (url: string): string =>
  /^https?:\/\/.*\/(?<type>[A-Za-z]+)\/[A-Za-z0-9\-.]{1,64}(?:\/_history\/[A-Za-z0-9\-.]{1,64})?$/u.exec(url)
    ?.groups?.["type"] ?? "";

/** The types of the contained resources with this id, or a value that names no type. */
function containedTypes(container: JsonObject, id: string): readonly Json[] {
  const contained = property(container, "contained") ?? null;
  const found = (isArray(contained) ? contained : []).filter(
    (item) => isObject(item) && textAt(item, "id") === id,
  );
  return found.length === 0
    ? [null]
    : found.map((item) => (isObject(item) ? (property(item, "resourceType") ?? null) : null));
}

const isDisplayOnly = (value: Json): boolean =>
  isObject(value) &&
  typeof property(value, "display") === "string" &&
  Object.keys(value).every((name) => ["display", "id", "extension", "_display"].includes(name));

/** The element paths of a type at which a patient only took part; empty if there are none. */
export const participantPaths = (type: string): readonly (readonly string[])[] =>
  participants.get(type) ?? [];

/** True if a resource has an owner element in any form: participants then decide nothing. */
export const hasOwnerElement = (resource: Facts): boolean => presentIn(resource, owners).length > 0;

/** True if an element at one of these paths names one of these patients, as {@link isOwnedBy} reads it. */
export const namesListed = (
  resource: Facts,
  among: readonly (readonly string[])[],
  patients: ReadonlySet<string>,
  base: FhirBase,
): boolean =>
  among
    .flatMap((path) => presentAt(resource, path))
    .some((value) => standingOf(value, patients, base) === "listed");

/** The element paths that {@link ownersNamed} reads: participants count if no owner element is present. */
export const ownerPathsOf = (type: string) => ({
  owners: [...(owners.get(type) ?? []), ...(concerned.get(type) ?? [])],
  participants: participants.get(type) ?? [],
});

/**
 * The owners of a resource, for the record: as generous as {@link concernedBy}, but without mere
 * participants. A Patient owns itself. Without any owner element, the participants count as owners.
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
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "unidentified");
  return {
    patients: [...patients],
    unnamed: unnamed || (owners.has(type) && patients.size === 0),
  };
}

/**
 * As {@link concernedBy}, for a resource and every resource inside it. A contained Patient has no address,
 * so its identity is unknown.
 */
export function allConcernedBy(resource: JsonObject, bases: readonly FhirBase[]): ConcernedByRow {
  const patients = new Set<string>();
  let [unnamed, unidentified] = [false, false];
  for (const { resource: nested, isContained } of nestedResources(resource)) {
    const about =
      isContained && textAt(nested, "resourceType") === "Patient"
        ? nobodyNamed
        : concernedBy(nested, bases, isContained ? resource : nested);
    for (const patient of about.patients) patients.add(patient);
    unnamed ||= about.unnamed;
    unidentified ||= about.unidentified;
  }
  return { patients: [...patients], unnamed, unidentified };
}

const nobodyNamed: ConcernedByRow = { patients: [], unnamed: true, unidentified: true };

const mentionIn = (value: Json, bases: readonly FhirBase[]): Mention =>
  isObject(value) ? mentionOf(value, bases) : { kind: "none" };

/** True if rows of the type can belong to a patient (FHIR R4 CompartmentDefinition/patient). */
export const isCompartmentType = (type: string): boolean =>
  type === "Patient" || owners.has(type) || participants.has(type);

/**
 * True for a type outside R4's patient compartment with rows that belong to the patient whom they name: a Device
 * with `patient` is an implant (US Core Implantable Device Profile). Its further rows are shared, as a Practitioner.
 */
export const mayBeOwned = (type: string): boolean => type === "Device";

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
  patients: ReadonlySet<string>,
  base: FhirBase,
  isOf?: (type: string, id: string) => boolean,
): boolean {
  const type = textAt(resource, "resourceType") ?? "";
  if (type === "Patient") return patients.has(textAt(resource, "id") ?? "");
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? [])
      .flatMap((path) => presentAt(resource, path))
      .map((value) => standingOf(value, patients, base));
  const owning = at(mayBeOwned(type) ? concerned : owners);
  if (isOf !== undefined && owning.includes("unidentified") && !owning.includes("unproven"))
    return areAllOf(
      (owners.get(type) ?? []).flatMap((path) => presentAt(resource, path)),
      patients,
      base,
      isOf,
    );
  if (owning.length > 0)
    return (
      owning.includes("listed") &&
      owning.every((standing) => standing === "listed" || standing === "no-patient")
    );
  const taking = at(participants);
  return taking.includes("listed") && !taking.includes("unproven");
}

// Each is read: a row that names more counts as a row with an unknown owner.
const followedMax = 50;

function areAllOf(
  values: readonly Json[],
  patients: ReadonlySet<string>,
  base: FhirBase,
  isOf: (type: string, id: string) => boolean,
): boolean {
  const followed = values.filter((value) => standingOf(value, patients, base) === "unidentified");
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
  patients: ReadonlySet<string>,
  base: FhirBase,
  nesting: Nesting = "contained",
): boolean {
  // A Patient is its own by its id; a contained Patient has an id that only its container knows.
  if (nesting === "entry" && textAt(inside, "resourceType") === "Patient")
    return !patients.has(textAt(inside, "id") ?? "");
  const owning = owningIn(inside);
  if (owning.length === 0) return mayInvolveAnother(inside, patients, base);
  return owning.some((value) => !isFragment(value) && standingOf(value, patients, base) === "unproven");
}

/**
 * True if a resource of a type outside the compartment is about no patient outside this list. Example: only
 * a Device's `patient` says that it belongs to a person. As strict as {@link isOwnedBy} if the resource
 * names a patient; most name none.
 */
export function isAboutOnly(resource: Facts, patients: ReadonlySet<string>, base: FhirBase): boolean {
  const owning = owningIn(resource);
  if (owning.length === 0) return !mayInvolveAnother(resource, patients, base);
  return owning.every((value) => ["listed", "no-patient"].includes(standingOf(value, patients, base)));
}

/** True if a patient outside this list took part, or a patient that no reference identifies. */
function mayInvolveAnother(resource: Facts, patients: ReadonlySet<string>, base: FhirBase): boolean {
  return takingIn(resource).some((value) => {
    const mention = mentionIn(value, [base]);
    return mention.kind === "unidentified" || (mention.kind === "patient" && !patients.has(mention.id));
  });
}

/** The values that state a resource's owner, in any form. */
const owningIn = (resource: JsonObject): readonly Json[] => [
  ...presentIn(resource, owners),
  ...presentIn(resource, concerned),
];

/** The values that state a resource's participants. */
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

/** `unidentified`: it belongs to a patient, and only that resource itself could say to which patient. */
type Standing = "listed" | "no-patient" | "unidentified" | "unproven";

function standingOf(value: Json, patients: ReadonlySet<string>, base: FhirBase): Standing {
  if (!isObject(value)) return "unproven";
  const reference = parseReference(textAt(value, "reference") ?? "", base);
  const statedType = property(value, "type") ?? null;
  // A `type` that contradicts the reference: two readers would follow it to two places.
  if (reference.kind !== "local" || (statedType !== null && !namesType(statedType, reference.type)))
    return "unproven";
  if (reference.type === "Patient") return patients.has(reference.id) ? "listed" : "unproven";
  if (reference.type === "Group") return "unproven"; // its members are patients
  return isCompartmentType(reference.type) || concerned.has(reference.type) ? "unidentified" : "no-patient";
}

/** `Reference.type` is relative to the base of R4's own definitions (FHIR R4 §2.3.0.1). */
const namesType = (statedType: Json, type: string) =>
  statedType === type || statedType === `http://hl7.org/fhir/StructureDefinition/${type}`;

/**
 * A resource's owners and participants as its elements state them: each value once for each occurrence,
 * sorted.
 */
export interface Belonging {
  /** From owner elements. Things without a patient (a practitioner, a place) are left out. */
  readonly owners: readonly string[];
  /** From participant elements; they decide the owner if there is no owner element. */
  readonly participants: readonly string[];
}

/**
 * Two resources with an equal result belong to the same patients. @param base FHIR base of the origin,
 * without a trailing slash.
 */
export function belongingOf(resource: JsonObject, base: FhirBase): Belonging {
  const write = (value: Json) => {
    const reference = isObject(value) ? parseReference(textAt(value, "reference") ?? "", base) : undefined;
    const statedType = (isObject(value) ? property(value, "type") : undefined) ?? null;
    const isPlain =
      reference?.kind === "local" && (statedType === null || namesType(statedType, reference.type));
    return isPlain ? `${reference.type}/${reference.id}` : canonicalText(value);
  };
  const namesOwner = (value: Json) => standingOf(value, noPatients, base) !== "no-patient";
  // An element that may refer to any type (the focus of a Task) states an owner only if it names a patient.
  const isPatients = (value: Json) => mentionIn(value, [base]).kind !== "none";
  return {
    owners: owningIn(resource).filter(namesOwner).map(write).toSorted(),
    participants: [
      ...presentIn(resource, participants).filter(namesOwner),
      ...presentIn(resource, involved).filter(isPatients),
    ]
      .map(write)
      .toSorted(),
  };
}

/** True if any owner element is visible in the disclosed part of a resource. A mask does not count. */
export const showsOwner = (shown: JsonObject): boolean =>
  owningIn(shown).some(
    (value) => !isObject(value) || Object.keys(value).some((name) => name !== "id" && name !== "extension"),
  );

const noPatients: ReadonlySet<string> = new Set();

/** Every value at a path, in any form: null and malformed references are included. */
function presentAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap((item) => presentAt(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  return isObject(value) ? presentAt(property(value, first), below) : [null];
}
