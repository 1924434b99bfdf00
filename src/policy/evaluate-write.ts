import type { FhirBase } from "#fhir/r4/reference";
import type { ResourceType } from "#fhir/r4/elements";
import type { Nesting } from "#fhir/r4/compartment";
import { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { PatchOperation } from "#fhir/json/patch";
import { isContentType } from "#fhir/route";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule, type ResourceView } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { factListsOf, factsFor, type FactLists } from "./facts.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import {
  canCover,
  rowAccessOf,
  coversRow,
  coversNested,
  coversNamedPatient,
  type Access,
  type RowAccess,
} from "./row-access.ts";
import { isMoved } from "./moving.ts";
import { needsOf, type RowNeeds } from "./row-needs.ts";
import { weighRow, whyWithheld, type WithheldBy } from "./row-weight.ts";
import { unlabelsElement } from "./sensitivity/labelled-elements.ts";
import {
  actorMembers,
  changesOneOf,
  changesRelation,
  labelsLess,
  relationMembers,
  showsMore,
  widensAccess,
} from "./self-widening.ts";
import { isTakenByEachRow } from "./unread-patch.ts";

/**
 * A write without conditions. A conditional write becomes one of these after its search has found the
 * resource.
 */
export type PlainWrite =
  | { readonly kind: "create"; readonly type: ResourceType }
  | { readonly kind: "update" | "patch" | "delete"; readonly type: ResourceType; readonly id: string };

/** A permitted write: the rows it covers, and the elements of a row that it may write. */
export interface WriteGrant extends Pick<FactLists, "factPaths"> {
  readonly policyDigest: string;
  /**
   * Answers whether the scopes to read cover the stored row. Without them no answer may depend on a guess at
   * the row's content. `base`: the origin's.
   */
  readonly mayRead: (resource: Facts, base: FhirBase) => boolean;
  /** Answers whether the scopes to read cover rows of the type at all. */
  readonly mayReadSome: boolean;
  /** Answers whether a patch needs no right to read: each row takes it, so its answer depends on none. */
  readonly isTakenByEachRow: (operations: readonly PatchOperation[]) => boolean;
  /**
   * The writer's view of the stored resource, by the scopes to write or to read it; `undefined` for a create.
   * `writable` decides what may be written.
   */
  readonly seen:
    | Pick<
        Grant,
        | "viewOf"
        | "needsOf"
        | "mayNeed"
        | "viewInside"
        | "mayLinkTo"
        | "ask"
        | "withheldPaths"
        | "part2Scope"
        | "statementsOn"
      >
    | undefined;
  /**
   * The view by which a row may be written; `undefined`: the rules or scopes do not cover the row. It must
   * exist for the stored row and for the result, or for the created row. `base`: the origin's.
   */
  readonly writable: (resource: Facts, base: FhirBase) => ResourceView | undefined;
  /**
   * What has to be known before {@link writable} is asked about a submitted resource, or about the result of a change
   * of a visible row by it. `undefined`: nothing, or type, owner, scope and conditions refuse a new resource whatever
   * it is. The needs of a stored row: by {@link seen}.
   */
  readonly needsOfBody: (resource: Facts, base: FhirBase) => RowNeeds | undefined;
  /** For the record: the cause that keeps a row from the writer if {@link seen} or {@link writable} has no view. */
  readonly whyHidden: (resource: Facts, base: FhirBase) => WithheldBy;
  /**
   * Answers whether a link to a second Patient may be written: the writer may see that Patient, or may create
   * it. `base`: the origin's.
   */
  readonly mayLinkTo: (other: JsonObject, base: FhirBase) => boolean;
  /** The view by which a nested resource may be written, by the rules for its own type. */
  readonly writableInside: (resource: Facts, base: FhirBase, nesting: Nesting) => ResourceView | undefined;
  /**
   * The members of a stored row that a deletion reads: the members with its facts, and the modifiers of the
   * whole resource.
   */
  readonly decidingMembers: ReadonlySet<string>;
  /**
   * The reason why the write may not turn the resource, or a nested resource, into this result; `undefined`:
   * it may.
   */
  readonly faultOf: (change: Change, base: FhirBase) => ResultFault | undefined;
}

/** The change that a write makes to one resource: the written resource, or a resource nested in it. */
export interface Change {
  /** The position inside the written resource; `undefined`: this is the written resource itself. */
  readonly nesting: Nesting | undefined;
  /** `undefined`: the resource is new. */
  readonly stored: JsonObject | undefined;
  /** The stored resource as its writer sees it. */
  readonly shown: JsonObject | undefined;
  readonly result: JsonObject;
  /** The view that the write used. */
  readonly view: ResourceView;
}

