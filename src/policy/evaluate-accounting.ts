import type { AccountingRequest } from "#fhir/accounting-request";
import { coversPurpose } from "#fhir/r4/purpose-of-use";
import type { ScopeContext } from "#identity/scopes";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { allowed } from "./evaluate-listing.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import { rowAccessOf, type Access } from "./row-access.ts";

/** A permitted accounting of disclosures. */
export interface AccountingGrant {
  /** The reader: the individual (45 CFR 164.528(a)), or an officer of the entity. */
  readonly toldTo: "individual" | "officer";
  /**
   * Answers whether the reader may get the accounting of a patient: an individual only that of the token's
   * patient, an officer that of any patient. The patient's row plays no part: the accounting lists
   * disclosures even if the row is absent or hidden.
   */
  readonly reaches: (id: string) => boolean;
  /**
   * The officer's policy covers only some patients, by a condition that is not a label. Then the row decides,
   * and a hidden row gets the same answer as an absent row.
   */
  readonly needsRow: boolean;
  /** The grant to read a patient. */
  readonly patient: (id: string) => Grant;
}

/**
 * Permits an accounting to an individual (purpose PATRQT, by `patient` scopes alone) and to an officer
 * (health care operations, by `system` scopes alone). The policy must allow the operation, and the scopes
 * must cover both Patient and AuditEvent. A user's relation to a patient gives no right to that patient's
 * accounting.
 */
export function evaluateAccounting(
  policy: CompiledPolicy,
  access: Access,
  { purpose, asked }: { readonly purpose: string; readonly asked: Pick<AccountingRequest, "id"> },
): Result<AccountingGrant, PolicyRefusal> {
  const refused = allowed(policy, "disclosures");
  if (refused !== undefined) return refused;
  const toldTo = purpose === "PATRQT" ? "individual" : isOperations(purpose) ? "officer" : undefined;
  if (toldTo === undefined) return err({ reason: "operation_not_granted", operation: "disclosures" });
  const context: ScopeContext = toldTo === "individual" ? "patient" : "system";
  const narrowed: Access = {
    scopes: access.scopes.filter((scope) => scope.context === context),
    patient: access.patient,
  };
  if (rowAccessOf(narrowed, "AuditEvent", "r") === undefined)
    return err({ reason: "scope_insufficient", type: "AuditEvent", interaction: "read" });
  const read = (id: string) => evaluate(policy, narrowed, { kind: "read", type: "Patient", id });
  const first = read(asked.id);
  if (!first.ok) return first;
  const patient = (id: string): Grant => {
    const grant = read(id);
    // type and policy alone decide, so a second refusal is impossible here
    return grant.ok ? grant.value : first.value;
  };
  const reaches = (id: string) => toldTo === "officer" || id === access.patient;
  const needsRow =
    toldTo === "officer" &&
    policy.rulesFor("Patient").every((rule) => !rule.interactions.has("read") || selects(rule));
  return ok({ toldTo, reaches, needsRow, patient });
}

/** A label takes away no accounting: the listed disclosures happened in spite of the label. */
const selects = ({ conditions }: CompiledRule): boolean =>
  conditions.some(({ path }) => path !== "meta.security");

const isOperations = (purpose: string): boolean => coversPurpose("HOPERAT", purpose);
