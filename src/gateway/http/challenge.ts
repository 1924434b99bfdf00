import type { RequestHeaders } from "#entrypoint/header-values";
import type { Scheme } from "#identity/authorization";
import type { ScopePermission, ScopeContext } from "#identity/scopes";
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
  askedUrl: string,
  origin: string | undefined,
  used: Scheme | undefined,
  refusal: GatewayRefusal,
): string {
  const metadata =
    origin === undefined
      ? []
      : [`resource_metadata="${askedUrl}/.well-known/oauth-protected-resource/v1/fhir/${origin}"`];
  const { challengeError = "invalid_token", text } = faceOf(refusal);
  const error = [
    `error="${challengeError}"`,
    ...(provenReasons.has(refusal.reason) ? [`error_description="${text}"`] : []),
  ];
  const bearer = [...metadata, ...(used === "bearer" ? error : [])];
  const dpop = [`algs="${proofAlgorithms.join(" ")}"`, ...metadata, ...(used === "dpop" ? error : [])];
  const [asBearer, asDpop] = [`Bearer ${bearer.join(", ") || 'realm="phylax"'}`, `DPoP ${dpop.join(", ")}`];
  if (used === undefined || refusal.reason === "token_scheme_mismatch") return `${asBearer}, ${asDpop}`;
  return used === "bearer" ? asBearer : asDpop;
}

/**
 * Refusals of a token whose signature was proven: they reveal nothing new to its sender. Each further refusal of a
 * token has the same `invalid_token`, so that a forger learns nothing.
 */
const provenReasons: ReadonlySet<string> = new Set<GatewayRefusal["reason"]>([
  "token_expired",
  "token_scheme_mismatch",
  "step_up_missing",
  "step_up_too_old",
]);

/** `WWW-Authenticate` of the 403 for a missing scope, with the sufficient scope (RFC 6750 §3.1). */
export function scopeChallenge(used: Scheme, who: ScopeHolder, { type, interaction }: OutOfScope): string {
  const scope = `${contextOf(who)}/${type}.${letters[interaction]}`;
  return `${used === "bearer" ? "Bearer" : "DPoP"} error="insufficient_scope", scope="${scope}"`;
}

/** The caller, as far as it decides which scopes it can get. */
interface ScopeHolder {
  readonly patient?: string | undefined;
  readonly user?: string | undefined;
}

const contextOf = ({ patient, user }: ScopeHolder): ScopeContext =>
  patient !== undefined ? "patient" : user === undefined ? "system" : "user";

const letters: Readonly<Record<OutOfScope["interaction"], ScopePermission>> = {
  read: "r",
  search: "s",
  create: "c",
  update: "u",
  delete: "d",
};

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
  readonly headers: Pick<RequestHeaders, "get">;
}): string {
  const parts = mustCover({ headers, hasBody: method !== "GET" && method !== "HEAD" && method !== "DELETE" });
  return `sig=(${parts.map((part) => `"${part}"`).join(" ")});created;tag="${requestTag}"`;
}
