import type { Hono } from "hono";
import { problem } from "#admin/answer";
import type { Operator } from "#admin/operator";
import { assetAnswer } from "./asset-answer.ts";
import { dataHeaders, htmlAnswer, pageHeaders, redirectAnswer } from "./answers.ts";
import { liveAnswer } from "./live.tsx";
import { lookNow } from "./now.ts";
import { addOperations } from "#console/operations/operations";
import { MissingPage } from "./pages/messages.tsx";
import { type NowLinks, NowPage } from "./pages/now.tsx";
import { consolePages, mayOpen } from "./console-page.ts";
import { PageHandlers } from "./page-handlers.ts";
import type { ConsolePorts } from "./ports.ts";
import { LogRates } from "./rates.ts";
import { SessionSeal } from "./session.ts";
import { SignInPages } from "./sign-in.tsx";
import { admitVisit } from "./visit.ts";

/** Adds the operators' pages below `/console` to the operators' worker. Hono's context ends here. */
export function addConsole(app: Hono, ports: ConsolePorts): void {
  const seal = new SessionSeal(ports.sealingKeys);
  const handlers = new PageHandlers(ports, seal);
  const signIn = new SignInPages(ports, seal);
  const rates = new LogRates();
  const { places, admin } = ports;

  app.get("/console/assets/:name", ({ req }) => assetAnswer(req.param("name"), admin.newId()));
  app.get(
    "/console/sign-in",
    handlers.unproven((request, id) => signIn.show(request, id)),
  );
  app.get(
    "/console/sign-in/begin",
    handlers.unproven((request, id) => signIn.begin(request, id)),
  );
  app.get(
    "/console/signed-in",
    handlers.unproven((request, id) => signIn.finish(request, id)),
  );
  app.get(
    "/console/signed-out",
    handlers.unproven(async (_, id) => signIn.ended(id)),
  );
  app.post(
    "/console/sign-out",
    handlers.step(consolePages.now, async (visit) => signIn.end(visit)),
  );

  app.get(
    "/console",
    handlers.show(consolePages.now, async ({ operator }) => ({
      content: NowPage({ report: await lookNow(ports, rates), links: linksFor(operator) }),
    })),
  );
  app.get(
    "/console/now/live",
    handlers.proven(consolePages.now, async ({ request, id, operator }) =>
      liveAnswer(
        request,
        dataHeaders(id),
        ports,
        rates,
        linksFor(operator),
        async () => (await admitVisit(request, id, ports, seal)).ok,
      ),
    ),
  );
  app.get(
    "/console/",
    handlers.unproven(async (_, id) => redirectAnswer("/console", pageHeaders(id, places))),
  );
  addOperations(app, ports, handlers);
  app.get(
    "/console/*",
    handlers.unproven(async (_, id) => htmlAnswer(MissingPage(), 404, pageHeaders(id, places))),
  );
  app.all("/console/*", () => problem(admin.newId(), { status: 405, title: "Method Not Allowed" }));
}

/** The page Now leads to the pages that the operator may open. */
const linksFor = (operator: Operator): NowLinks => ({
  registry: mayOpen(consolePages.registry, operator),
  approvals: mayOpen(consolePages.approvals, operator),
  events: mayOpen(consolePages.events, operator),
});