/**
 * The result is outside the writable rows, belongs to a different patient, or shows its writer an element
 * that is hidden now.
 */
export type ResultFault = "result_outside_access" | "result_changes_patient" | "result_widens_access";

/** The right that each kind of write asks for. */
export const writeRights = {
  create: { interaction: "create", permission: "c" },
  update: { interaction: "update", permission: "u" },
  patch: { interaction: "update", permission: "u" },
  delete: { interaction: "delete", permission: "d" },
} as const;

/** Answers whether the caller is a consent registrar, or the individual within their own records. */
export const mayChangeConsents = (
  { isConsentRegistrar }: CompiledPolicy,
  { scopes, consents }: Access,
): boolean =>
  isConsentRegistrar ||
  (typeof consents === "object" &&
    consents.individual !== undefined &&
    scopes.every(({ context }) => context === "patient"));

/**
 * Decides about a write from policy ∩ scopes. An update or a delete needs a rule to read: the rule's view
 * decides what the write keeps. The scope needs no `r` for it; what the answer shows is decided by the scopes to
 * read. A patch needs `r` unless each row takes it: its operations test the stored resource.
 */
export function evaluateWrite(
  policy: CompiledPolicy,
  access: Access,
  write: PlainWrite,
): Result<WriteGrant, PolicyRefusal> {
  const { type } = write;
  const { interaction, permission } = writeRights[write.kind];
  const rules = policy.rulesTo(type, interaction);
  if (rules.length === 0) return err({ reason: "rule_missing", type, interaction });
  if (type === "Consent" && access.consentsAreOrigins === true)
    return err({ reason: "rule_missing", type, interaction });
  // A new Consent of any client adds denials at most. A change or a deletion could take a denial away.
  if (type === "Consent" && write.kind !== "create" && !mayChangeConsents(policy, access))
    return err({ reason: "rule_missing", type, interaction });
  // A Consent that names a deleted resource would mean who creates it again.
  const actors = actorMembers(policy, access, type);
  if (actors !== undefined && write.kind === "delete")
    return err({ reason: "rule_missing", type, interaction });
  const rowAccess = rowAccessOf(access, type, permission);
  if (rowAccess === undefined) return err({ reason: "scope_insufficient", type, interaction });
  // A practitioner or an organization belongs to several patients: one patient's scope must not change it.
  // The context of new content decides about it (gateway/change/plan/content-context).
  const isContent = isContentType(type) && write.kind === "create";
  if (!isContent && !canCover(rowAccess, type)) return err({ reason: "outside_patient_compartment", type });
  const readAccess = rowAccessOf(access, type, "r");
  const read =
    write.kind === "create"
      ? undefined
      : evaluate(policy, withRead(access, permission), { kind: "read", type, id: write.id });
  if (read?.ok === false) return read;
  const expected = read?.value.expects;
  if (expected?.kind === "read" && (expected.needsReferrer || expected.referrers.length > 0))
    return err({ reason: "outside_patient_compartment", type });

  const patients = rowAccessOf(access, "Patient", permission);
  const { factPaths, decidingPaths } = factListsOf(policy, access, type);
  const basis = { policy, access, type, rowAccess, interaction, permission, factPaths };
  const writable: WriteGrant["writable"] = (resource, base) => {
    const covering = isContent || coversRow(rowAccess, resource, base) ? coveringOf(rules, resource) : [];
    const permits = covering.length === 0 ? undefined : weighRow(policy, access, resource, base, "write");
    return permits === undefined ? undefined : viewBy(policy, type, covering.filter(permits));
  };
  const seen = read?.value;
  const writableInside: WriteGrant["writableInside"] = (resource, base, nesting) =>
    insideBy(basis, resource, base, nesting);
  return ok({
    policyDigest: policy.digest,
    mayRead: (resource, base) => readAccess !== undefined && coversRow(readAccess, resource, base),
    mayReadSome: readAccess !== undefined,
    isTakenByEachRow: (operations) =>
      isTakenByEachRow(
        operations,
        type,
        new Set([
          ...decidingPaths(type).map(([member]) => member),
          ...relationMembers(policy.users, type),
          ...(actors ?? []),
        ]),
      ),
    seen,
    writable,
    needsOfBody: (resource, base) => {
      const needs = needsOf(policy, access, resource, base, false);
      // a change gets the members that its writer does not see from the stored row
      const isCovered = () =>
        (isContent || coversRow(rowAccess, resource, base)) && coveringOf(rules, resource).length > 0;
      return needs === undefined || (seen === undefined && !isCovered()) ? undefined : needs;
    },
    whyHidden: (resource, base) => {
      if (read !== undefined && read.value.viewOf(resource, base) === undefined)
        return read.value.whyHidden(resource, base);
      if (!isContent && !coversRow(rowAccess, resource, base)) return { by: "scope" };
      return whyWithheld(policy, access, resource, base, rules, "write");
    },
    mayLinkTo: (other, base) =>
      read === undefined
        ? patients !== undefined && coversNamedPatient(patients, other, base)
        : read.value.mayLinkTo(other, base),
    writableInside,
    factPaths,
    decidingMembers: new Set([
      ...factPaths(type).map(([member]) => member),
      "modifierExtension",
      "implicitRules",
      "_implicitRules",
    ]),
    faultOf: (change, base) => faultOf(change, base, basis, { writable, writableInside, seen }),
  });
}

