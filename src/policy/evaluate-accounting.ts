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
  readonly reader: "individual" | "officer";
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
  /** The grant to read a patient, by which the page shows the person: the same rows as a read shows. */
  readonly patient: (id: string) => Grant;
  /**
   * The grant by which the records of one individual are united. No Consent limits an officer here: the listed
   * disclosures happened in spite of it, and of a record only its links are read, so no element of it leaves.
   */
  readonly grantToUnite: (id: string) => Grant;
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
  const reader = purpose === "PATRQT" ? "individual" : isOperations(purpose) ? "officer" : undefined;
  if (reader === undefined) return err({ reason: "operation_not_granted", operation: "disclosures" });
  const context: ScopeContext = reader === "individual" ? "patient" : "system";
  const narrowed: Access = {
    ...access,
    scopes: access.scopes.filter((scope) => scope.context === context),
  };
  if (rowAccessOf(narrowed, "AuditEvent", "r") === undefined)
    return err({ reason: "scope_insufficient", type: "AuditEvent", interaction: "read" });
  const patient = grantsToReadPatients(policy, narrowed, asked.id);
  if (!patient.ok) return patient;
  // The Consents of the book also say that a row is the individual's own, which no label withholds.
  const grantToUnite =
    reader === "individual"
      ? patient
      : grantsToReadPatients(policy, { ...narrowed, consents: undefined }, asked.id);
  if (!grantToUnite.ok) return grantToUnite;
  const reaches = (id: string) => reader === "officer" || id === access.patient;
  const needsRow =
    reader === "officer" &&
    policy.rulesFor("Patient").every((rule) => !rule.interactions.has("read") || selects(rule));
  return ok({ reader, reaches, needsRow, patient: patient.value, grantToUnite: grantToUnite.value });
}

/** The grants to read Patients. */
function grantsToReadPatients(
  policy: CompiledPolicy,
  access: Access,
  patient: string,
): Result<(id: string) => Grant, PolicyRefusal> {
  const read = (id: string) => evaluate(policy, access, { kind: "read", type: "Patient", id });
  const first = read(patient);
  if (!first.ok) return first;
  return ok((id) => {
    const grant = read(id);
    // type and policy alone decide, so a second refusal is impossible here
    return grant.ok ? grant.value : first.value;
  });
}

/** A label takes away no accounting: the listed disclosures happened in spite of the label. */
const selects = ({ conditions }: CompiledRule): boolean =>
  conditions.some(({ path }) => path !== "meta.security");

const isOperations = (purpose: string): boolean => coversPurpose("HOPERAT", purpose);
