import {
  isAboutNoOther,
  isCompartmentType,
  isOwnedBy,
  isOwnedByAnother,
  type Nesting,
} from "#fhir/r4/compartment";
import { textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { ownedBy, readsOwners } from "#fhir/search/owner-parameter";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { reachesOf, type Category, type Permission, type ScopeReach, type Scopes } from "#identity/scopes";
import { findersOf } from "#policy/view/coding";

/** What the principal may reach: the scopes, and whom those of the contexts `patient` and `user` mean. */
export interface Access {
  readonly scopes: Scopes;
  /** Id of the token's patient. */
  readonly patient: string | undefined;
  /**
   * Ids of the patients whom the policy's relation gives the user who signed in; `undefined`: no one who is
   * known.
   */
  readonly usersPatients?: ReadonlySet<string> | undefined;
}

/** Whose rows of a type are in reach: each claim adds its own. Never empty. */
export type RowAccess = readonly Claim[];

interface Claim {
  /** These patients' rows; `undefined`: everybody's. */
  readonly to: ReadonlySet<string> | undefined;
  /** All must hold. */
  readonly categories: readonly Category[];
}

/** `undefined`: no scope permits it. A scope that is held to a patient whom nobody named permits nothing. */
export function rowAccessOf(access: Access, type: string, permission: Permission): RowAccess | undefined {
  const claims = reachesOf(access.scopes, type, permission).flatMap((reach) => claimOf(access, type, reach));
  const all = claims.find(({ to, categories }) => to === undefined && categories.length === 0);
  if (all !== undefined) return [all]; // the others add nothing
  return claims.length === 0 ? undefined : claims;
}

function claimOf(
  { patient, usersPatients }: Access,
  type: string,
  { context, categories }: ScopeReach,
): readonly Claim[] {
  // A type without categories has no row of one.
  if (categories.length > 0 && categoryOf(type) === undefined) return [];
  switch (context) {
    case "system":
      return [{ to: undefined, categories }];
    case "patient":
      return patient === undefined ? [] : [{ to: new Set([patient]), categories }];
    case "user":
      return usersPatients === undefined || usersPatients.size === 0
        ? []
        : [{ to: usersPatients, categories }];
  }
}

/**
 * Whether the scopes reach a patient's rows of a type: by token, scopes and relations alone, never by a row.
 */
export const mayAccessPatient = (
  access: Access,
  type: string,
  permission: Permission,
  patient: string,
): boolean =>
  rowAccessOf(access, type, permission)?.some(({ to }) => to === undefined || to.has(patient)) === true;

/** Whether rows of the type can be within a hold at all. */
export const canCover = (hold: RowAccess, type: string): boolean =>
  hold.some(({ to }) => to === undefined) || isCompartmentType(type);

/** Whether every row of the type is within it. */
export const isUnrestricted = (hold: RowAccess): boolean =>
  hold.some(({ to, categories }) => to === undefined && categories.length === 0);

/** Whether a row is within the hold. `base`: the origin's. */
export const coversRow = (hold: RowAccess, row: JsonObject, type: string, base: FhirBase): boolean =>
  hold.some(
    ({ to, categories }) =>
      (to === undefined || isOwnedBy(row, to, base)) && isOfCategories(row, type, categories),
  );

/**
 * As {@link coversRow}; a row of a type that is nobody's own has to be of the right categories and to tell of
 * no other patient: a reference led to it, which whoever may write can make.
 */
export const coversRowOrShared = (hold: RowAccess, row: JsonObject, type: string, base: FhirBase): boolean =>
  canCover(hold, type)
    ? coversRow(hold, row, type, base)
    : hold.some(
        ({ to, categories }) =>
          to !== undefined && isAboutNoOther(row, to, base) && isOfCategories(row, type, categories),
      );

/** Whether a reference names a Patient that is within a hold on Patients. */
export function coversNamedPatient(hold: RowAccess, reference: JsonObject, base: FhirBase): boolean {
  const named = parseReference(textAt(reference, "reference") ?? "", base);
  return hold.some(
    ({ to }) => to === undefined || (named.kind === "local" && named.type === "Patient" && to.has(named.id)),
  );
}

/**
 * Whether a resource inside a row may go with it. It belongs to its container, unless it says that it is
 * somebody else's; where the container was everybody's to read and resources of this type are some patients'
 * alone, nobody can tell whose it is.
 */
export function coversNested(
  inside: RowAccess,
  container: RowAccess,
  resource: JsonObject,
  type: string,
  base: FhirBase,
  nesting: Nesting | undefined,
): boolean {
  return inside.some(({ to, categories }) => {
    if (!isOfCategories(resource, type, categories)) return false;
    if (to === undefined) return true;
    return (
      container.every(
        (claim) => claim.to !== undefined && [...claim.to].every((patient) => to.has(patient)),
      ) && !isOwnedByAnother(resource, to, base, nesting)
    );
  });
}

// Of a row that is being judged: a token's scopes may name a thousand categories, and a row carry thousands.
const carried = new WeakMap<JsonObject, ReadonlySet<string>>();

function isOfCategories(row: JsonObject, type: string, categories: readonly Category[]): boolean {
  if (categories.length === 0) return true;
  const found =
    carried.get(row) ?? findersOf(categoryOf(type)?.paths.flatMap((path) => valuesAt(row, path)) ?? []);
  carried.set(row, found);
  return categories.every((codes) => codes.some((code) => found.has(code)));
}

/** The parameter by which SMART's `?category=` means rows; nothing where R4 has none for the type. */
function categoryOf(
  type: string,
): (SearchParameterDefinition & { readonly paths: readonly (readonly string[])[] }) | undefined {
  const definition = searchParametersOf(type).get("category");
  return definition?.type === "token" && definition.paths !== undefined
    ? { ...definition, paths: definition.paths }
    : undefined;
}

/** The elements of a type that say of which category a row is. */
export const categoryElements = (type: string): readonly string[] =>
  (categoryOf(type)?.paths ?? []).map(([first = ""]) => first);

/**
 * The hold as search parameters beside the client's own, so that an origin sends no row that would be
 * dropped: all must hold.
 */
export function accessParameters(
  hold: RowAccess,
  type: string,
  asked: readonly SearchParameter[],
): readonly SearchParameter[] {
  const [only, ...others] = hold;
  const category = categoryOf(type);
  const categories =
    only === undefined || others.length > 0 || category === undefined
      ? []
      : only.categories.map((codes) => ({
          definition: category,
          values: codes.map((text) => ({ kind: "other" as const, text })),
        }));
  return [...ownersOf(hold, type, asked), ...categories];
}

function ownersOf(
  hold: RowAccess,
  type: string,
  asked: readonly SearchParameter[],
): readonly SearchParameter[] {
  const patients = new Set<string>();
  for (const { to } of hold) {
    if (to === undefined) return [];
    for (const patient of to) patients.add(patient);
  }
  if (asked.some((parameter) => asksFor(parameter, type, patients))) return [];
  const narrowed = ownedBy(type, patients);
  return narrowed === undefined ? [] : [narrowed];
}

/**
 * Whether a parameter holds the search to these patients already, as most clients' own do: said twice it
 * would cost the origin twice.
 */
function asksFor(
  { definition, values }: SearchParameter,
  type: string,
  patients: ReadonlySet<string>,
): boolean {
  return values.every((value) => {
    if (type === "Patient")
      return definition.code === "_id" && value.kind === "token" && patients.has(value.code);
    // A bare id may mean another type's where the parameter takes several.
    const means =
      value.kind === "reference" &&
      (value.type === "Patient" || (value.type === undefined && definition.code === "patient"));
    return means && patients.has(value.id) && readsOwners(type, definition);
  });
}
