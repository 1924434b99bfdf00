import { appScopes } from "./smart.ts";

/**
 * The registry's description of the provider for SMART apps: oidc-provider's own addresses, and the rules for
 * the apps of patients.
 */
export const endpointsAt = (iss: string) => ({
  authorization: `${iss}/auth`,
  token: `${iss}/token`,
  jwks: `${iss}/jwks`,
  revocation: `${iss}/token/revocation`,
  capabilities: [
    "launch-standalone",
    "client-public",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "permission-v1",
    "permission-v2",
  ],
  scopes: appScopes,
});
