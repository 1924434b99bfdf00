import type { Scheme } from "#identity/authorization";
import { proofAlgorithms } from "#identity/proof";
import { mustCover, requestTag } from "#identity/request-signature";
import { faceOf } from "#entrypoint/gateway-face";
import type { GatewayRefusal } from "#gateway/outcome";

/**
 * `WWW-Authenticate` of a 401 (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1). It has a single challenge with
 * the error, under the scheme that the client used: client libraries follow a nonce only in a single
 * challenge. Without a credential there is no error to name, and a client that used the wrong scheme needs
 * the right scheme: then the header has a challenge for each accepted scheme.
 */
export function challenge(
  publicUrl: string,
  origin: string | undefined,
  used: Scheme | undefined,
  refusal: GatewayRefusal,
): string {
  const metadata =
    origin === undefined
      ? []
      : [`resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/v1/fhir/${origin}"`];
  const error = [`error="${faceOf(refusal).challengeError ?? "invalid_token"}"`];
  const bearer = [...metadata, ...(used === "bearer" ? error : [])];
  const dpop = [`algs="${proofAlgorithms.join(" ")}"`, ...metadata, ...(used === "dpop" ? error : [])];
  const [asBearer, asDpop] = [`Bearer ${bearer.join(", ") || 'realm="phylax"'}`, `DPoP ${dpop.join(", ")}`];
  if (used === undefined || refusal.reason === "token_scheme_mismatch") return `${asBearer}, ${asDpop}`;
  return used === "bearer" ? asBearer : asDpop;
}

/** `WWW-Authenticate` of the 403 for a missing scope, with the sufficient scope (RFC 6750 §3.1). */
export function scopeChallenge(
  used: Scheme,
  patient: string | undefined,
  { type, interaction }: OutOfScope,
): string {
  const scope = `${patient === undefined ? "system" : "patient"}/${type}.${interaction === "read" ? "r" : "s"}`;
  return `${used === "bearer" ? "Bearer" : "DPoP"} error="insufficient_scope", scope="${scope}"`;
}

type OutOfScope = Extract<GatewayRefusal, { readonly reason: "scope_insufficient" }>;

/** True when a refusal is about the request's signature. */
export const isOfSignature = (refusal: GatewayRefusal): boolean =>
  faceOf(refusal).challengeError === "invalid_request";

/**
 * `Accept-Signature` (RFC 9421 §5.1): the components and parameters that the signature of the same request
 * must have.
 */
export function acceptSignature({
  method,
  headers,
}: {
  readonly method: string;
  readonly headers: Headers;
}): string {
  const parts = mustCover({ headers, hasBody: method !== "GET" && method !== "HEAD" && method !== "DELETE" });
  return `sig=(${parts.map((part) => `"${part}"`).join(" ")});created;tag="${requestTag}"`;
}
