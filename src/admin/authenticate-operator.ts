import { readCertificate, type CertificateRefusal } from "#identity/certificate/certificate";
import type { CredentialDenied } from "#identity/denial";
import { judgeSignIn, type SignInDemand } from "#identity/sign-in";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { denied, type SignInDenied } from "./denied.ts";
import type { Operator, Role, SeenOfOperator } from "./operator.ts";
import type { AdminPorts } from "./ports.ts";
import { proveSignIn, type SignedCall, type SignInProblem } from "./prove-sign-in.ts";

export type OperatorRefusal =
  | CertificateRefusal
  | SignInProblem
  | CredentialDenied
  | SignInDenied
  | {
      readonly reason:
        | "certificate_missing"
        | "operator_unknown"
        | "operator_suspended"
        | "sign_in_not_registered"
        | "role_missing";
    };

/**
 * Proves an operator by the certificate of this connection, a person also by a token, and checks that the
 * operator has a role of `roles`. `seen` collects the facts on the way.
 */
export async function authenticateOperator(
  call: SignedCall & { readonly tlsClientAuth: unknown },
  roles: readonly Role[],
  ports: Pick<AdminPorts, "operators" | "denials" | "signIns" | "proofs">,
  seen: SeenOfOperator,
): Promise<Result<Operator, OperatorRefusal>> {
  const certificate = await readCertificate(call.tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value === undefined) return err({ reason: "certificate_missing" });
  const { x5t } = certificate.value;
  seen.certificate = x5t;
  const operator = await ports.operators.find(x5t);
  if (operator === undefined) return err({ reason: "operator_unknown" });
  seen.operator = operator.id;
  return judge(operator, roles, ports, seen, (demand) => proveSignIn(call, demand, x5t, ports, seen));
}

/**
 * Checks with `control` that a proven operator may still act: a slow body and the record of the intent lie
 * between the proof and the act, and a denial, a suspension or a changed role counts at once. It throws when
 * `control` does not answer.
 */
export async function mayStillAct(
  roles: readonly Role[],
  ports: Pick<AdminPorts, "operators" | "denials">,
  seen: SeenOfOperator,
  at: Instant,
): Promise<Result<Operator, OperatorRefusal>> {
  const operator = await ports.operators.find(seen.certificate ?? "");
  if (operator === undefined || operator.id !== seen.operator) return err({ reason: "operator_unknown" });
  return judge(operator, roles, ports, seen, async (demand) => {
    // the operator's entry names a different issuer now
    if (seen.signIn?.issuer !== demand.iss) return err({ reason: "token_missing" });
    return judgeSignIn(seen.signIn, demand, at);
  });
}

/** The common checks: status, sign-in, denials, role. */
async function judge(
  operator: Operator,
  roles: readonly Role[],
  ports: Pick<AdminPorts, "denials">,
  seen: SeenOfOperator,
  proveSignedIn: (demand: SignInDemand) => Promise<Result<void, SignInProblem>>,
): Promise<Result<Operator, OperatorRefusal>> {
  if (operator.status !== "active") return err({ reason: "operator_suspended" });
  if (operator.kind === "person") {
    if (operator.signIn === undefined) return err({ reason: "sign_in_not_registered" });
    const signedIn = await proveSignedIn(operator.signIn);
    if (!signedIn.ok) return signedIn;
  }
  const refused = denied(await ports.denials(operator.signIn?.iss), seen.certificate ?? "", seen);
  if (refused !== undefined) return err(refused);
  if (!roles.some((role) => operator.roles.includes(role))) return err({ reason: "role_missing" });
  return ok(operator);
}
