import { Provider, type Context, type Middleware } from "oidc-provider";
import { Attempts } from "./attempts.ts";
import { configuration, type ProviderSetting } from "./configuration.ts";
import { Doorkeeper, type Person } from "./people.ts";
import { styleSource } from "./pages.ts";
import { signInPages } from "./sign-in.ts";
import { launchContext } from "./smart.ts";

/**
 * An OpenID provider for SMART apps of patients: authorization code with PKCE (S256), tokens bound to the
 * app's key by DPoP (RFC 9449), RFC 9068 access tokens for one FHIR base, refresh tokens that rotate, and a
 * second factor on request. Operators sign in here as well: their tokens are for the operators' API, and
 * bound to their certificate (RFC 8705).
 */
export function identityProvider(setting: ProviderSetting, say: (line: string) => void): Provider {
  const provider = new Provider(setting.iss, configuration(setting));
  const people = new Map(setting.people.map((person) => [person.login, person]));
  provider.use(onlyByItsName(new URL(setting.iss).host, new URL(setting.operators.audience).origin));
  provider.use(askBeforeOfflineAccess);
  provider.use(async (context, next) => {
    await next();
    tellLaunchContext(context, people);
  });
  provider.use(
    signInPages({
      provider,
      issuer: setting.iss,
      doorkeeper: new Doorkeeper([...setting.people, ...setting.operators.accounts]),
      attempts: new Attempts(),
      people,
      consents: setting.consents,
    }),
  );
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
    if (context.host === host) return next();
    context.status = 421;
    context.body = "";
  };
}

/**
 * OpenID Connect Core §11 drops `offline_access` without `prompt=consent`. SMART apps do not send that
 * parameter; every person is asked here anyway.
 */
const askBeforeOfflineAccess: Middleware = async (context, next) => {
  const { scope, prompt } = context.query;
  if (
    context.path === "/auth" &&
    prompt === undefined &&
    typeof scope === "string" &&
    scope.split(" ").includes("offline_access")
  )
    context.query = { ...context.query, prompt: "consent" };
  await next();
};

function tellLaunchContext(context: Context, people: ReadonlyMap<string, Person>): void {
  const { route, entities } = context.oidc ?? {};
  const person = people.get(entities?.Account?.accountId ?? "");
  const { body } = context;
  if (route !== "token" || context.status !== 200 || person === undefined || typeof body !== "object") return;
  context.body = { ...body, ...launchContext(person, entities?.AccessToken?.scope ?? "") };
}
