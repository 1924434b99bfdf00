import { assertionRules } from "#identity/assertion";
import { clientAuthenticationMethods } from "#identity/client";
import { proofAlgorithms } from "#identity/proof";
import type { SignInPlace } from "#registry/sign-in-place";

/** A required member: it "SHALL" contain S256, and never `plain`. */
const challenges = ["S256"];

/**
 * SMART App Launch 2.2, conformance (`.well-known/smart-configuration`), for an origin without a sign-in
 * place. It has only backend services: no authorization endpoint, and no `issuer`, which is for OpenID Connect.
 */
export function backendConfiguration(publicUrl: string, mtlsUrl: string | undefined) {
  const endpoints = (url: string) => ({
    token_endpoint: `${url}/oauth/token`,
    introspection_endpoint: `${url}/oauth/introspect`,
    revocation_endpoint: `${url}/oauth/revoke`,
  });
  return {
    jwks_uri: `${publicUrl}/oauth/jwks`,
    ...endpoints(publicUrl),
    // RFC 8705 §5, as in the issuer's own metadata
    mtls_endpoint_aliases: mtlsUrl === undefined ? undefined : endpoints(mtlsUrl),
    grant_types_supported: ["client_credentials"],
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: [
      ...new Set(Object.values(assertionRules).flatMap(({ algorithms }) => algorithms)),
    ],
    dpop_signing_alg_values_supported: proofAlgorithms,
    scopes_supported: ["system/*.rs"],
    code_challenge_methods_supported: challenges,
    capabilities: ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
  };
}

/** The document for an origin with a sign-in place: that issuer serves its apps and its machines (ADR 125). */
export function appConfiguration(place: SignInPlace) {
  return {
    issuer: place.issuer,
    jwks_uri: place.jwks,
    authorization_endpoint: place.authorization,
    token_endpoint: place.token,
    introspection_endpoint: place.introspection,
    revocation_endpoint: place.revocation,
    registration_endpoint: place.registration,
    management_endpoint: place.management,
    grant_types_supported: place.grantTypes ?? ["authorization_code"],
    token_endpoint_auth_methods_supported: place.authMethods,
    token_endpoint_auth_signing_alg_values_supported: place.signingAlgs,
    response_types_supported: ["code"],
    scopes_supported: place.scopes.length === 0 ? undefined : place.scopes,
    code_challenge_methods_supported: challenges,
    capabilities: place.capabilities,
  };
}
