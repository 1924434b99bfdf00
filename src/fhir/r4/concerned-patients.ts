import { idForm } from "./names.ts";
import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { nestedResources } from "#fhir/json/nested-resources";
import {
  careElements,
  concernedElements,
  isCompartmentType,
  ownerElements,
  participantElements,
} from "./compartment-tables.ts";
import { isResourceType, type ResourceType } from "./elements.ts";
import { mentionIn, namesType, noPatients, ownerStandingOf } from "./owner-reference.ts";
import { isId, mentionOf, parseReference, type FhirBase } from "./reference.ts";

/*
 * The patients of a resource for its record. The record is generous: it reads references as a reader might. Access
 * is decided strictly, by compartment.ts, and never by this file (docs/adr/0007).
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
  const owning = [...at(ownerElements), ...at(concernedElements)].map((value) => mentionIn(value, bases));
  const taking = at(participantElements).map((value) => mentionIn(value, bases));
  const patients = new Set(
    [...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])),
  );
  const namesNoPatient = ownerElements.has(type) && patients.size === 0;
  const unnamed =
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "unidentified");
  const unidentified =
    isUnidentified([...at(ownerElements), ...at(concernedElements)], at(careElements), {
      type,
      hasPatient: patients.size > 0,
      container,
      bases,
    }) || [...owning, ...taking].some(({ kind }) => kind === "unidentified");
  return { patients: [...patients], unnamed: namesNoPatient || unnamed, unidentified };
}

interface OwnerContext {
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
function isUnidentified(owning: readonly Json[], care: readonly Json[], context: OwnerContext): boolean {
  const { type, hasPatient } = context;
  if (owning.length === 0) return !hasPatient && care.length > 0;
  return owning.some((value) => {
    const meant = meantBy(value, context);
    if (meant === "known") return false;
    // The targets of a Provenance are judged each by itself (policy/consent/consent-book).
    if (meant === "through") return !hasPatient && type !== "Provenance";
    if (!isDisplayOnly(value)) return true;
    // A Schedule is of rooms and staff, and beside the patient of an appointment stands its staff.
    return type !== "Schedule" && !(type === "Appointment" && hasPatient);
  });
}

/**
 * The meaning of an owner element: a patient or thing that it identifies (`known`), the patient of a further resource
 * (`through`), or perhaps any patient.
 */
function meantBy(value: Json, { container, bases }: OwnerContext): "known" | "through" | "unknown" {
  if (!isObject(value)) return "unknown";
  if (mentionOf(value, bases).kind === "patient") return "known";
  const standings = bases.map((base) => ownerStandingOf(value, noPatients, base));
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

const foreignResource = new RegExp(`^https?://.*/(?<type>[A-Za-z]+)/${idForm}(?:/_history/${idForm})?$`, "u");
/** The empty text for a URL that shows no type. */
const foreignType = (url: string): string => foreignResource.exec(url)?.groups?.["type"] ?? "";

const containedById = new WeakMap<JsonObject, ReadonlyMap<string, ReadonlySet<string | null>>>();

/**
 * The types of the contained resources with this id, each once, or null for one that states no type. A container is
 * read once: thousands of its references may name thousands of resources in it.
 */
function containedTypes(container: JsonObject, id: string): readonly (string | null)[] {
  let known = containedById.get(container);
  if (known === undefined) {
    known = readContained(container);
    containedById.set(container, known);
  }
  return [...(known.get(id) ?? [null])];
}

function readContained(container: JsonObject): ReadonlyMap<string, ReadonlySet<string | null>> {
  const contained = property(container, "contained") ?? null;
  const types = new Map<string, Set<string | null>>();
  for (const item of isArray(contained) ? contained : []) {
    const id = isObject(item) ? textAt(item, "id") : undefined;
    if (!isObject(item) || id === undefined) continue;
    const ofId = types.get(id) ?? new Set();
    types.set(id, ofId.add(textAt(item, "resourceType") ?? null));
  }
  return types;
}

const isDisplayOnly = (value: Json): boolean =>
  isObject(value) &&
  typeof property(value, "display") === "string" &&
  Object.keys(value).every((name) => ["display", "id", "extension", "_display"].includes(name));

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
  const owning = [...at(ownerElements), ...at(concernedElements)];
  const taking = owning.length === 0 ? at(participantElements) : [];
  const patients = new Set(
    [...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])),
  );
  const unnamed =
    owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "unidentified");
  return {
    patients: [...patients],
    unnamed: unnamed || (ownerElements.has(type) && patients.size === 0),
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