/** The access of a writer to the stored row: a scope to change it is also a scope to see what it changes. */
const withRead = (access: Access, permission: "c" | "u" | "d"): Access => ({
  ...access,
  scopes: access.scopes.map(({ context, type, permissions, filters }) => ({
    context,
    type,
    permissions:
      permissions.includes(permission) && !permissions.includes("r") ? [...permissions, "r"] : permissions,
    filters,
  })),
});

/**
 * Applies each rule about the result of a write: to the written resource and to every nested resource alike.
 */
function faultOf(
  { nesting, stored, shown, result, view }: Change,
  base: FhirBase,
  { policy, access, type, factPaths }: WriteBasis,
  { writable, writableInside, seen }: Pick<WriteGrant, "writable" | "writableInside" | "seen">,
): ResultFault | undefined {
  if (stored !== undefined && isMoved({ stored, shown, result, isContained: nesting === "contained" }, base))
    return "result_changes_patient";
  const next = factsFor({ factPaths }, result);
  const writableNext = nesting === undefined ? writable(next, base) : writableInside(next, base, nesting);
  // One view writes a new resource: the submitted content must not select a first view and the result a
  // second.
  if (writableNext === undefined || (stored === undefined && writableNext !== view))
    return "result_outside_access";
  if (stored !== undefined) {
    const nextView = nesting === undefined ? seen?.viewOf(next, base) : seen?.viewInside(next, base, nesting);
    if (nextView === undefined) return "result_outside_access";
    const resultType = textAt(result, "resourceType") ?? "";
    const row = { type: resultType, container: nesting === undefined ? undefined : { type, nesting } };
    // the rules for the result's type judge both
    const paths = [...factPaths(textAt(stored, "resourceType") ?? ""), ...factPaths(resultType)];
    const before = Facts.of(stored, paths);
    if (
      (nesting === undefined && changesOneOf(actorMembers(policy, access, type), stored, result)) ||
      labelsLess(before, next) ||
      unlabelsElement(stored, result) ||
      showsMore(policy, row, before, next) ||
      widensAccess(policy, access, row, before, next, base)
    )
      return "result_widens_access";
  }
  return access.usersPatients !== undefined && changesRelation(policy.users, stored, result)
    ? "result_widens_access"
    : undefined;
}

const coveringOf = (rules: readonly CompiledRule[], resource: Facts): readonly CompiledRule[] =>
  rules.filter((rule) => isRowOf(rule, resource));

const viewBy = (
  policy: CompiledPolicy,
  type: string,
  covering: readonly CompiledRule[],
): ResourceView | undefined => (covering.length === 0 ? undefined : policy.viewOf(type, covering));

interface WriteBasis extends Pick<FactLists, "factPaths"> {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** Type of the written resource. */
  readonly type: string;
  readonly rowAccess: RowAccess;
  readonly interaction: "create" | "update" | "delete";
  readonly permission: "c" | "u" | "d";
}

function insideBy(
  { policy, access, rowAccess, interaction, permission }: WriteBasis,
  resource: Facts,
  base: FhirBase,
  nesting: Nesting,
): ResourceView | undefined {
  const type = textAt(resource, "resourceType");
  const nestedAccess = type === undefined ? undefined : rowAccessOf(access, type, permission);
  if (type === undefined || nestedAccess === undefined) return undefined;
  if (!coversNested(nestedAccess, rowAccess, resource, base, nesting)) return undefined;
  const covering = coveringOf(policy.rulesTo(type, interaction), resource);
  const permits = covering.length === 0 ? undefined : weighRow(policy, access, resource, base, "write");
  return permits === undefined ? undefined : viewBy(policy, type, covering.filter(permits));
}
