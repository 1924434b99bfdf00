import { proofAlgorithms } from "#identity/proof";
import type { SignInDemand } from "#identity/sign-in";
import { publicFaces, type AdminRefusal } from "./refusal.ts";

/**
 * `WWW-Authenticate` of a 401 (RFC 6750 §3, RFC 9449 §7.1): the error, under the scheme that the caller
 * used. After a sign-in that is too weak or too old it says which sign-in is required (RFC 9470 §3). Without
 * a credential it has both schemes and no error.
 */
export function operatorChallenge(
  { reason }: AdminRefusal,
  authorization: string,
  demand: SignInDemand | undefined,
): string {
  const used = /^[^ ]*/u.exec(authorization)?.[0].toLowerCase();
  if ((used !== "bearer" && used !== "dpop") || reason === "token_scheme_mismatch")
    return `Bearer realm="phylax operators", ${dpop([])}`;
  const { challengeError = "invalid_token" } = publicFaces[reason];
  const error =
    challengeError === "insufficient_user_authentication"
      ? insufficient(demand)
      : [`error="${challengeError}"`];
  return used === "bearer" ? `Bearer ${error.join(", ")}` : dpop(error);
}

const dpop = (error: readonly string[]): string =>
  `DPoP ${[`algs="${proofAlgorithms.join(" ")}"`, ...error].join(", ")}`;

const insufficient = (demand: SignInDemand | undefined): readonly string[] => [
  'error="insufficient_user_authentication"',
  'error_description="sign in again, in this way and not longer ago"',
  ...(demand?.acr === undefined ? [] : [`acr_values="${demand.acr.join(" ")}"`]),
  ...(demand === undefined ? [] : [`max_age="${demand.maxAgeSeconds}"`]),
];
