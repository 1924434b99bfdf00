import type { JWK } from "jose";
import { errors, interactionPolicy, type Client, type Context } from "oidc-provider";
import { asksForTwoFactors, assurance } from "./assurance.ts";
import type { ConsentFiler } from "./consent/consent-filer.ts";
import { deviceCodePage, deviceConfirmPage, endSessionPage, messagePage } from "./pages.ts";
import { certificateOfRequest, consoleClient, operatorsClient, operatorScope } from "./operators.ts";
import { privacyDesk, privacyDeskClient } from "./privacy-desk-entry.ts";
import type { Account, Person } from "./people.ts";
import { providerStores } from "./provider-store.ts";
import { accessTokenClaims, fhirScopes, launchScopes, signInClaims } from "./smart.ts";

export interface ProviderSetting {
  readonly iss: string;
  /** FHIR base: the only audience of access tokens for apps. */
  readonly audience: string;
  /** Signs every token. */
  readonly key: JWK;
  /** 32 bytes in base64url each. */
  readonly secrets: { readonly cookies: string; readonly dpopNonce: string };
  readonly people: readonly Person[];
  /** Ids of the public clients: apps without a secret, on this machine. */
  readonly clients: readonly string[];
  /** Ids of the public clients that cannot bind a token to a key: any holder of such a token can use it. */
  readonly unboundClients: readonly string[];
  readonly operators: OperatorsSetting;
  /** Files what a person chooses on the consent page. */
  readonly consents: ConsentFiler;
}

export interface OperatorsSetting {
  /** The operators' API: the only audience of access tokens for operators. */
  readonly audience: string;
  readonly accounts: readonly Account[];
}

// RFC 8252 §7.3: an app on this machine listens on loopback, on a temporary port. oidc-provider accepts any
// port there.
const redirects = ["http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"];
const accessTokenSeconds = 300;
const hour = 3_600;

/** The configuration of oidc-provider; every missing setting has its default. */
export function configuration(setting: ProviderSetting): Readonly<Record<string, unknown>> {
  const { audience, key, secrets, people, clients, unboundClients, operators } = setting;
  const byLogin = new Map(people.map((person) => [person.login, person]));
  const operatorLogins = new Set(operators.accounts.map(({ login }) => login));
  const cookie = { httpOnly: true, sameSite: "lax", signed: true, secure: true };
  return {
    adapter: providerStores(),
    jwks: { keys: [key] },
    clients: [
      ...clients.map(appOf),
      ...unboundClients.map(unboundAppOf),
      operatorsApp,
      consoleApp(operators.audience),
      privacyDeskApp(operators.audience),
    ],
    clientDefaults: {
      id_token_signed_response_alg: "ES256",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
    clientAuthMethods: ["none"],
    enabledJWA: {
      idTokenSigningAlgValues: ["ES256"],
      dPoPSigningAlgValues: ["ES256", "PS256", "Ed25519", "EdDSA"],
    },
    responseTypes: ["code"],
    scopes: [...launchScopes, "patient/*.rs", operatorScope, ...privacyDesk.scopes],
    acrValues: Object.values(assurance).map(({ acr }) => acr),
    claims: { openid: ["sub", "acr", "amr", "auth_time"], fhirUser: ["fhirUser"] },
    conformIdTokenClaims: false,
    extraParams: { aud: onlyThisAudience(audience) }, // a parameter of SMART apps
    cookies: { keys: [secrets.cookies], long: cookie, short: cookie },
    interactions: {
      policy: policy(),
      url: (_: Context, { uid }: { readonly uid: string }) => `/interaction/${uid}`,
    },
    findAccount: (_: Context, login: string) => {
      const person = byLogin.get(login);
      if (person === undefined && !operatorLogins.has(login)) return undefined;
      return {
        accountId: login,
        claims: async () => ({ sub: login, ...(person && { fhirUser: person.fhirUser }) }),
      };
    },
    extraTokenClaims: (context: Context) => {
      const login = context.oidc?.entities.Account?.accountId ?? "";
      const person = byLogin.get(login);
      // An operator's look-up has its purpose. A patient's token of this client has none, and is refused.
      if (context.oidc?.client?.clientId === privacyDeskClient)
        return {
          ...signInClaims(context),
          ...(operatorLogins.has(login) && { purpose_of_use: privacyDesk.purpose }),
        };
      const forFhir = !forOperators.has(context.oidc?.client?.clientId ?? "");
      return person && forFhir ? accessTokenClaims(context, person) : signInClaims(context);
    },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: 60,
      DeviceCode: 600,
      IdToken: accessTokenSeconds,
      Interaction: 600,
      Session: 8 * hour,
      Grant: 720 * hour,
      RefreshToken: 24 * hour,
    },
    clientBasedCORS: (_: Context, origin: string) =>
      redirects.some((uri) => new URL(uri).hostname === URL.parse(origin)?.hostname),
    renderError: (
      context: Context,
      { error, error_description: why = "" }: { readonly error: string; readonly error_description?: string },
    ) => {
      context.type = "html";
      context.body = messagePage("This cannot go on", `${error}: ${why}`);
    },
    features: features(audience, operators.audience, secrets.dpopNonce),
  };
}

