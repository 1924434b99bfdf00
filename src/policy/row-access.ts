import type { Instant } from "#kernel/clock";
import { isAboutOnly, isOwnedBy, mayBelongToAnother, type Nesting } from "#fhir/r4/compartment";
import { isCompartmentType, mayBeOwned } from "#fhir/r4/compartment-tables";
import type { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import {
  naming,
  ownedBy,
  ownedThroughPractitioners,
  readsOwners,
  throughPractitioners,
} from "#fhir/search/owner-parameter";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameterDefinition } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import {
  reachesOf,
  type ScopeFilter,
  type ScopePermission,
  type ScopeReach,
  type Scopes,
} from "#identity/scopes";
import type { ConsentBook } from "#policy/consent/consent-book";
import { RelatedPatients } from "#fhir/r4/related-patients";
import type { ReferredLabels } from "./sensitivity/referred-labels.ts";
import type { AmongPatients } from "#fhir/r4/owner-reference";
import type { TargetBook } from "#fhir/r4/target-book";
import { rowFilterOf, type RowFilter } from "./scope-filters.ts";

/** The principal's scopes, and the patients that the scope contexts `patient` and `user` stand for. */
export interface Access {
  readonly scopes: Scopes;
  /** Id of the token's patient. */
  readonly patient: string | undefined;
  /**
   * Ids of the patients that the policy's relations give the signed-in user, all of them or as far as they are known
   * ({@link RelatedPatients}); `undefined`: the user is not known.
   */
  readonly usersPatients?: ReadonlySet<string> | undefined;
  /** The beginning of the ids that the client may choose for new resources. */
  readonly idPrefix?: string | undefined;
  /** The time of the request, by which a policy's `dataPeriod` counts; undefined where no request runs. */
  readonly at?: Instant | undefined;
  /** The purpose of the request, by which labels are weighed; undefined: no label leaves for a purpose. */
  readonly purpose?: string | undefined;
  /** The kind of the client in the registry; undefined: it may be a health plan. */
  readonly clientKind?: string | undefined;
  /**
   * `given`: as if each patient permitted each row that has no label, for the examples of a policy. Undefined
   * where no request runs: then no Consent permits anything.
   */
  readonly consents?: ConsentBook | "given" | undefined;
  /**
   * The origin is the source of Consents, and they permit: a Consent that a client wrote there through the gateway
   * would look like the origin's own.
   */
  readonly consentsAreOrigins?: boolean | undefined;
  /** The origin's resources say who is meant by the actors of Consents (consent/who-is-meant). */
  readonly actorsAreRead?: boolean | undefined;
  /**
   * Answers whether the policy shows what a condition of a scope reads, in each of its rules for the type.
   * A client chooses the scopes of its token: rows that meet a hidden condition would reveal the hidden
   * element. Where no request runs it is undefined, and only conditions on the category count.
   */
  readonly shows?: ((type: string, parameter: SearchParameter) => boolean) | undefined;
  /**
   * The labels of the resources to which rows refer, for a policy with labels through references. Without it
   * each reference counts as labelled.
   */
  readonly referred?: ReferredLabels | undefined;
  /** The targets of Provenances. Without it a Provenance belongs to the patients whom it names itself. */
  readonly targets?: TargetBook | undefined;
}

/** The rows of a type that the principal may access: the union of its parts. Never empty. */
export type RowAccess = readonly AccessPart[];

interface AccessPart {
  /** The patients that own the rows; `undefined`: rows of every patient. */
  readonly owners: ReadonlySet<string> | undefined;
  /** A row must meet each of these. */
  readonly filters: readonly RowFilter[];
  /** For Provenance. */
  readonly targets?: TargetBook | undefined;
}

/**
 * `undefined`: no scope permits access. A `patient` or `user` scope permits nothing while its patient is
 * unknown.
 */
