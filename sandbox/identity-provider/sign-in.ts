import type { IncomingMessage } from "node:http";
import { errors, type Context, type Interaction, type Middleware, type Provider } from "oidc-provider";
import { asksForTwoFactors, assurance } from "./assurance.ts";
import type { Attempts } from "./attempts.ts";
import { choicesIn } from "./consent/choices.ts";
import type { ConsentFiler } from "./consent/consent-filer.ts";
import { consentPage, messagePage, signInPage, styleSource } from "./pages.ts";
import type { Doorkeeper, Person } from "./people.ts";
import { consoleClient, operatorScope } from "./operators.ts";
import { privacyDesk, privacyDeskClient } from "./privacy-desk-entry.ts";
import { fhirScopes } from "./smart.ts";

export interface SignInPorts {
  readonly provider: Provider;
  readonly issuer: string;
  readonly doorkeeper: Doorkeeper;
  readonly attempts: Attempts;
  /** The people with records of their own, by login. */
  readonly people: ReadonlyMap<string, Person>;
  readonly consents: ConsentFiler;
}

const bodyBytesMax = 4_096;

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
    // Cookies are SameSite=Lax already. Browsers also name the origin of a form from a different site.
    const origin = context.get("origin");
    const form =
      context.method === "POST" && (origin === "" || origin === ports.issuer)
        ? await readForm(context.req)
        : undefined;
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
  [consoleClient]: "The operators' console",
  [privacyDeskClient]: "The console's look-up of patients",
};
const appName = (id: string): string => (Object.hasOwn(appNames, id) ? (appNames[id] ?? id) : id);

const grantable: ReadonlySet<string> = new Set([...fhirScopes, operatorScope, ...privacyDesk.scopes]);

function firstPage(ports: SignInPorts, interaction: Interaction, problem?: string): string {
  const { prompt, params, session } = interaction;
  if (prompt.name !== "consent") return signInPage({ withCode: asksForTwoFactors(params) });
  const scopes = (params["scope"] ?? "").split(" ").filter((scope) => grantable.has(scope));
  const login = session?.accountId ?? "";
  const choices = ports.people.has(login) ? ports.consents.choicesOf(login) : undefined;
  return consentPage({
    client: appName(params["client_id"] ?? ""),
    login,
    scopes,
    choices,
    ...(problem !== undefined && { problem }),
  });
}

async function signIn(
  ports: SignInPorts,
  context: Context,
  { params, session }: Interaction,
  form: URLSearchParams,
) {
  const withCode = asksForTwoFactors(params);
  const said = {
    login: form.get("login") ?? "",
    password: form.get("password") ?? "",
    code: withCode ? (form.get("code") ?? "") : undefined,
  };
  const wait = ports.attempts.begin(said.login, Date.now());
  if (wait > 0) {
    context.set("Retry-After", String(wait));
    return show(
      context,
      429,
      signInPage({ withCode, problem: `Too many attempts. Try again in ${wait} seconds.` }),
    );
  }
  const person = ports.doorkeeper.admit(said, Date.now());
  if (person === undefined)
    return show(
      context,
      403,
      signInPage({
        withCode,
        problem: `The login${withCode ? "," : " or"} the password${withCode ? " or the code" : ""} is wrong. Try again.`,
      }),
    );
  ports.attempts.succeeded(person.login);
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
  const { Grant } = ports.provider;
  const earlier = grantId === undefined ? undefined : await Grant.find(grantId);
  const grant =
    earlier ?? new Grant({ accountId: session?.accountId ?? "", clientId: params["client_id"] ?? "" });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(details.missingResourceScopes ?? {}))
    grant.addResourceScope(resource, scopes.join(" "));
  return goOn(ports, context, { consent: { grantId: await grant.save() } }, true);
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

function show(context: Context, status: number, html: string): void {
  context.status = status;
  context.type = "html";
  context.body = html;
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

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (request.headers["content-type"]?.split(";")[0] !== "application/x-www-form-urlencoded")
    return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}
