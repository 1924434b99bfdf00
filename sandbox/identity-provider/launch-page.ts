import type { Middleware, Provider } from "oidc-provider";
import { isOnThisMachine } from "./clients.ts";
import { ownForm, show } from "./forms.ts";
import { launchAppPage, launchPatientPage, messagePage, styleSource } from "./pages.ts";
import { admitted, type SignInPorts } from "./sign-in.ts";

interface LaunchPorts extends SignInPorts {
  /** FHIR base, the `iss` of a launch. */
  readonly fhir: string;
  readonly provider: Provider;
}

const fhirId = /^[A-Za-z0-9.-]{1,64}$/u;

/**
 * The page of an EHR from which a user launches an app for a patient (SMART App Launch 2.2, "Launch App: EHR
 * Launch"), at `/launch`. A patient launches apps for their own record only.
 */
export function launchPage(ports: LaunchPorts): Middleware {
  return async (context, next) => {
    if (context.path !== "/launch") return next();
    const { client_id: client, launch_uri: address } = context.query;
    if (client === undefined && address === undefined) return show(context, 200, launchAppPage());
    const place = launchPlace(address);
    if (typeof client !== "string" || place === undefined || !(await ports.provider.Client.find(client)))
      return show(
        context,
        400,
        messagePage("Not an app", "Name a client of this provider, and a launch page on this machine."),
      );
    context.set(
      "Content-Security-Policy",
      `default-src 'none'; style-src ${styleSource}; form-action 'self' ${place.origin}; frame-ancestors 'none'; base-uri 'none'`,
    );
    const ask = (status: number, problem?: string) =>
      show(context, status, launchPatientPage(client, place.href, problem));
    if (context.method === "GET") return ask(200);
    const form = await ownForm(context, ports.issuer);
    if (form === undefined) return ask(400, "Send the form of this page.");
    const account = admitted(ports, context, form, false);
    if (typeof account === "string") return ask(context.status, account);
    const user = ports.users.get(account.login);
    const own = ports.people.get(account.login)?.patient;
    const patient = form.get("patient") ?? "";
    if (user === undefined || !fhirId.test(patient) || (own !== undefined && own !== patient))
      return ask(403, "You cannot launch an app for this patient.");
    place.searchParams.set("iss", ports.fhir);
    place.searchParams.set("launch", ports.launches.open({ client, login: user.login, patient }));
    context.status = 303;
    context.redirect(place.href);
  };
}

/** The launch page of an app on this machine: another address would get launches of the users here. */
function launchPlace(address: unknown): URL | undefined {
  const url = typeof address === "string" ? (URL.parse(address) ?? undefined) : undefined;
  return url?.protocol === "http:" && isOnThisMachine(url.origin) && url.username === "" ? url : undefined;
}
