import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Purpose } from "./purpose.ts";

export const agreementKinds = ["business-associate", "data-use", "authorization"] as const;
export type AgreementKind = (typeof agreementKinds)[number];

/**
 * A business associate agreement (45 CFR 164.504(e)), data use agreement (164.514(e)) or patient
 * authorization (164.508).
 */
export interface Agreement {
  readonly id: string;
  /** Undefined: the registry does not say. */
  readonly kind?: AgreementKind | undefined;
  readonly purposes: readonly Purpose[];
  readonly from: Instant;
  /** The first instant at which the agreement is no longer in force. */
  readonly to: Instant;
}

export type AgreementRefusal = {
  readonly reason: "agreement_not_yet_in_force" | "agreement_expired" | "purpose_not_in_agreement";
  readonly agreement: string;
};

/** In force: from ≤ at < to, and only for the purposes it names. */
export function inForce(
  agreement: Agreement,
  purpose: Purpose,
  at: Instant,
): Result<Agreement, AgreementRefusal> {
  if (at < agreement.from) return err({ reason: "agreement_not_yet_in_force", agreement: agreement.id });
  if (at >= agreement.to) return err({ reason: "agreement_expired", agreement: agreement.id });
  if (!agreement.purposes.includes(purpose))
    return err({ reason: "purpose_not_in_agreement", agreement: agreement.id });
  return ok(agreement);
}
