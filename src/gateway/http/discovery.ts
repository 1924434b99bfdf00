import { originName } from "#fhir/origin";
import { capabilityStatement } from "#fhir/capability";
import type { Origins } from "#fhir/ports";
import { everyCapability, servedBy } from "#fhir/type-capability";
import { refusePresentation } from "#fhir/search/search";
import type { AnswerSigner } from "#identity/answer-signature";
import type { PublicJwk } from "#identity/jose/jwk";
import type { AuthorizationServers } from "#registry/ports";
import { proofAlgorithms } from "#identity/proof";
import { requestAlgorithm } from "#identity/request-signature";
import type { SignInPlace } from "#registry/sign-in-place";
import { acceptable, type Call } from "./admit.ts";
import { baseHeaders } from "#entrypoint/base-headers";
import type { Handler, Router } from "#entrypoint/router";
import { outcomeAnswer } from "./answer.ts";
import { faceOf } from "#entrypoint/gateway-face";
import { oauthUris } from "#gateway/read/oauth-uris";
import { appConfiguration, backendConfiguration } from "./smart-configuration.ts";

/** The facts about this gateway in the well-known documents. */
export interface Discovery {
  /** Public URL without a trailing slash: the issuer, and the prefix of each FHIR base. */
  readonly publicUrl: string;
  /** The configured name that the client called. */
  readonly askedUrl: string;
  /** The host that asks for client certificates, if the issuer's own host does not. */
  readonly mtlsUrl?: string | undefined;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly answers: Pick<AnswerSigner, "publicKeys">;
  readonly authorizationServers: AuthorizationServers;
  readonly origins: Pick<Origins, "traits">;
  /** The public keys by which the gateway proves itself to an origin; undefined if there are none. */
  readonly originKeys: (origin: string) => Promise<readonly PublicJwk[] | undefined>;
}

const answerKeysPath = "/.well-known/phylax-answer-keys";

/** RFC 9728 §3: the metadata of each FHIR base as a protected resource, at the host that was asked. */
function protectedResource(
  base: string,
  servers: readonly string[],
  publicUrl: string,
  answerKeys: readonly PublicJwk[],
) {
  return {
    resource: base,
    authorization_servers: servers,
    bearer_methods_supported: ["header"],
    // Each token is bound to a certificate or to a key, as the client's registration says, except for a
    // client with a dated exception.
    tls_client_certificate_bound_access_tokens: true,
    dpop_bound_access_tokens_required: false,
    dpop_signing_alg_values_supported: proofAlgorithms,
    // The keys of signed answers, which a grant may ask for. These keys sign no tokens.
    jwks_uri: publicUrl + answerKeysPath,
    resource_signing_alg_values_supported: [
      ...new Set(answerKeys.flatMap((key) => requestAlgorithm(key)?.algorithm ?? [])),
    ],
    resource_name: "Phylax FHIR R4 gateway",
  };
}

const noPlace = {};

const isOriginName = new RegExp(`^${originName}$`, "u");

/** Public documents: they need no credential, reveal nothing about a patient, and are not recorded. */
export function addDiscovery(
  router: Router,
  { publicUrl, askedUrl, mtlsUrl, newId, answers, authorizationServers, origins, originKeys }: Discovery,
): void {
  const ofOrigin = (path: string, handler: Handler) =>
    router.on("GET", path, (request, next, name) =>
      isOriginName.test(name) ? handler(request, next, name) : next(),
    );
  ofOrigin("/.well-known/oauth-protected-resource/v1/fhir/:name", async (_request, _next, name) => {
    const { signIn, external } = await authorizationServers.of(name);
    // Most machines take the first issuer: the issuer of the SMART configuration.
    const servers = new Set([signIn?.issuer ?? publicUrl, ...external]);
    return Response.json(
      protectedResource(`${askedUrl}/v1/fhir/${name}`, [...servers], publicUrl, await answers.publicKeys()),
    );
  });
  router.on("GET", answerKeysPath, async () => Response.json({ keys: await answers.publicKeys() }));
  // For the owner of the FHIR server: the keys of the assertions that its token endpoint gets (SMART Backend Services).
  ofOrigin("/v1/fhir/:name/.well-known/jwks.json", async (_request, next, name) => {
    const keys = await originKeys(name);
    if (keys === undefined) return next();
    const headers = baseHeaders(newId());
    headers.set("cache-control", "public, max-age=300");
    return Response.json({ keys }, { headers });
  });
  const backend = JSON.stringify(backendConfiguration(publicUrl, mtlsUrl));
  // This is not a FHIR resource: it is application/json, whatever `Accept` asks for (SMART App Launch 2,
  // "Using Well-Known").
  ofOrigin("/v1/fhir/:name/.well-known/smart-configuration", async (_request, _next, name) => {
    const { signIn } = await authorizationServers.of(name);
    return json(
      signIn === undefined ? backend : JSON.stringify(appConfiguration(signIn)),
      "application/json",
      newId(),
    );
  });
  // The first request makes the statement of the features that the gateway and the origin have. A statement
  // lives as long as that reading of the registry.
  const statements = new WeakMap<SignInPlace | typeof noPlace, WeakMap<object, string>>();
  const every = everyCapability();
  ofOrigin("/v1/fhir/:name/metadata", async (request, next, name) => {
    // a known caller gets its own capabilities, on record
    if (request.headers.has("authorization")) return next();
    const [{ signIn }, traits] = await Promise.all([authorizationServers.of(name), origins.traits(name)]);
    const served = traits?.capabilities.types;
    const ofPlace = statements.get(signIn ?? noPlace) ?? new WeakMap<object, string>();
    const statement =
      ofPlace.get(served ?? every) ??
      JSON.stringify(
        capabilityStatement(
          oauthUris(publicUrl, signIn),
          served === undefined ? every : servedBy(served, every),
        ),
      );
    ofPlace.set(served ?? every, statement);
    statements.set(signIn ?? noPlace, ofPlace);
    return answer(request, statement, newId());
  });
}

/**
 * JSON with the requested media type, from the header or `_format`: clients probe with the headers of a
 * read.
 */
function answer({ url, headers: asked }: Request, body: string, requestId: string): Response {
  const { search, searchParams } = new URL(url);
  const mediaType = acceptable(asked.get("accept"), search.slice(1));
  const format = searchParams.get("_format");
  if (mediaType === undefined)
    return outcomeAnswer(requestId, faceOf({ reason: "not_acceptable" }), "application/fhir+json");
  const refusal = format === null ? undefined : refusePresentation("_format", format);
  if (refusal !== undefined) return outcomeAnswer(requestId, faceOf(refusal), mediaType);
  return json(body, mediaType, requestId);
}

function json(body: string, mediaType: Call["mediaType"], requestId: string): Response {
  const headers = baseHeaders(requestId);
  headers.set("content-type", `${mediaType}; charset=utf-8`);
  return new Response(body, { headers });
}
