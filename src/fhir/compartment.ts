import { isObject, property, valuesAt, type Json, type JsonObject } from "./json.ts";
import { r4Concerned, r4Owners, r4Participants } from "./r4-compartment.gen.ts";
import { parseReference } from "./reference.ts";

/** Whom a resource is about. */
export interface Concerned {
  /** Ids of the patients of this origin, each once. */
  readonly patients: readonly string[];
  /** It is about somebody, but an element that says whom names no patient of this origin (a group, an identifier, another server). */
  readonly unnamed: boolean;
}

const paths = (table: Readonly<Record<string, string>>): ReadonlyMap<string, readonly (readonly string[])[]> =>
  new Map(Object.entries(table).map(([type, list]) => [type, list.split(" ").map((path) => path.split("."))]));

const owners = paths(r4Owners);
const participants = paths(r4Participants);
const concerned = paths(r4Concerned);

/** The patients named by compartment elements (FHIR R4 CompartmentDefinition/patient), owners and participants alike; a Patient is about itself. */
export function concernedBy(resource: JsonObject, base: string): Concerned {
  const type = property(resource, "resourceType");
  if (typeof type !== "string") return { patients: [], unnamed: true };
  if (type === "Patient") {
    const id = property(resource, "id");
    return typeof id === "string" ? { patients: [id], unnamed: false } : { patients: [], unnamed: true };
  }
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? []).flatMap((path) => valuesAt(resource, path));
  const owning = [...at(owners), ...at(concerned)].map((value) => patientOf(value, base));
  const taking = at(participants).map((value) => patientOf(value, base));
  const patients = [...new Set([...owning, ...taking])].filter((id) => id !== undefined);
  const nobody = owners.has(type) && patients.length === 0;
  return { patients, unnamed: nobody || owning.includes(undefined) };
}

function patientOf(value: Json, base: string): string | undefined {
  const text = isObject(value) ? property(value, "reference") : undefined;
  const reference = typeof text === "string" ? parseReference(text, base) : undefined;
  return reference?.kind === "local" && reference.type === "Patient" ? reference.id : undefined;
}
