import { isCompartmentPath, isCompartmentType, isOwnedBy, isOwnedByAnother } from "#fhir/compartment";
import type { JsonObject } from "#fhir/json";
import type { SearchParameter } from "#fhir/search";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search-parameters";
import { scopeReach, type Permission, type Scopes } from "#identity/scopes";

/** What the principal may reach: the scopes, and the patient whom those of the context `patient` mean. */
export interface Access {
  readonly scopes: Scopes;
  readonly patient: string | undefined;
}

/** Whose rows of a type are in reach: one patient's, or (`undefined`) everybody's. */
export interface Hold {
  readonly to: string | undefined;
}

/** `undefined`: no scope permits it. A scope that is held to a patient whom nobody named permits nothing. */
export function holdOf({ scopes, patient }: Access, type: string, permission: Permission): Hold | undefined {
  const reach = scopeReach(scopes, type, permission);
  if (reach === "everyone") return { to: undefined };
  return reach === "patient" && patient !== undefined ? { to: patient } : undefined;
}

/** Whether rows of the type can be within a hold at all. */
export const canHold = ({ to }: Hold, type: string): boolean => to === undefined || isCompartmentType(type);

/** Whether a row is within the hold. `base`: the origin's. */
export const isHeld = ({ to }: Hold, row: JsonObject, base: string): boolean => to === undefined || isOwnedBy(row, to, base);

/**
 * Whether a resource inside a row may go with it. It belongs to its container, unless it says that it is somebody else's; where the
 * container was everybody's to read and resources of this type are the patient's alone, nobody can tell whose it is.
 */
export function mayGoWith(inside: Hold, container: Hold, resource: JsonObject, base: string): boolean {
  if (inside.to === undefined) return true;
  return container.to !== undefined && !isOwnedByAnother(resource, inside.to, base);
}

/** The hold as a search parameter beside the client's own, so that an origin sends no row that would be dropped: all must hold. */
export function holding({ to }: Hold, type: string, asked: readonly SearchParameter[]): readonly SearchParameter[] {
  if (to === undefined || asked.some((parameter) => asksFor(parameter, type, to))) return [];
  const known = searchParametersOf(type);
  if (type === "Patient") {
    const definition = known.get("_id");
    return definition === undefined ? [] : [{ definition, values: [{ kind: "token", text: to, system: undefined, code: to }] }];
  }
  const owning = [...known.values()].filter((definition) => readsOwners(type, definition));
  const definition = owning.find(({ code }) => code === "patient") ?? owning[0];
  return definition === undefined ? [] : [{ definition, values: [{ kind: "reference", text: `Patient/${to}`, type: "Patient", id: to }] }];
}

/** Whether a parameter holds the search to this patient already, as most clients' own do: said twice it would cost the origin twice. */
function asksFor({ definition, values }: SearchParameter, type: string, patient: string): boolean {
  const [value, ...others] = values;
  if (value === undefined || others.length > 0) return false;
  if (type === "Patient") return definition.code === "_id" && value.kind === "token" && value.code === patient;
  // A bare id may mean another type's where the parameter takes several.
  const means = value.kind === "reference" && (value.type === "Patient" || (value.type === undefined && definition.code === "patient"));
  return means && value.id === patient && readsOwners(type, definition);
}

const readsOwners = (type: string, { paths, targets }: SearchParameterDefinition): boolean =>
  paths?.every((path) => isCompartmentPath(type, path, "owner")) === true && (targets?.has("Patient") ?? true);
