import type { Scheme } from "#identity/authorization";
import { proofAlgorithms, type ProofRefusal } from "#identity/proof";
import { mustCover, requestTag, type RequestSignatureRefusal } from "#identity/request-signature";
import type { GatewayRefusal } from "./refusal.ts";

/**
 * `WWW-Authenticate` of a 401 (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1): what was wrong, under the scheme that was used and alone, since
 * client libraries follow a nonce only where it is the one challenge. Without a credential there is no error to name, and under the wrong
 * scheme the other one is worth telling: then both that are taken.
 */
export function challenge(publicUrl: string, origin: string | undefined, used: Scheme | undefined, refusal: GatewayRefusal): string {
  const metadata = origin === undefined ? [] : [`resource_metadata="${publicUrl}/.well-known/oauth-protected-resource/v1/fhir/${origin}"`];
  const error = [`error="${errors[refusal.reason] ?? "invalid_token"}"`];
  const bearer = [...metadata, ...(used === "bearer" ? error : [])];
  const dpop = [`algs="${proofAlgorithms.join(" ")}"`, ...metadata, ...(used === "dpop" ? error : [])];
  const [asBearer, asDpop] = [`Bearer ${bearer.join(", ") || 'realm="phylax"'}`, `DPoP ${dpop.join(", ")}`];
  if (used === undefined || refusal.reason === "token_scheme_mismatch") return `${asBearer}, ${asDpop}`;
  return used === "bearer" ? asBearer : asDpop;
}

/** `WWW-Authenticate` of the 403 for want of a scope, and the scope that would do (RFC 6750 §3.1). */
export function scopeChallenge(used: Scheme, patient: string | undefined, { type, interaction }: OutOfScope): string {
  const scope = `${patient === undefined ? "system" : "patient"}/${type}.${interaction === "read" ? "r" : "s"}`;
  return `${used === "bearer" ? "Bearer" : "DPoP"} error="insufficient_scope", scope="${scope}"`;
}

type OutOfScope = Extract<GatewayRefusal, { readonly reason: "scope_insufficient" }>;

/** RFC 9449 §7.1 and §9: what the client should do differently; a client library repeats on `use_dpop_nonce` by itself. */
const proofErrors: Readonly<Record<ProofRefusal["reason"], string>> = {
  proof_missing: "invalid_dpop_proof",
  proof_malformed: "invalid_dpop_proof",
  proof_type_invalid: "invalid_dpop_proof",
  proof_algorithm_not_allowed: "invalid_dpop_proof",
  proof_critical_header_not_supported: "invalid_dpop_proof",
  proof_key_unusable: "invalid_dpop_proof",
  proof_key_mismatch: "invalid_dpop_proof",
  proof_signature_invalid: "invalid_dpop_proof",
  proof_method_mismatch: "invalid_dpop_proof",
  proof_url_mismatch: "invalid_dpop_proof",
  proof_token_mismatch: "invalid_dpop_proof",
  proof_expired: "invalid_dpop_proof",
  proof_not_yet_valid: "invalid_dpop_proof",
  proof_replayed: "invalid_dpop_proof",
  proof_nonce_missing: "use_dpop_nonce",
  proof_nonce_expired: "use_dpop_nonce",
};

/** No error of RFC 6750 §3.1 is about a signature: the request is not whole, and the token is as good as before. */
const signatureErrors: Readonly<Record<RequestSignatureRefusal["reason"], string>> = {
  request_signature_missing: "invalid_request",
  request_signature_malformed: "invalid_request",
  request_signature_incomplete: "invalid_request",
  request_signature_component_unknown: "invalid_request",
  request_signature_expired: "invalid_request",
  request_signature_not_yet_valid: "invalid_request",
  request_signature_key_unknown: "invalid_request",
  request_signature_algorithm_mismatch: "invalid_request",
  request_signature_invalid: "invalid_request",
  content_digest_mismatch: "invalid_request",
};

const errors: Readonly<Record<string, string>> = { ...proofErrors, ...signatureErrors };

/** Whether a refusal is about the request's signature. */
export const isOfSignature = (reason: string): boolean => Object.hasOwn(signatureErrors, reason);

/** `Accept-Signature` (RFC 9421 §5.1): what the signature of the same request has to cover and to say. */
export function acceptSignature({ method, headers }: { readonly method: string; readonly headers: Headers }): string {
  const parts = mustCover({ headers, hasBody: method !== "GET" && method !== "HEAD" && method !== "DELETE" });
  return `sig=(${parts.map((part) => `"${part}"`).join(" ")});created;tag="${requestTag}"`;
}
