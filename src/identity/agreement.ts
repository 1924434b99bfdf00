import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Purpose } from "./purpose.ts";

/** A business associate agreement (45 CFR 164.504(e)), data use agreement (164.514(e)) or patient authorization (164.508). */
export interface Agreement {
  readonly id: string;
  readonly purposes: readonly Purpose[];
  readonly from: Instant;
  /** The first instant at which it is no longer in force. */
  readonly to: Instant;
}

export type AgreementRefusal = {
  readonly reason: "agreement_not_begun" | "agreement_lapsed" | "agreement_without_purpose";
  readonly agreement: string;
};

/** In force: from ≤ at < to, and only for the purposes it names. */
export function inForce(agreement: Agreement, purpose: Purpose, at: Instant): Result<Agreement, AgreementRefusal> {
  if (at < agreement.from) return err({ reason: "agreement_not_begun", agreement: agreement.id });
  if (at >= agreement.to) return err({ reason: "agreement_lapsed", agreement: agreement.id });
  if (!agreement.purposes.includes(purpose)) return err({ reason: "agreement_without_purpose", agreement: agreement.id });
  return ok(agreement);
}