export function rowAccessOf(
  access: Access,
  type: string,
  permission: ScopePermission,
): RowAccess | undefined {
  const followed =
    type === "Provenance" && (permission === "r" || permission === "s") ? access.targets : undefined;
  const parts = reachesOf(access.scopes, type, permission).flatMap((reach) =>
    partsOf(access, type, reach, followed),
  );
  const unrestricted = parts.find(({ owners, filters }) => owners === undefined && filters.length === 0);
  if (unrestricted !== undefined) return [unrestricted]; // the remaining parts add nothing
  return parts.length === 0 ? undefined : parts;
}

function partsOf(
  access: Access,
  type: string,
  { context, filters: asked }: ScopeReach,
  targets: TargetBook | undefined,
): readonly AccessPart[] {
  const filters = asked.flatMap((filter) => enforceable(access, type, filter) ?? []);
  if (filters.length < asked.length) return [];
  const { patient, usersPatients } = access;
  switch (context) {
    case "system":
      return [{ owners: undefined, filters }];
    case "patient":
      return patient === undefined ? [] : [{ owners: new Set([patient]), filters, targets }];
    case "user":
      return usersPatients === undefined || (usersPatients.size === 0 && !isOpen(usersPatients))
        ? []
        : [{ owners: usersPatients, filters, targets }];
  }
}

/** Answers whether further patients may be the user's than those who are known. */
export const isOpen = (patients: ReadonlySet<string>): patients is RelatedPatients =>
  patients instanceof RelatedPatients && !patients.isWhole;

/** The condition, if the gateway can judge it on rows of the type and the policy shows what it reads. */
function enforceable({ shows }: Access, type: string, filter: ScopeFilter): RowFilter | undefined {
  const judged = rowFilterOf(type, filter);
  if (judged === undefined) return undefined;
  if (shows === undefined) return filter.parameter === "category" ? judged : undefined;
  // Links to Patients outside the access are masked: a condition on them would reveal their targets.
  const { paths } = judged.parameter.definition;
  if (type === "Patient" && paths?.some(([first]) => first === "link") === true) return undefined;
  return shows(type, judged.parameter) ? judged : undefined;
}

/**
 * Answers whether the scopes give access to a patient's rows of a type. Token, scopes and relations alone
 * decide it, never a row.
 */
export const mayAccessPatient = (
  access: Access,
  type: string,
  permission: ScopePermission,
  patient: string,
): boolean =>
  rowAccessOf(access, type, permission)?.some(({ owners }) => owners === undefined || owners.has(patient)) ===
  true;

/**
 * The patients whom the scopes reach by reading or writing rows of a type, or Patients; `undefined`: all. A scope to
 * write reaches a patient too: its client may create a row of each of them.
 */
export function patientsReached(access: Access, type: string): ReadonlySet<string> | undefined {
  const reached = [type, "Patient"].flatMap((one) =>
    (["c", "r", "u", "s"] as const).flatMap((permission) => rowAccessOf(access, one, permission) ?? []),
  );
  return patientsWithin(reached);
}

/** Answers whether the access can cover each row of the type, if its owner is right. */
export const canCover = (rowAccess: RowAccess, type: string): boolean =>
  rowAccess.some(({ owners }) => owners === undefined) || isCompartmentType(type);

/** Answers whether the access can cover some rows of the type, as their owner's. */
export const canCoverSome = (rowAccess: RowAccess, type: string): boolean =>
  canCover(rowAccess, type) || mayBeOwned(type);

/** Answers whether the access covers every row of the type. */
export const isUnrestricted = (rowAccess: RowAccess): boolean =>
  rowAccess.some(({ owners, filters }) => owners === undefined && filters.length === 0);

/** The patients whose rows alone the access covers; `undefined`: rows of every patient. */
export function patientsWithin(rowAccess: RowAccess): ReadonlySet<string> | undefined {
  const [first] = rowAccess;
  if (rowAccess.every(({ owners }) => owners === first?.owners)) return first?.owners;
  const patients = new Set<string>();
  for (const { owners } of rowAccess) {
    if (owners === undefined) return undefined;
    for (const patient of owners) patients.add(patient);
  }
  return patients;
}

