import type { FhirBase } from "#fhir/r4/reference";
import type { ResourceType } from "#fhir/r4/elements";
import { namingElements, type Nesting } from "#fhir/r4/compartment";
import { textAt, type JsonObject } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule, type ResourceView } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import {
  canCover,
  categoryElements,
  rowAccessOf,
  coversRow,
  coversNested,
  coversNamedPatient,
  type Access,
  type RowAccess,
} from "./row-access.ts";
import { isLabelled } from "./labels.ts";
import { isMoved } from "./moving.ts";
import { changesRelation, showsMore, widensSight } from "./self-widening.ts";

/**
 * What is to be written, by the plain forms: a conditional one means one of these, once it is known which
 * resource it finds.
 */
export type PlainWrite =
  | { readonly kind: "create"; readonly type: ResourceType }
  | { readonly kind: "update" | "patch" | "delete"; readonly type: ResourceType; readonly id: string };

/** A permitted write: which rows, and what of them. */
export interface WriteGrant {
  readonly policyDigest: string;
  /**
   * What of the stored resource its writer sees; what of it may be written, `writable` says. Nothing for a
   * create.
   */
  readonly seen: Pick<Grant, "viewOf" | "viewInside" | "mayLinkTo" | "ask" | "withheldPaths"> | undefined;
  /**
   * What may be written of a row; `undefined`: it is not one that this rule or scope reaches. Of the stored
   * one, and of what becomes of it or is created: both must be such rows. `base`: the origin's.
   */
  readonly writable: (resource: JsonObject, base: FhirBase) => ResourceView | undefined;
  /**
   * Whether a link to the other Patient may be written: the writer may be shown it, or a create may make it.
   * `base`: the origin's.
   */
  readonly mayLinkTo: (other: JsonObject, base: FhirBase) => boolean;
  /** What may be written of a resource inside it, by the rules for its own type. */
  readonly writableInside: (
    resource: JsonObject,
    base: FhirBase,
    nesting: Nesting,
  ) => ResourceView | undefined;
  /**
   * The members of a stored row by which it is decided: type, id, labels, modifiers, whose it is, and what
   * the rules and scopes ask of it.
   */
  readonly decidingMembers: ReadonlySet<string>;
  /** Why the write may not make this of the resource, or of a resource inside it; `undefined`: it may. */
  readonly faultOf: (change: Change, base: FhirBase) => ResultFault | undefined;
}

/** What a write makes of one resource: of the one that it is about, or of a resource inside that one. */
export interface Change {
  /** How it stands inside the one that the write is about; `undefined`: it is that one. */
  readonly nesting: Nesting | undefined;
  /** `undefined`: it is new. */
  readonly stored: JsonObject | undefined;
  /** The stored one as its writer sees it. */
  readonly shown: JsonObject | undefined;
  readonly result: JsonObject;
  /** By which it was written. */
  readonly view: ResourceView;
}

/**
 * What becomes of a resource is outside what may be written; is another patient's; or shows its writer what
 * is hidden now.
 */
export type ResultFault = "result_outside_access" | "result_changes_patient" | "result_widens_access";

const grants = {
  create: { interaction: "create", permission: "c" },
  update: { interaction: "update", permission: "u" },
  patch: { interaction: "update", permission: "u" },
  delete: { interaction: "delete", permission: "d" },
} as const;

/**
 * Decides about a write from policy ∩ scopes. Who changes or deletes has to be one who may read: what is
 * written stands in for what was read, and how it goes tells of it.
 */
