import type { PageMaker } from "#console/page-maker";
import { MissingContent } from "#console/pages/messages";
import { AccessReviewPage } from "#console/pages/review";
import { ClientPage, RegistryPage } from "#console/pages/registry";
import { dataHeaders, jsonAnswer } from "#console/answers";
import { consolePages, mayOpen } from "#console/console-page";
import { SeesPage } from "#console/pages/sees";
import type { ConsolePorts } from "#console/ports";
import { clientIn, grantsOf } from "#console/registry-view";
import { decideOnGrant, reviewedDigests } from "#console/review-decision";
import type { ConsoleVisit } from "#console/visit";
import { lookAtClient } from "#console/traffic/report";
import { plotRange } from "#console/traffic/timeline";
import { whatItSees } from "#console/what-it-sees";
import { clientIdIn, ofRegistry } from "./parts.ts";

/** The pages that show the registry, and the access review. */
export function addRegistryPages(ports: ConsolePorts, { show, step }: PageMaker): void {
  const { admin, places } = ports;
  /** The denials in force, and the facts for the forms that make and lift denials. */
  const stepsOf = async ({ at, operator, session: { formToken } }: ConsoleVisit) => ({
    at,
    denials: await ports.denials().catch(() => undefined),
    formToken,
    once: admin.newId,
    mayRevoke: operator.roles.includes("revoker"),
  });
  show(
    "/console/registry",
    consolePages.registry,
    ofRegistry(ports, async (view, visit) => ({
      content: RegistryPage({ view, ...(await stepsOf(visit)) }),
    })),
  );
  show(
    "/console/registry/review",
    consolePages.registry,
    ofRegistry(ports, async (view, { session: { formToken } }) => ({
      content: AccessReviewPage({ view, places, formToken, digests: await reviewedDigests(view) }),
    })),
  );
  step("/console/registry/review/decide", consolePages.registry, async (visit, form) => {
    const { status, says } = await decideOnGrant(visit, form, admin);
    return jsonAnswer({ says }, status, dataHeaders(visit.id));
  });
  show(
    "/console/registry/clients/:id",
    consolePages.registry,
    ofRegistry(ports, async (view, visit) => {
      const client = clientIn(view, clientIdIn(visit.url));
      if (client === undefined) return { status: 404, content: MissingContent() };
      const range = plotRange(visit.url.searchParams.get("range"));
      const [known, steps, traffic] = await Promise.all([
        ports.ends().catch(() => []),
        stepsOf(visit),
        lookAtClient(ports, client.id, range),
      ]);
      const mayReadEvents = mayOpen(consolePages.events, visit.operator);
      const ends = new Map(known.map(({ name, ends: end }) => [name, end]));
      return { content: ClientPage({ view, client, ends, mayReadEvents, traffic, ...steps }) };
    }),
  );

  show(
    "/console/registry/clients/:id/sees",
    consolePages.registry,
    ofRegistry(ports, (view, { url }) => {
      const id = clientIdIn(url);
      const [purpose, origin] = [url.searchParams.get("purpose"), url.searchParams.get("origin")];
      const grant = grantsOf(view, id).find((each) => each.purpose === purpose && each.origin === origin);
      if (grant === undefined) return { status: 404, content: MissingContent() };
      const body = view.registry.policies?.find(({ name }) => name === grant.policy)?.body;
      return { content: SeesPage({ grant, seen: whatItSees(grant, body, admin.clock()) }) };
    }),
  );
}
