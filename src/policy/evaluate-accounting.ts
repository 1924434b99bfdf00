import type { AccountingRequest } from "#fhir/accounting-request";
import { purposeOfUse } from "#fhir/r4/purpose-of-use.gen";
import type { ScopeContext } from "#identity/scopes";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { allowed } from "./evaluate-listing.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import { rowAccessOf, type Access } from "./row-access.ts";

/** A permitted accounting of disclosures. */
export interface AccountingGrant {
  /** To the individual (45 CFR 164.528(a)), or to who answers for the entity. */
  readonly toldTo: "individual" | "officer";
  /**
   * Whose accounting it may be: of the one patient whom an individual's token names, of any patient for an
   * officer. Decided without that patient's row: what was disclosed of a patient is told whether or not there
   * is a row, or it may be seen.
   */
  readonly reaches: (id: string) => boolean;
  /**
   * An officer's policy is about some patients only, by more than their labels: then the row decides, and one
   * that may not be seen is the same as one that is not there.
   */
  readonly needsRow: boolean;
  /** To read a patient. */
  readonly patient: (id: string) => Grant;
}

/**
 * Permits it to an individual (purpose PATRQT, by scopes of the context `patient` alone) and to an officer
 * (health care operations, by scopes of the context `system` alone), where the policy allows the operation
 * and the scopes reach both Patient and AuditEvent. What a user is to somebody else gives nobody that one's
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
    // decided from type and policy alone, so that none is refused now
    return grant.ok ? grant.value : first.value;
  };
  const reaches = (id: string) => toldTo === "officer" || id === access.patient;
  const needsRow =
    toldTo === "officer" &&
    policy.rulesFor("Patient").every((rule) => !rule.interactions.has("read") || selects(rule));
  return ok({ toldTo, reaches, needsRow, patient });
}

/** A label takes nobody's accounting away: what was disclosed of a patient was disclosed in spite of it. */
const selects = ({ conditions }: CompiledRule): boolean =>
  conditions.some(({ path }) => path !== "meta.security");

function isOperations(purpose: string): boolean {
  for (
    let code: string | undefined = purpose;
    code;
    code = Object.hasOwn(purposeOfUse, code) ? purposeOfUse[code] : undefined
  ) {
    if (code === "HOPERAT") return true;
  }
  return false;
}
