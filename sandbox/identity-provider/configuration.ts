import type { JWK } from "jose";
import { errors, interactionPolicy, type Client, type Context, type SignedIn } from "oidc-provider";
import type { KeyedClient } from "../runtime/runtime.ts";
import { asksForTwoFactors, assurance } from "./assurance.ts";
import {
  appOf,
  consoleApp,
  forOperators,
  isOnThisMachine,
  operatorsApp,
  privacyDeskApp,
  registeredAppOf,
  secretAppOf,
  unboundAppOf,
  type SecretApp,
} from "./clients.ts";
import type { ConsentFiler } from "./consent/consent-filer.ts";
import { assertionAlgorithms, authMethods } from "./endpoints.ts";
import { grantSeconds, type Launches } from "./launches.ts";
import { deviceCodePage, deviceConfirmPage, endSessionPage, messagePage } from "./pages.ts";
import { certificateOfRequest, operatorScope } from "./operators.ts";
import { privacyDesk, privacyDeskClient } from "./privacy-desk-entry.ts";
import type { Account, AppUser, Person } from "./people.ts";
import { providerStores } from "./provider-store.ts";
import {
  accessTokenClaims,
  appScopes,
  machineScopes,
  publishedScopes,
  signInClaims,
  signInOf,
} from "./smart.ts";

export interface ProviderSetting {
  readonly iss: string;
  /** FHIR base: the only audience of access tokens for apps. */
  readonly audience: string;
  /** Signs every access token, and the ID tokens of clients that take ES256. */
  readonly key: JWK;
  /** Signs ID tokens (RS256). The registry does not have it, so it signs no access token. */
  readonly idTokenKey: JWK;
  /** 32 bytes in base64url each. */
  readonly secrets: { readonly cookies: string; readonly dpopNonce: string };
  readonly people: readonly Person[];
  readonly clinicians: readonly AppUser[];
  readonly launches: Launches;
  /** Ids of the public clients: apps without a secret, on this machine. */
  readonly clients: readonly string[];
  /** Ids of the public clients that cannot bind a token to a key: any holder of such a token can use it. */
  readonly unboundClients: readonly string[];
  readonly secretClients: readonly SecretApp[];
  /** A client with keys whose entry in the registry names this provider as its issuer. */
  readonly registered: (id: string) => Promise<KeyedClient | undefined>;
  readonly operators: OperatorsSetting;
  /** Files what a person chooses on the consent page. */
  readonly consents: ConsentFiler;
}

export interface OperatorsSetting {
  /** The operators' API: the only audience of access tokens for operators. */
  readonly audience: string;
  readonly accounts: readonly Account[];
}

const accessTokenSeconds = 300;
const assertionSecondsMax = 300;
const hour = 3_600;