/** The patients by the best that is possible: each patient who is not known counts as one of them. */
export const atBestOf: AmongOf = (patients) => (isOpen(patients) ? patients.atBest : patients);

// A row that names more belongs to nobody.
const unknownMax = 50;

/** Ids of the patients of whom the access does not know yet whether they are the user's, and who decide about a row. */
export function patientsToRelate(
  rowAccess: RowAccess,
  row: Facts,
  type: string,
  base: FhirBase,
): readonly string[] {
  if (rowAccess.every(({ owners }) => owners === undefined || !isOpen(owners))) return [];
  const unknown = new Set<string>();
  const noting: AmongOf = (patients) => (isOpen(patients) ? patients.noting(unknown) : patients);
  coversRowOrShared(rowAccess, row, type, base, true, noting);
  return unknown.size > unknownMax ? [] : [...unknown];
}

/**
 * Answers whether the access covers a row. `base`: the origin's FHIR base.
 *
 * @param atBest each target and each relation that is not known counts as if it were of the patients.
 */
export const coversRow = (
  rowAccess: RowAccess,
  row: Facts,
  base: FhirBase,
  atBest = false,
  amongOf = atBest ? atBestOf : asKnown,
): boolean =>
  rowAccess.some(({ owners, filters, targets: book }) => {
    if (!meetsAll(row, filters, base)) return false;
    if (owners === undefined) return true;
    const [targets, among] = [atBest ? book?.atBest : book, amongOf(owners)];
    return isOwnedBy(row, among, base, targets && ((type, id) => targets.isOf(type, id, among, base)));
  });

type AmongOf = (patients: ReadonlySet<string>) => AmongPatients;
const asKnown: AmongOf = (patients) => patients;

/** Answers whether the targets of a Provenance say to whom it belongs. */
export const isByTargets = (rowAccess: RowAccess): boolean =>
  rowAccess.some(({ targets }) => targets !== undefined);

/**
 * Like {@link coversRow}, and also decides about a type that no patient owns. A row of that type must match
 * the categories and must name no patient outside the access: the reference that led to it could have been
 * written by any client with write access.
 */
export const coversRowOrShared = (
  rowAccess: RowAccess,
  row: Facts,
  type: string,
  base: FhirBase,
  atBest = false,
  amongOf: AmongOf = atBest ? atBestOf : asKnown,
): boolean =>
  canCover(rowAccess, type)
    ? coversRow(rowAccess, row, base, atBest, amongOf)
    : rowAccess.some(
        ({ owners, filters }) =>
          owners !== undefined && isAboutOnly(row, amongOf(owners), base) && meetsAll(row, filters, base),
      );

/**
 * The patients by whom a link or a nested resource inside of a row is judged: those of the client's questions. Further
 * rows, hidden rows too, teach more relations.
 */
const namedOf = (owners: ReadonlySet<string>): AmongPatients => (isOpen(owners) ? owners.named : owners);

/** Answers whether a Reference names a Patient that an access to Patients covers. It reads only `reference`. */
export function coversNamedPatient(rowAccess: RowAccess, reference: JsonObject, base: FhirBase): boolean {
  const named = parseReference(textAt(reference, "reference") ?? "", base);
  return rowAccess.some(
    // A reference does not show whether the Patient meets a condition.
    ({ owners, filters }) =>
      filters.length === 0 &&
      (owners === undefined ||
        (named.kind === "local" && named.type === "Patient" && namedOf(owners).has(named.id))),
  );
}

/**
 * Answers whether a resource nested in a row may leave with the row. It belongs to the owner of its container
 * unless it names an owner itself. If the container was readable for every patient but this type only for
 * some patients, the owner is unknown and the nested resource stays back.
 */
