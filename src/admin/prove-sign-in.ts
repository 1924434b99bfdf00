import { readAuthorization, type AuthorizationRefusal, type Presented } from "#identity/authorization";
import type { Proof, ProofRefusal } from "#identity/proof";
import { judgeSignIn, type SignIn, type SignInDemand, type SignInRefusal } from "#identity/sign-in";
import type { AccessTokenRefusal } from "#identity/token";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import type { SeenOfOperator } from "./operator.ts";
import type { AdminPorts } from "./ports.ts";

/** The parts of a request that prove a sign-in. */
export interface SignedCall {
  readonly at: Instant;
  readonly method: string;
  /** The URL under the configured name of this door: a proof must name it. */
  readonly url: string;
  /** `Authorization` and `DPoP`, as they came. */
  readonly authorization: Secret | undefined;
  readonly dpop: Secret | undefined;
}

export type SignInProblem =
  | AuthorizationRefusal
  | AccessTokenRefusal
  | ProofRefusal
  | SignInRefusal
  | { readonly reason: "token_missing" | "token_scheme_mismatch" | "certificate_mismatch" };

/**
 * Proves that this operator has signed in as demanded: by an access token of the demanded issuer for this
 * door, which is bound to the certificate of this connection or to a key that the request proves. `seen`
 * gets the token after its binding to the caller is proven.
 */
export async function proveSignIn(
  call: SignedCall,
  demand: SignInDemand,
  x5t: string,
  ports: Pick<AdminPorts, "signIns" | "proofs">,
  seen: SeenOfOperator,
): Promise<Result<void, SignInProblem>> {
  seen.demand = demand;
  const presented = readAuthorization(call.authorization?.reveal() ?? null);
  if (!presented.ok) return presented;
  if (presented.value === undefined) return err({ reason: "token_missing" });
  const signIn = await ports.signIns.verify(presented.value.token, demand.iss, call.at);
  if (!signIn.ok) return signIn;
  const holder = await holding(call, presented.value, signIn.value, x5t, ports);
  if (!holder.ok) return holder;
  seen.signIn = signIn.value;
  if (holder.value !== undefined) seen.proof = holder.value;
  return judgeSignIn(signIn.value, demand, call.at);
}

/**
 * Checks the token's binding to the caller, and returns the proof of a key. RFC 9449 §7.2: each kind of
 * token has its own scheme.
 */
async function holding(
  { method, url, at, dpop }: SignedCall,
  { scheme, token }: Presented,
  { binding }: SignIn,
  x5t: string,
  { proofs }: Pick<AdminPorts, "proofs">,
): Promise<Result<Proof | undefined, SignInProblem>> {
  switch (binding.kind) {
    case "certificate":
      if (scheme !== "bearer") return err({ reason: "token_scheme_mismatch" });
      return binding.x5t === x5t ? ok(undefined) : err({ reason: "certificate_mismatch" });
    case "key":
      if (scheme !== "dpop") return err({ reason: "token_scheme_mismatch" });
      return proofs.verify(dpop, { method, url, at, token: { text: token, jkt: binding.jkt } });
  }
}