function features(
  fhirBase: string,
  operatorsDoor: string,
  nonceSecret: string,
): Readonly<Record<string, unknown>> {
  const audienceOf = ({ clientId }: Client) => (forOperators.has(clientId) ? operatorsDoor : fhirBase);
  return {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context: Context, form: string) => {
        context.body = endSessionPage(form);
      },
      postLogoutSuccessSource: (context: Context) => {
        context.body = messagePage("Signed out", "You are signed out here.");
      },
    },
    dPoP: { enabled: true, nonceSecret: Buffer.from(nonceSecret, "base64url"), requireNonce: () => true },
    // RFC 8628: operators at machines without a browser.
    deviceFlow: {
      enabled: true,
      userCodeInputSource: (context: Context, form: string, _shown: unknown, fault?: object) => {
        context.body = deviceCodePage(form, fault !== undefined);
      },
      userCodeConfirmSource: (
        context: Context,
        form: string,
        { clientId }: Client,
        _device: unknown,
        code: string,
      ) => {
        context.body = deviceConfirmPage(form, clientId, code);
      },
      successSource: (context: Context) => {
        context.body = messagePage("Signed in", "You are signed in at the other machine. Close this window.");
      },
    },
    revocation: {
      enabled: true,
      allowedPolicy: (_: Context, client: Client, token: { readonly clientId: string }) =>
        client.clientId === token.clientId,
    },
    mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate: certificateOfRequest },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_: Context, client: Client) => audienceOf(client),
      getResourceServerInfo(_: Context, resource: string, client: Client) {
        const audience = audienceOf(client);
        if (resource !== audience) throw new errors.InvalidTarget("not a place that this client may ask for");
        return {
          scope:
            audience === operatorsDoor
              ? operatorScope
              : client.clientId === privacyDeskClient
                ? privacyDesk.scopes.join(" ")
                : fhirScopes.join(" "),
          audience,
          accessTokenTTL: accessTokenSeconds,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        };
      },
    },
  };
}

const publicClient = {
  application_type: "native",
  token_endpoint_auth_method: "none",
  response_types: ["code"],
  response_modes: ["query"],
  redirect_uris: redirects,
};

const appOf = (id: string) => ({
  ...publicClient,
  client_id: id,
  grant_types: ["authorization_code", "refresh_token"],
  dpop_bound_access_tokens: true,
});

/** No refresh tokens: an unbound refresh token would let a thief read for a day. */
const unboundAppOf = (id: string) => ({
  ...publicClient,
  client_id: id,
  grant_types: ["authorization_code"],
});

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/** No refresh tokens: an operator signs in again. */
const operatorsApp = {
  ...publicClient,
  client_id: operatorsClient,
  grant_types: ["authorization_code", deviceGrant],
  tls_client_certificate_bound_access_tokens: true,
};

/** The console's pages at the operators' door. */
const consoleApp = (door: string) => ({
  ...publicClient,
  application_type: "web",
  client_id: consoleClient,
  redirect_uris: [`${door}/console/signed-in`],
  post_logout_redirect_uris: [`${door}/console/signed-out`],
  grant_types: ["authorization_code"],
  dpop_bound_access_tokens: true,
});

/** The console's look-up of patients, in the officer's browser. */
const privacyDeskApp = (door: string) => ({
  ...publicClient,
  application_type: "web",
  client_id: privacyDeskClient,
  redirect_uris: [`${door}/console/patients/return`],
  grant_types: ["authorization_code"],
  dpop_bound_access_tokens: true,
});

/** The clients whose tokens are for the operators' door. */
const forOperators: ReadonlySet<string> = new Set([operatorsClient, consoleClient]);

/**
 * SMART App Launch 2 §2.0.9: an app names the FHIR base in `aud`. A fake server would try to get a token for
 * the real server.
 */
function onlyThisAudience(audience: string) {
  return (_: Context, aud: string | undefined) => {
    if (aud !== undefined && aud.replace(/\/$/u, "") !== audience)
      throw new errors.InvalidTarget("aud is not a FHIR base of this server");
  };
}

/**
 * A request for two factors is always answered with a new sign-in: an earlier two-factor session does not
 * count. The base policy handles `max_age`.
 */
function policy() {
  const base = interactionPolicy.base();
  const stepUp = ({ oidc }: Context) =>
    asksForTwoFactors(oidc?.params ?? {}) && oidc?.result?.login?.acr !== assurance.twoFactors.acr;
  base
    .get("login")
    .checks.add(new interactionPolicy.Check("two_factors", "two factors are asked for", stepUp));
  return base;
}
