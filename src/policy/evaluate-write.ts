import type { ResourceType } from "#fhir/elements";
import { property, type JsonObject } from "#fhir/json";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule, type ResourceView } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import { canHold, holdOf, isHeld, mayGoWith, type Access, type Hold } from "./hold.ts";
import { isLabelled } from "./labels.ts";
import { changesRelation, showsMore } from "./self-widening.ts";

/** What is to be written, by the plain forms: a conditional one means one of these, once it is known which resource it finds. */
export type PlainWrite =
  | { readonly kind: "create"; readonly type: ResourceType }
  | { readonly kind: "update" | "patch" | "delete"; readonly type: ResourceType; readonly id: string };

/** A permitted write: which rows, and what of them. */
export interface WriteGrant {
  readonly policyDigest: string;
  /** What of the stored resource its writer sees; what of it may be written, `writable` says. Nothing for a create. */
  readonly seen: Pick<Grant, "viewOf" | "viewInside" | "mayLinkTo" | "ask" | "withheldPaths"> | undefined;
  /**
   * What may be written of a row; `undefined`: it is not one that this rule or scope reaches. Of the stored one, and of what becomes of it
   * or is created: both must be such rows. `base`: the origin's.
   */
  readonly writable: (resource: JsonObject, base: string) => ResourceView | undefined;
  /** Whether its writer would see more by what becomes of a stored row, or is created, than by what there was. */
  readonly widens: (stored: JsonObject | undefined, result: JsonObject) => boolean;
  /** What may be written of a resource inside it, by the rules for its own type. */
  readonly writableInside: (resource: JsonObject, base: string) => ResourceView | undefined;
}

const grants = {
  create: { interaction: "create", permission: "c" },
  update: { interaction: "update", permission: "u" },
  patch: { interaction: "update", permission: "u" },
  delete: { interaction: "delete", permission: "d" },
} as const;

/**
 * Decides about a write from policy ∩ scopes. Who changes or deletes has to be one who may read: what is written stands in for what was
 * read, and how it goes tells of it.
 */
export function evaluateWrite(policy: CompiledPolicy, access: Access, write: PlainWrite): Result<WriteGrant, PolicyRefusal> {
  const { type } = write;
  const { interaction, permission } = grants[write.kind];
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  if (rules.length === 0) return err({ reason: "rule_missing", type, interaction });
  const hold = holdOf(access, type, permission);
  if (hold === undefined) return err({ reason: "scope_insufficient", type, interaction });
  // A practitioner or an organization is more patients' than one: nobody changes it by one patient's leave.
  if (!canHold(hold, type)) return err({ reason: "outside_patient_compartment", type });
  const read = write.kind === "create" ? undefined : evaluate(policy, access, { kind: "read", type, id: write.id });
  if (read?.ok === false) return read;
  if (read?.value.expects.kind === "read" && read.value.expects.witnesses.length > 0)
    return err({ reason: "outside_patient_compartment", type });

  const writing = { policy, access, hold, interaction, permission };
  return ok({
    policyDigest: policy.digest,
    seen: read?.value,
    writable: (resource, base) => {
      if (!isHeld(hold, resource, type, base) || isLabelled(resource)) return undefined;
      return viewBy(policy, type, rules, resource);
    },
    widens: (stored, result) =>
      (stored !== undefined && showsMore(policy, type, stored, result)) ||
      (access.usersPatients !== undefined && changesRelation(policy.users, stored, result)),
    writableInside: (resource, base) => insideBy(writing, resource, base),
  });
}

function viewBy(policy: CompiledPolicy, type: string, rules: readonly CompiledRule[], resource: JsonObject): ResourceView | undefined {
  const reaching = rules.filter((rule) => isRowOf(rule, resource));
  return reaching.length === 0 ? undefined : policy.viewOf(type, reaching);
}

interface Writing {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  /** Of the resource around. */
  readonly hold: Hold;
  readonly interaction: "create" | "update" | "delete";
  readonly permission: "c" | "u" | "d";
}

function insideBy(
  { policy, access, hold, interaction, permission }: Writing,
  resource: JsonObject,
  base: string,
): ResourceView | undefined {
  const type = property(resource, "resourceType");
  const held = typeof type === "string" ? holdOf(access, type, permission) : undefined;
  if (typeof type !== "string" || held === undefined || isLabelled(resource)) return undefined;
  if (!mayGoWith(held, hold, resource, type, base)) return undefined;
  const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  return viewBy(policy, type, rules, resource);
}
