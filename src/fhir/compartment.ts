import { isObject, property, valuesAt, type Json, type JsonObject } from "./json.ts";
import { r4Concerned, r4Owners, r4Participants } from "./r4-compartment.gen.ts";
import { mentionOf, type Mention } from "./reference.ts";

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

/** Whether an element says whose a resource of the type is (`owner`), or names anybody of its compartment (`any`). */
export function isCompartmentPath(type: string, path: readonly string[], part: "owner" | "any"): boolean {
  const tables = part === "owner" ? [owners] : [owners, concerned, participants];
  return tables.some((table) => table.get(type)?.some((one) => one.join(".") === path.join(".")) === true);
}

/**
 * The patients named by compartment elements (FHIR R4 CompartmentDefinition/patient), owners and participants alike; a Patient is about
 * itself. For the record: it reads references as generously as a reader might, so it says nothing about who owns the resource.
 *
 * @param bases every FHIR base whose patients are this origin's: its own and the gateway's.
 */
export function concernedBy(resource: JsonObject, bases: readonly string[]): Concerned {
  const type = property(resource, "resourceType");
  if (typeof type !== "string") return { patients: [], unnamed: true };
  if (type === "Patient") {
    const id = property(resource, "id");
    return typeof id === "string" ? { patients: [id], unnamed: false } : { patients: [], unnamed: true };
  }
  const at = (list: ReadonlyMap<string, readonly (readonly string[])[]>) =>
    (list.get(type) ?? []).flatMap((path) => valuesAt(resource, path));
  const owning = [...at(owners), ...at(concerned)].map((value) => mentionIn(value, bases));
  const taking = at(participants).map((value) => mentionIn(value, bases));
  const patients = new Set([...owning, ...taking].flatMap((mention) => (mention.kind === "patient" ? [mention.id] : [])));
  const nobody = owners.has(type) && patients.size === 0;
  const unnamed = owning.some(({ kind }) => kind !== "patient") || taking.some(({ kind }) => kind === "somebody");
  return { patients: [...patients], unnamed: nobody || unnamed };
}

const mentionIn = (value: Json, bases: readonly string[]): Mention => (isObject(value) ? mentionOf(value, bases) : { kind: "nobody" });