/** The configuration of oidc-provider; every missing setting has its default. */
export function configuration(setting: ProviderSetting): Readonly<Record<string, unknown>> {
  const { audience, secrets, launches, operators } = setting;
  const patientsOf = new Map(setting.people.map(({ login, patient }) => [login, patient]));
  const byLogin = new Map([...setting.people, ...setting.clinicians].map((user) => [user.login, user]));
  const stores = providerStores();
  const operatorLogins = new Set(operators.accounts.map(({ login }) => login));
  const cookie = { httpOnly: true, sameSite: "lax", signed: true, secure: true };
  return {
    adapter: (kind: string) => (kind === "Client" ? registeredClients(setting) : stores(kind)),
    jwks: { keys: [setting.key, setting.idTokenKey] },
    clients: [
      ...setting.clients.map(appOf),
      ...setting.unboundClients.map(unboundAppOf),
      ...setting.secretClients.map(secretAppOf),
      operatorsApp,
      consoleApp(operators.audience),
      privacyDeskApp(operators.audience),
    ],
    clientDefaults: {
      id_token_signed_response_alg: "ES256",
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
    clientAuthMethods: [...authMethods],
    enabledJWA: {
      idTokenSigningAlgValues: ["ES256", "RS256"],
      clientAuthSigningAlgValues: [...assertionAlgorithms],
      dPoPSigningAlgValues: ["ES256", "PS256", "Ed25519", "EdDSA"],
    },
    assertJwtClientAuthClaimsAndHeader: (_: Context, { exp }: { readonly exp: number }) => {
      // SMART App Launch 2.2, "Asymmetric (public key) Client Authentication"
      if (exp - Math.floor(Date.now() / 1000) > assertionSecondsMax)
        throw new errors.InvalidClientAuth("the client_assertion ends more than five minutes from now");
    },
    pkce: { required: () => true },
    responseTypes: ["code"],
    scopes: [...new Set([...publishedScopes, operatorScope, ...privacyDesk.scopes])],
    acrValues: Object.values(assurance).map(({ acr }) => acr),
    claims: { openid: ["sub", "acr", "amr", "auth_time"], fhirUser: ["fhirUser"] },
    conformIdTokenClaims: false,
    extraParams: { aud: onlyThisAudience(audience), launch: onlyOpenLaunch(launches) }, // of SMART apps
    cookies: { keys: [secrets.cookies], long: cookie, short: cookie },
    interactions: {
      policy: policy(launches),
      url: (_: Context, { uid }: { readonly uid: string }) => `/interaction/${uid}`,
    },
    // A patient belongs to one grant, so each sign-in at an app has a grant of its own.
    loadExistingGrant: ({ oidc }: Context) => {
      const client = oidc?.client?.clientId ?? "";
      const id =
        oidc?.result?.consent?.grantId ??
        (isOfConsole(client) ? oidc?.session?.grantIdFor(client) : undefined);
      return id === undefined ? undefined : oidc?.provider.Grant.find(id);
    },
    findAccount: (_: Context, login: string) => {
      const user = byLogin.get(login);
      if (user === undefined && !operatorLogins.has(login)) return undefined;
      return {
        accountId: login,
        claims: async () => ({ sub: login, ...(user && { fhirUser: user.fhirUser }) }),
      };
    },
    extraTokenClaims: (context: Context) => {
      const login = context.oidc?.entities.Account?.accountId ?? "";
      const user = byLogin.get(login);
      // An operator's look-up has its purpose. A patient's token of this client has none, and is refused.
      if (context.oidc?.client?.clientId === privacyDeskClient)
        return {
          ...signInClaims(context),
          ...(operatorLogins.has(login) && { purpose_of_use: privacyDesk.purpose }),
        };
      const forFhir = !forOperators.has(context.oidc?.client?.clientId ?? "");
      if (user === undefined || !forFhir) return signInClaims(context);
      const patient = launches.patientOf(signInOf(context)?.grantId) ?? patientsOf.get(login);
      return accessTokenClaims(context, user, patient);
    },
    issueRefreshToken: (_: Context, client: Client, { scopes }: SignedIn) =>
      client.grantTypeAllowed("refresh_token") &&
      (scopes.has("offline_access") || scopes.has("online_access")),
    rotateRefreshToken: true,
    ttl: {
      AccessToken: accessTokenSeconds,
      AuthorizationCode: 60,
      ClientCredentials: accessTokenSeconds,
      DeviceCode: 600,
      IdToken: accessTokenSeconds,
      Interaction: 600,
      Session: 8 * hour,
      Grant: grantSeconds,
      RefreshToken: 24 * hour,
    },
    clientBasedCORS: (_: Context, origin: string) => isOnThisMachine(origin),
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
    clientCredentials: { enabled: true },
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
      getResourceServerInfo(context: Context, resource: string, client: Client) {
        const audience = audienceOf(client);
        if (resource !== audience) throw new errors.InvalidTarget("not a place that this client may ask for");
        const scopes = () => {
          if (audience === operatorsDoor) return operatorScope;
          const { params } = context.oidc ?? {};
          if (params?.["grant_type"] === "client_credentials") return machineScopes(params["scope"]);
          if (client.clientId === privacyDeskClient) return privacyDesk.scopes.join(" ");
          // oidc-provider takes from these what the code or the refresh token has
          return appScopes(signInOf(context)?.scopes ?? params?.["scope"]?.split(" ") ?? []).join(" ");
        };
        return {
          scope: scopes(),
          audience,
          accessTokenTTL: accessTokenSeconds,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        };
      },
    },
  };
}

const isOfConsole = (client: string) => forOperators.has(client) || client === privacyDeskClient;

/** The clients of the registry, as oidc-provider looks for a client that is not in its configuration. */
const registeredClients = ({ registered }: ProviderSetting) => ({
  find: async (id: string) => {
    const client = await registered(id);
    return client && registeredAppOf(id, client);
  },
});

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

/** A launch that is unknown, used or of another app leads to no sign-in. */
const onlyOpenLaunch = (launches: Launches) => (_: Context, id: string | undefined, client: Client) => {
  if (id !== undefined && launches.get(id)?.client !== client.clientId)
    throw new errors.InvalidRequest("launch is not a launch of this app, or has ended");
};

/**
 * A request for two factors is always answered with a new sign-in: an earlier two-factor session does not
 * count. The base policy handles `max_age`. The session of another user does not serve a launch.
 */
function policy(launches: Launches) {
  const base = interactionPolicy.base();
  const stepUp = ({ oidc }: Context) =>
    asksForTwoFactors(oidc?.params ?? {}) && oidc?.result?.login?.acr !== assurance.twoFactors.acr;
  const ofAnotherUser = ({ oidc }: Context) => {
    const login = launches.get(oidc?.params["launch"])?.login;
    return login !== undefined && oidc?.session?.accountId !== undefined && oidc.session.accountId !== login;
  };
  const { checks } = base.get("login");
  checks.add(new interactionPolicy.Check("two_factors", "two factors are asked for", stepUp));
  checks.add(new interactionPolicy.Check("launch", "the app was launched by another user", ofAnotherUser));
  return base;
}
