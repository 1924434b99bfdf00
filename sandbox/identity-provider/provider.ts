import { Provider, type Context, type Middleware } from "oidc-provider";
import { Attempts } from "./attempts.ts";
import { configuration, type ProviderSetting } from "./configuration.ts";
import { launchPage } from "./launch-page.ts";
import { Doorkeeper, type AppUser } from "./people.ts";
import { readForm } from "./forms.ts";
import { styleSource } from "./pages.ts";
import { signInPages } from "./sign-in.ts";
import { launchContext, signInOf } from "./smart.ts";

/**
 * An OpenID provider for SMART apps and machines: authorization code with PKCE (S256), `client_credentials` with
 * `private_key_jwt`, launches of apps for a patient, tokens bound to the app's key by DPoP (RFC 9449), RFC 9068
 * access tokens for one FHIR base, refresh tokens that rotate, and a second factor on request. Operators sign in
 * here as well: their tokens are for the operators' API, and bound to their certificate (RFC 8705).
 */
export function identityProvider(setting: ProviderSetting, say: (line: string) => void): Provider {
  const provider = new Provider(setting.iss, configuration(setting));
  const people = new Map(setting.people.map((person) => [person.login, person]));
  const users = new Map([...setting.people, ...setting.clinicians].map((user) => [user.login, user]));
  const { launches } = setting;
  provider.use(onlyByItsName(new URL(setting.iss).host, new URL(setting.operators.audience).origin));
  provider.use(askBeforeOfflineAccess);
  provider.use(async (context, next) => {
    await next();
    const user = users.get(context.oidc?.entities.Account?.accountId ?? "");
    const patient = launches.patientOf(signInOf(context)?.grantId) ?? people.get(user?.login ?? "")?.patient;
    if (user !== undefined) tellLaunchContext(context, user, patient);
  });
  const ports = {
    provider,
    issuer: setting.iss,
    fhir: setting.audience,
    doorkeeper: new Doorkeeper([...users.values(), ...setting.operators.accounts]),
    attempts: new Attempts(),
    people,
    users,
    launches,
    consents: setting.consents,
  };
  provider.use(launchPage(ports));
  provider.use(signInPages(ports));
  // The fault's name only: a message may quote a person's input.
  provider.on("server_error", (_context, fault) => say(`identity provider: ${fault.name}`));
  provider.on("error", (fault) => say(`identity provider: ${fault.name}`));
  return provider;
}

/**
 * Its addresses are built from the Host header: a forged header would lead people, and proofs, to a different
 * server.
 */
function onlyByItsName(host: string, operatorsDoor: string): Middleware {
  return async (context, next) => {
    // The end of a session leads back to the console, and browsers check `form-action` at every redirect.
    const targets = context.path === "/session/end" ? `'self' ${operatorsDoor}` : "'self'";
    context.set(
      "Content-Security-Policy",
      `default-src 'none'; script-src 'none'; style-src ${styleSource}; form-action ${targets}; frame-ancestors 'none'; base-uri 'none'`,
    );
    context.set("Referrer-Policy", "same-origin"); // no-referrer would make a form's Origin "null"
    context.set("X-Content-Type-Options", "nosniff");
    context.set("Cache-Control", "no-store");
    context.set("Pragma", "no-cache"); // SMART App Launch 2.2, "Obtain access token"
    if (context.host === host) return next();
    context.status = 421;
    context.body = "";
  };
}

/**
 * OpenID Connect Core §11 drops `offline_access` without `prompt=consent`. SMART apps do not send that
 * parameter; every person is asked here anyway. A request by POST (`authorize-post`) goes on as the same request by
 * GET.
 */
const askBeforeOfflineAccess: Middleware = async (context, next) => {
  if (context.path !== "/auth") return next();
  if (context.method === "POST") {
    const form = await readForm(context.req);
    context.status = form === undefined ? 400 : 303;
    if (form !== undefined) context.redirect(`/auth?${form.toString()}`);
    return;
  }
  const { scope, prompt } = context.query;
  if (prompt === undefined && typeof scope === "string" && scope.split(" ").includes("offline_access"))
    context.query = { ...context.query, prompt: "consent" };
  await next();
};

function tellLaunchContext(context: Context, user: AppUser, patient: string | undefined): void {
  const { route, entities } = context.oidc ?? {};
  const { body } = context;
  if (route !== "token" || context.status !== 200 || typeof body !== "object") return;
  context.body = { ...body, ...launchContext(user, patient, entities?.AccessToken?.scope ?? "") };
}
