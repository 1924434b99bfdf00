import { readCertificate, type CertificateRefusal } from "#identity/certificate";
import { err, ok, type Result } from "#kernel/result";
import type { OperatorRoll } from "./ports.ts";

/** What a role lets its holder do; one that this version does not know lets nothing. */
export type Role = "registry-admin" | "revoker";

/** A person or a machine that administers, proven by a certificate. */
export interface Operator {
  readonly id: string;
  readonly status: "active" | "suspended";
  readonly roles: readonly string[];
}

export type OperatorRefusal =
  | CertificateRefusal
  | { readonly reason: "certificate_missing" | "operator_unknown" | "operator_suspended" | "role_missing" };

/** What became known of a caller before the verdict. */
export interface Seen {
  certificate?: string;
  operator?: string;
}

/** Proves an operator by the certificate of this connection, and that the operator holds a role. `seen` keeps what was learnt on the way. */
export async function authenticateOperator(
  tlsClientAuth: unknown,
  role: Role,
  operators: OperatorRoll,
  seen: Seen,
): Promise<Result<Operator, OperatorRefusal>> {
  const certificate = await readCertificate(tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value === undefined) return err({ reason: "certificate_missing" });
  seen.certificate = certificate.value.x5t;
  const operator = await operators.find(certificate.value.x5t);
  if (operator === undefined) return err({ reason: "operator_unknown" });
  seen.operator = operator.id;
  if (operator.status !== "active") return err({ reason: "operator_suspended" });
  if (!operator.roles.includes(role)) return err({ reason: "role_missing" });
  return ok(operator);
}
