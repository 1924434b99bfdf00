import type { KeyedClient } from "../runtime/runtime.ts";
import { consoleClient, operatorsClient } from "./operators.ts";
import { privacyDeskClient } from "./privacy-desk-entry.ts";

/** An app with a secret. */
export interface SecretApp {
  readonly id: string;
  readonly secret: string;
}

// RFC 8252 §7.3: an app on this machine listens on loopback, on a temporary port. oidc-provider accepts any
// port there. The further paths are those of Inferno's SMART suites.
const hosts = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
const paths = ["/callback", ...["smart", "smart_stu2", "smart_stu2_2"].map((id) => `/custom/${id}/redirect`)];
const redirects = hosts.flatMap((host) => paths.map((path) => host + path));

/** True for the origin of a page on this machine. */
export const isOnThisMachine = (origin: string): boolean =>
  hosts.some((host) => new URL(host).hostname === URL.parse(origin)?.hostname);

const app = {
  application_type: "native",
  response_types: ["code"],
  response_modes: ["query"],
  redirect_uris: redirects,
};
const publicClient = { ...app, token_endpoint_auth_method: "none" };
const withRefresh = ["authorization_code", "refresh_token"];
/** OpenID Connect Core §15.1 and SMART App Launch: each client can verify RS256. */
const rs256 = { id_token_signed_response_alg: "RS256" };

export const appOf = (id: string) => ({
  ...publicClient,
  client_id: id,
  grant_types: withRefresh,
  dpop_bound_access_tokens: true,
});

/** No refresh tokens: an unbound refresh token would let a thief read for a day. */
export const unboundAppOf = (id: string) => ({
  ...publicClient,
  ...rs256,
  client_id: id,
  grant_types: ["authorization_code"],
});

/** Its refresh tokens are worthless without the secret. */
export const secretAppOf = ({ id, secret }: SecretApp) => ({
  ...app,
  ...rs256,
  client_id: id,
  client_secret: secret,
  token_endpoint_auth_method: "client_secret_basic",
  grant_types: withRefresh,
});

/**
 * A client of the registry: a machine (`client_credentials`), and an app that proves itself with the same key. The
 * registry says how its tokens are bound, so that the gateway accepts them.
 */
export const registeredAppOf = (id: string, { jwks, tokensBoundTo }: KeyedClient) => ({
  ...app,
  ...rs256,
  client_id: id,
  jwks,
  token_endpoint_auth_method: "private_key_jwt",
  grant_types: [...withRefresh, "client_credentials"],
  dpop_bound_access_tokens: tokensBoundTo === "key",
  tls_client_certificate_bound_access_tokens: tokensBoundTo === "certificate",
});

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/** No refresh tokens: an operator signs in again. */
export const operatorsApp = {
  ...publicClient,
  client_id: operatorsClient,
  redirect_uris: hosts.map((host) => `${host}/callback`),
  grant_types: ["authorization_code", deviceGrant],
  tls_client_certificate_bound_access_tokens: true,
};

/** The console's pages at the operators' door. */
export const consoleApp = (door: string) => ({
  ...publicClient,
  application_type: "web",
  client_id: consoleClient,
  redirect_uris: [`${door}/console/signed-in`],
  post_logout_redirect_uris: [`${door}/console/signed-out`],
  grant_types: ["authorization_code"],
  dpop_bound_access_tokens: true,
});

/** The console's look-up of patients, in the officer's browser. */
export const privacyDeskApp = (door: string) => ({
  ...publicClient,
  application_type: "web",
  client_id: privacyDeskClient,
  redirect_uris: [`${door}/console/patients/return`],
  grant_types: ["authorization_code"],
  dpop_bound_access_tokens: true,
});

/** The clients whose tokens are for the operators' door. */
export const forOperators: ReadonlySet<string> = new Set([operatorsClient, consoleClient]);