export function coversNested(
  nestedAccess: RowAccess,
  containerAccess: RowAccess,
  resource: Facts,
  base: FhirBase,
  nesting: Nesting | undefined,
): boolean {
  return nestedAccess.some(({ owners, filters }) => {
    if (!meetsAll(resource, filters, base)) return false;
    if (owners === undefined) return true;
    return (
      containerAccess.every(
        (part) => part.owners !== undefined && [...part.owners].every((patient) => owners.has(patient)),
      ) && !mayBelongToAnother(resource, namedOf(owners), base, nesting)
    );
  });
}

const meetsAll = (row: Facts, filters: readonly RowFilter[], base: FhirBase): boolean =>
  filters.every(({ meets }) => meets(row, base));

/**
 * The row access as search parameters, added to the client's own: the origin then sends no row that the
 * gateway would drop.
 *
 * @param participant the criterion that names the patients in place of the rows' owner.
 */
export function accessParameters(
  rowAccess: RowAccess,
  type: string,
  clientParameters: readonly SearchParameter[],
  participant?: SearchParameter,
): readonly SearchParameter[] {
  const [single, ...further] = rowAccess;
  const filters =
    single === undefined || further.length > 0 ? [] : single.filters.map(({ parameter }) => parameter);
  const patients = patientsWithin(rowAccess);
  // The rows of a search by id are as few as a read's, and each is judged.
  const hasUnknown = rowAccess.some(({ owners }) => owners !== undefined && isOpen(owners));
  if (hasUnknown && clientParameters.some(isById)) return filters;
  if (participant !== undefined) return [participant, ...filters];
  if (patients === undefined) return filters;
  // A Provenance of a patient's rows need not name the patient: its targets decide, as about a read by id.
  if (type === "Provenance" && clientParameters.some(namesTargets)) return filters;
  if (clientParameters.some((parameter) => restrictsTo(parameter, type, patients))) return filters;
  const practitioners = practitionersOf(patients, type);
  const narrowed =
    practitioners === undefined
      ? ownedBy(type, askedOf(patients))
      : ownedThroughPractitioners(type, practitioners);
  return narrowed === undefined ? filters : [narrowed, ...filters];
}

/** The criterion that names these patients as participants of rows of a type. */
export function participating(
  by: SearchParameterDefinition,
  type: string,
  patients: ReadonlySet<string>,
): SearchParameter {
  const practitioners = practitionersOf(patients, type);
  const chained = practitioners && throughPractitioners(by, practitioners);
  return chained ?? naming(by, askedOf(patients));
}

const practitionersOf = (patients: ReadonlySet<string>, type: string): readonly string[] | undefined =>
  isOpen(patients) ? patients.practitionersFor(type) : undefined;

/** An id that no server gives: it is too short to be one of many. */
const nobody: readonly string[] = ["-"];

const askedOf = (patients: ReadonlySet<string>): Iterable<string> =>
  isOpen(patients) && patients.size === 0 ? nobody : patients;

/** Answers whether a parameter asks for rows by their ids. */
export const isById = ({ definition, modifier }: SearchParameter): boolean =>
  definition.code === "_id" && modifier === undefined;

const namesTargets = ({ definition, modifier }: SearchParameter): boolean =>
  (definition.code === "target" || definition.code === "_id") && modifier === undefined;

/**
 * Answers whether a client's parameter already restricts the search to these patients, as most clients'
 * searches do. A repeated restriction would cost the origin twice.
 */
function restrictsTo(
  { definition, values }: SearchParameter,
  type: string,
  patients: ReadonlySet<string>,
): boolean {
  return values.every((value) => {
    if (type === "Patient")
      return definition.code === "_id" && value.kind === "token" && patients.has(value.code);
    // A bare id may belong to a different type if the parameter has several target types.
    const means =
      value.kind === "reference" &&
      (value.type === "Patient" || (value.type === undefined && definition.code === "patient"));
    return means && patients.has(value.id) && readsOwners(type, definition);
  });
}
