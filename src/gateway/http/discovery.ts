import { originName } from "#fhir/origin";
import type { Hono } from "hono";
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

const origin = `:origin{${originName}}`;

/** Public documents: they need no credential, reveal nothing about a patient, and are not recorded. */
export function addDiscovery(
  app: Hono,
  { publicUrl, askedUrl, mtlsUrl, newId, answers, authorizationServers, origins }: Discovery,
): void {
  app.get(`/.well-known/oauth-protected-resource/v1/fhir/${origin}`, async (context) => {
    const name = context.req.param("origin");
    // The built-in issuer is first: most machines take the first issuer.
    const servers = [publicUrl, ...(await authorizationServers.of(name)).external];
    return context.json(
      protectedResource(`${askedUrl}/v1/fhir/${name}`, servers, publicUrl, await answers.publicKeys()),
    );
  });
  app.get(answerKeysPath, async (context) => context.json({ keys: await answers.publicKeys() }));
  const backend = JSON.stringify(backendConfiguration(publicUrl, mtlsUrl));
  // This is not a FHIR resource: it is application/json, whatever `Accept` asks for (SMART App Launch 2,
  // "Using Well-Known").
  app.get(`/v1/fhir/${origin}/.well-known/smart-configuration`, async (context) => {
    const { signIn } = await authorizationServers.of(context.req.param("origin"));
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
  app.get(`/v1/fhir/${origin}/metadata`, async (context, next) => {
    // a known caller gets its own capabilities, on record
    if (context.req.raw.headers.has("authorization")) return next();
    const name = context.req.param("origin");
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
    return answer(context.req.raw, statement, newId());
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
