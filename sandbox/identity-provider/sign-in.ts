import { errors, type Context, type Interaction, type Middleware, type Provider } from "oidc-provider";
import { asksForTwoFactors, assurance } from "./assurance.ts";
import type { Attempts } from "./attempts.ts";
import { choicesIn } from "./consent/choices.ts";
import type { ConsentFiler } from "./consent/consent-filer.ts";
import { ownForm, show } from "./forms.ts";
import type { Launches } from "./launches.ts";
import { consentPage, messagePage, signInPage, styleSource } from "./pages.ts";
import type { Account, AppUser, Doorkeeper, Person } from "./people.ts";
import { consoleClient, operatorScope } from "./operators.ts";
import { privacyDesk, privacyDeskClient } from "./privacy-desk-entry.ts";
import { appScopes } from "./smart.ts";

export interface SignInPorts {
  readonly provider: Provider;
  readonly issuer: string;
  readonly doorkeeper: Doorkeeper;
  readonly attempts: Attempts;
  /** The people with records of their own, by login. */
  readonly people: ReadonlyMap<string, Person>;
  /** Everyone who signs in to apps, by login. */
  readonly users: ReadonlyMap<string, AppUser>;
  readonly launches: Launches;
  readonly consents: ConsentFiler;
}

/** The pages for sign-in and consent, at `/interaction/…`. */
export function signInPages(ports: SignInPorts): Middleware {
  return async (context, next) => {
    if (!context.path.startsWith("/interaction/")) return next();
    const interaction = await ports.provider
      .interactionDetails(context.req, context.res)
      .catch(unlessItEnded);
    if (interaction === undefined)
      return show(context, 400, messagePage("Too late", "This sign-in has ended. Begin again at the app."));
    allowTheWayBack(context, interaction);
    if (context.method === "GET") return show(context, 200, firstPage(ports, interaction));
    const form = await ownForm(context, ports.issuer);
    if (form === undefined)
      return show(context, 400, messagePage("Not understood", "Send the form of the sign-in page."));
    const decision = form.get("decision");
    if (decision === "deny") return goOn(ports, context, { error: "access_denied" }, false);
    // a missing decision is no consent
    if (decision !== "allow") return show(context, 400, firstPage(ports, interaction));
    return interaction.prompt.name === "consent"
      ? agree(ports, context, interaction, form)
      : signIn(ports, context, interaction, form);
  };
}

function unlessItEnded(fault: unknown): undefined {
  if (!(fault instanceof errors.SessionNotFound)) throw fault;
}

/** The names of the sandbox's apps, as people know them. An app that is not here appears by its id. */
const appNames: Readonly<Record<string, string>> = {
  "patient-web": "Open Chart",
  "single-page-app": "My record",
  "confidential-app": "Ward round",
  [consoleClient]: "The operators' console",
  [privacyDeskClient]: "The console's look-up of patients",
};
const appName = (id: string): string => (Object.hasOwn(appNames, id) ? (appNames[id] ?? id) : id);

const ofOperators: ReadonlySet<string> = new Set([operatorScope, ...privacyDesk.scopes]);

function firstPage(ports: SignInPorts, interaction: Interaction, problem?: string): string {
  const { prompt, params, session } = interaction;
  if (prompt.name !== "consent") return signInPage({ withCode: asksForTwoFactors(params) });
  const asked = (params["scope"] ?? "").split(" ");
  const ofApps = new Set(appScopes(asked));
  const scopes = asked.filter((scope) => ofApps.has(scope) || ofOperators.has(scope));
  const login = session?.accountId ?? "";
  const choices = ports.people.has(login) ? ports.consents.choicesOf(login) : undefined;
  return consentPage({
    client: appName(params["client_id"] ?? ""),
    login,
    scopes,
    choices,
    patient: ports.launches.get(params["launch"])?.patient,
    ...(problem !== undefined && { problem }),
  });
}

