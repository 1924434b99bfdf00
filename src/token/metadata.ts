import { assertionRules } from "#identity/assertion";
import { tokenPath, type TokenPorts } from "./ports.ts";

/** RFC 8414 §2: says only what is true of this issuer. */
export function authorizationServer({ issuer, mtlsTokenEndpoint }: Pick<TokenPorts, "issuer" | "mtlsTokenEndpoint">) {
  const algorithms = new Set(Object.values(assertionRules).flatMap((rules) => rules.algorithms));
  return {
    issuer,
    token_endpoint: `${issuer}${tokenPath}`,
    jwks_uri: `${issuer}/oauth/jwks`,
    response_types_supported: [], // required by RFC 8414; there is no authorization endpoint
    grant_types_supported: ["client_credentials"],
    token_endpoint_auth_methods_supported: ["private_key_jwt"],
    token_endpoint_auth_signing_alg_values_supported: [...algorithms],
    tls_client_certificate_bound_access_tokens: true,
    ...(mtlsTokenEndpoint !== undefined && { mtls_endpoint_aliases: { token_endpoint: mtlsTokenEndpoint } }),
  };
}
