import type { Hono } from "hono";
import { capabilityStatement } from "#fhir/capability";
import { refusePresentation } from "#fhir/search";
import type { AnswerSigner } from "#identity/answer-signature";
import { assertionRules } from "#identity/assertion";
import { clientAuthenticationMethods } from "#identity/client";
import type { PublicJwk } from "#identity/jwk";
import { proofAlgorithms } from "#identity/proof";
import { requestAlgorithm } from "#identity/request-signature";
import { acceptable, type Call } from "./admit.ts";
import { baseHeaders, outcomeAnswer } from "./answer.ts";
import { faceOf } from "./refusal.ts";

/** What the well-known documents say about this gateway. */
export interface Discovery {
  /** Public URL without a trailing slash: the issuer, and the prefix of each FHIR base. */
  readonly publicUrl: string;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly answers: Pick<AnswerSigner, "publicKeys">;
}

const answerKeysPath = "/.well-known/phylax-answer-keys";

/** RFC 9728 §3: the metadata of each FHIR base as a protected resource. Says only what is true of every origin. */
function protectedResource(base: string, publicUrl: string, answerKeys: readonly PublicJwk[]) {
  return {
    resource: base,
    authorization_servers: [publicUrl],
    bearer_methods_supported: ["header"],
    // Each token is bound to one or the other; which, the client's registration says.
    tls_client_certificate_bound_access_tokens: true,
    dpop_bound_access_tokens_required: false,
    dpop_signing_alg_values_supported: proofAlgorithms,
    // Of signed answers, which a grant may ask for: the resource's own keys, which sign no token.
    jwks_uri: publicUrl + answerKeysPath,
    resource_signing_alg_values_supported: [...new Set(answerKeys.flatMap((key) => requestAlgorithm(key)?.algorithm ?? []))],
    resource_name: "Phylax FHIR R4 gateway",
  };
}

/**
 * SMART App Launch 2, conformance (`.well-known/smart-configuration`): backend services only, so there is no authorization endpoint to name, and
 * no code challenge to make there.
 */
export function smartConfiguration(publicUrl: string) {
  return {
    issuer: publicUrl,
    jwks_uri: `${publicUrl}/oauth/jwks`,
    token_endpoint: `${publicUrl}/oauth/token`,
    grant_types_supported: ["client_credentials"],
    introspection_endpoint: `${publicUrl}/oauth/introspect`,
    revocation_endpoint: `${publicUrl}/oauth/revoke`,
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: [...new Set(Object.values(assertionRules).flatMap(({ algorithms }) => algorithms))],
    dpop_signing_alg_values_supported: proofAlgorithms,
    scopes_supported: ["system/*.rs"],
    code_challenge_methods_supported: [],
    capabilities: ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
  };
}

const origin = ":origin{[a-z][a-z0-9-]{0,31}}";

/** Documents that are nobody's secret: they need no credential, tell nothing about a patient, and are in no record. */
export function addDiscovery(app: Hono, { publicUrl, newId, answers }: Discovery): void {
  app.get(`/.well-known/oauth-protected-resource/v1/fhir/${origin}`, async (context) =>
    context.json(protectedResource(`${publicUrl}/v1/fhir/${context.req.param("origin")}`, publicUrl, await answers.publicKeys())),
  );
  app.get(answerKeysPath, async (context) => context.json({ keys: await answers.publicKeys() }));
  const smart = JSON.stringify(smartConfiguration(publicUrl));
  // It is no FHIR resource: application/json, whatever `Accept` asks for (SMART App Launch 2, "Using Well-Known").
  app.get(`/v1/fhir/${origin}/.well-known/smart-configuration`, () => json(smart, "application/json", newId()));
  let capabilities: string | undefined; // made when first asked for: every type with its parameters
  app.get(`/v1/fhir/${origin}/metadata`, ({ req: { raw } }) =>
    answer(raw, (capabilities ??= JSON.stringify(capabilityStatement({ token: `${publicUrl}/oauth/token` }))), newId()),
  );
}

/** JSON by the name that is asked for, by header or `_format`; every client probes with what it would send with a read. */
function answer({ url, headers: asked }: Request, body: string, requestId: string): Response {
  const { search, searchParams } = new URL(url);
  const mediaType = acceptable(asked.get("accept"), search.slice(1));
  const format = searchParams.get("_format");
  if (mediaType === undefined) return outcomeAnswer(requestId, faceOf({ reason: "not_acceptable" }), "application/fhir+json");
  const refusal = format === null ? undefined : refusePresentation("_format", format);
  if (refusal !== undefined) return outcomeAnswer(requestId, faceOf(refusal), mediaType);
  return json(body, mediaType, requestId);
}

function json(body: string, mediaType: Call["mediaType"], requestId: string): Response {
  const headers = baseHeaders(requestId);
  headers.set("content-type", `${mediaType}; charset=utf-8`);
  return new Response(body, { headers });
}