export function evaluateWrite(
  policy: CompiledPolicy,
  access: Access,
  write: PlainWrite,
): Result<WriteGrant, PolicyRefusal> {
  const { type } = write;
  const { interaction, permission } = grants[write.kind];
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  if (rules.length === 0) return err({ reason: "rule_missing", type, interaction });
  const hold = rowAccessOf(access, type, permission);
  if (hold === undefined) return err({ reason: "scope_insufficient", type, interaction });
  // A practitioner or an organization is more patients' than one: nobody changes it by one patient's leave.
  if (!canCover(hold, type)) return err({ reason: "outside_patient_compartment", type });
  const read =
    write.kind === "create" ? undefined : evaluate(policy, access, { kind: "read", type, id: write.id });
  if (read?.ok === false) return read;
  if (read?.value.expects.kind === "read" && read.value.expects.referrers.length > 0)
    return err({ reason: "outside_patient_compartment", type });

  const patients = rowAccessOf(access, "Patient", permission);
  const writing = { policy, access, type, hold, interaction, permission };
  const writable: WriteGrant["writable"] = (resource, base) => {
    if (!coversRow(hold, resource, type, base) || isLabelled(resource)) return undefined;
    return viewBy(policy, type, rules, resource);
  };
  const writableInside: WriteGrant["writableInside"] = (resource, base, nesting) =>
    insideBy(writing, resource, base, nesting);
  return ok({
    policyDigest: policy.digest,
    seen: read?.value,
    writable,
    mayLinkTo: (other, base) =>
      read === undefined
        ? patients !== undefined && coversNamedPatient(patients, other, base)
        : read.value.mayLinkTo(other, base),
    writableInside,
    decidingMembers: new Set([
      "resourceType",
      "id",
      "meta",
      "modifierExtension",
      "implicitRules",
      "_implicitRules",
      "securityContext",
      "_securityContext",
      ...namingElements(type),
      ...categoryElements(type),
      ...policy
        .rulesFor(type)
        .flatMap(({ conditions }) => conditions.map(({ elements: [first = ""] }) => first)),
    ]),
    faultOf: (change, base) =>
      faultOf(change, base, writing, { writable, writableInside, seen: read?.value }),
  });
}

/**
 * Each rule about what becomes of a resource: the same for the one that is written and for every one inside
 * it.
 */
function faultOf(
  { nesting, stored, shown, result, view }: Change,
  base: FhirBase,
  { policy, access, type }: Writing,
  { writable, writableInside, seen }: Pick<WriteGrant, "writable" | "writableInside" | "seen">,
): ResultFault | undefined {
  if (stored !== undefined && isMoved({ stored, shown, result, isContained: nesting === "contained" }, base))
    return "result_changes_patient";
  const next = nesting === undefined ? writable(result, base) : writableInside(result, base, nesting);
  // A new one is written by one view: what it says must not choose one and what it becomes another.
  if (next === undefined || (stored === undefined && next !== view)) return "result_outside_access";
  if (stored !== undefined) {
    const left = nesting === undefined ? seen?.viewOf(result, base) : seen?.viewInside(result, base, nesting);
    if (left === undefined) return "result_outside_access";
    const own = textAt(result, "resourceType") ?? "";
    const row = { type: own, container: nesting === undefined ? undefined : { type, nesting } };
    if (showsMore(policy, row, stored, result) || widensSight(policy, access, row, stored, result, base))
      return "result_widens_access";
  }
  return access.usersPatients !== undefined && changesRelation(policy.users, stored, result)
    ? "result_widens_access"
    : undefined;
}

function viewBy(
  policy: CompiledPolicy,
  type: string,
  rules: readonly CompiledRule[],
  resource: JsonObject,
): ResourceView | undefined {
  const reaching = rules.filter((rule) => isRowOf(rule, resource));
  return reaching.length === 0 ? undefined : policy.viewOf(type, reaching);
}

interface Writing {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** Of the resource that the write is about. */
  readonly type: string;
  readonly hold: RowAccess;
  readonly interaction: "create" | "update" | "delete";
  readonly permission: "c" | "u" | "d";
}

function insideBy(
  { policy, access, hold, interaction, permission }: Writing,
  resource: JsonObject,
  base: FhirBase,
  nesting: Nesting,
): ResourceView | undefined {
  const type = textAt(resource, "resourceType");
  const held = type === undefined ? undefined : rowAccessOf(access, type, permission);
  if (type === undefined || held === undefined || isLabelled(resource)) return undefined;
  if (!coversNested(held, hold, resource, type, base, nesting)) return undefined;
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  return viewBy(policy, type, rules, resource);
}
