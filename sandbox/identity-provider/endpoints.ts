import { publishedScopes } from "./smart.ts";

/** How clients prove themselves at the token endpoint. */
export const authMethods = ["none", "client_secret_basic", "private_key_jwt"] as const;

/** The algorithms of their assertions: SMART App Launch demands the first two of each server. */
export const assertionAlgorithms = ["RS384", "ES384", "ES256"] as const;

/**
 * The registry's description of the provider for apps and machines: oidc-provider's own addresses, and what it
 * supports.
 */
export const endpointsAt = (iss: string) => ({
  authorization: `${iss}/auth`,
  token: `${iss}/token`,
  jwks: `${iss}/jwks`,
  revocation: `${iss}/token/revocation`,
  grantTypes: ["authorization_code", "refresh_token", "client_credentials"],
  authMethods,
  signingAlgs: assertionAlgorithms,
  capabilities: [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
  ],
  scopes: publishedScopes,
});