/** The account of a form's credentials, or the reason for its sender. The status of the answer is set then. */
export function admitted(
  { attempts, doorkeeper }: Pick<SignInPorts, "attempts" | "doorkeeper">,
  context: Context,
  form: URLSearchParams,
  withCode: boolean,
): Account | string {
  const said = {
    login: form.get("login") ?? "",
    password: form.get("password") ?? "",
    code: withCode ? (form.get("code") ?? "") : undefined,
  };
  const wait = attempts.begin(said.login, Date.now());
  if (wait > 0) {
    context.set("Retry-After", String(wait));
    context.status = 429;
    return `Too many attempts. Try again in ${wait} seconds.`;
  }
  const account = doorkeeper.admit(said, Date.now());
  if (account !== undefined) {
    attempts.succeeded(account.login);
    return account;
  }
  context.status = 403;
  return `The login${withCode ? "," : " or"} the password${withCode ? " or the code" : ""} is wrong. Try again.`;
}

async function signIn(
  ports: SignInPorts,
  context: Context,
  { params, session }: Interaction,
  form: URLSearchParams,
) {
  const withCode = asksForTwoFactors(params);
  const person = admitted(ports, context, form, withCode);
  if (typeof person === "string")
    return show(context, context.status, signInPage({ withCode, problem: person }));
  const launch = ports.launches.get(params["launch"]);
  if (launch !== undefined && launch.login !== person.login)
    return show(
      context,
      403,
      signInPage({ withCode, problem: "A different person launched the app. Sign in as that person." }),
    );
  // A session of a different person is not taken over: that person's consent would pass for this person's.
  if (session?.accountId !== undefined && session.accountId !== person.login)
    return show(
      context,
      403,
      signInPage({ withCode, problem: "Somebody else is signed in in this browser. Close it first." }),
    );
  const { acr, amr } = withCode ? assurance.twoFactors : assurance.password;
  const login = { accountId: person.login, acr, amr, ts: Math.floor(Date.now() / 1000), remember: false };
  return goOn(ports, context, { login }, false);
}

async function agree(ports: SignInPorts, context: Context, interaction: Interaction, form: URLSearchParams) {
  const {
    prompt: { details },
    params,
    session,
    grantId,
  } = interaction;
  // before the app gets its code: a choice that is not filed must not look as if it counted
  const person = ports.people.get(session?.accountId ?? "");
  if (person !== undefined && !(await ports.consents.file(person, choicesIn(form), new Date())))
    return show(context, 503, firstPage(ports, interaction, "Your choice could not be filed. Try again."));
  const { launch } = params;
  if (launch !== undefined && ports.launches.get(launch)?.login !== session?.accountId)
    return show(context, 400, messagePage("Too late", "This launch has ended. Launch the app again."));
  const { Grant } = ports.provider;
  const earlier = grantId === undefined ? undefined : await Grant.find(grantId);
  const grant =
    earlier ?? new Grant({ accountId: session?.accountId ?? "", clientId: params["client_id"] ?? "" });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {}))
    grant.addResourceScope(resource, scopes.join(" "));
  const saved = await grant.save();
  if (launch !== undefined) ports.launches.use(launch, saved);
  return goOn(ports, context, { consent: { grantId: saved } }, true);
}

async function goOn(
  { provider }: SignInPorts,
  context: Context,
  result: Readonly<Record<string, unknown>>,
  keepsLogin: boolean,
) {
  const address = await provider.interactionResult(context.req, context.res, result, {
    mergeWithLastSubmission: keepsLogin,
  });
  context.status = 303;
  context.redirect(address);
}

/**
 * The answer to a form leads back to the app in the end, and browsers check `form-action` at every redirect.
 */
function allowTheWayBack(context: Context, { params }: Interaction): void {
  const app = URL.parse(params["redirect_uri"] ?? "")?.origin ?? "";
  context.set(
    "Content-Security-Policy",
    `default-src 'none'; style-src ${styleSource}; form-action 'self' ${app}; frame-ancestors 'none'; base-uri 'none'`,
  );
}
