import type { Hono } from "hono";
import { problem } from "#admin/answer";
import type { Operator } from "#admin/operator";
import { assetAnswer } from "./asset-answer.ts";
import { dataHeaders, htmlAnswer, pageHeaders, redirectAnswer } from "./answers.ts";
import { liveAnswer } from "./live.tsx";
import { lookNow } from "./now.ts";
import { addAlerts } from "./operations/alerts.ts";
import { addApprovals } from "./operations/approvals.ts";
import { addCases } from "./operations/cases.ts";
import { addChanges } from "./operations/changes.ts";
import { addDenials } from "./operations/denials.ts";
import { addExports } from "./operations/exports.ts";
import { addEvents } from "./operations/events.ts";
import { addReadingPages } from "./operations/reading-pages.ts";
import { addRegistryPages } from "./operations/registry-pages.ts";
import { MissingPage } from "./pages/messages.tsx";
import { PatientsReturnPage } from "./pages/patients.tsx";
import { type NowLinks, NowPage } from "./pages/now.tsx";
import { consolePages, mayOpen } from "./console-page.ts";
import { PageHandlers } from "./page-handlers.ts";
import type { ConsolePorts } from "./ports.ts";
import { plotRange } from "./traffic/timeline.ts";
import { lookAtTraffic } from "./traffic/report.ts";
import { SessionSeal } from "./session.ts";
import { SignInPages } from "./sign-in.tsx";
import { admitVisit } from "./visit.ts";

/** Adds the operators' pages below `/console` to the operators' worker. Hono's context ends here. */
export function addConsole(app: Hono, ports: ConsolePorts): void {
  const seal = new SessionSeal(ports.sealingKeys);
  const pages = new PageHandlers(app, ports, seal);
  const signIn = new SignInPages(ports, seal);
  const { places, admin } = ports;

  app.get("/console/assets/:name", ({ req }) => assetAnswer(req.param("name"), admin.newId()));
  pages.answerAnyone("/console/sign-in", (request, id) => signIn.show(request, id));
  pages.answerAnyone("/console/sign-in/begin", (request, id) => signIn.begin(request, id));
  pages.answerAnyone("/console/signed-in", (request, id) => signIn.finish(request, id));
  pages.answerAnyone("/console/signed-out", async (_, id) => signIn.ended(id));
  pages.step("/console/sign-out", consolePages.now, async (visit) => signIn.end(visit));

  pages.show("/console", consolePages.now, async ({ url, operator }) => {
    const range = plotRange(url.searchParams.get("range"));
    const [report, traffic] = await Promise.all([lookNow(ports), lookAtTraffic(ports, range)]);
    return { content: NowPage({ report, traffic, range, links: linksFor(operator) }) };
  });
  pages.answer("/console/now/live", consolePages.now, async ({ request, url, id }) => {
    const linksNow = async () => {
      const visit = await admitVisit(request, id, ports, seal);
      const isAllowed = visit.ok && mayOpen(consolePages.now, visit.value.operator);
      return isAllowed ? linksFor(visit.value.operator) : undefined;
    };
    const range = plotRange(url.searchParams.get("range"));
    return liveAnswer(request, dataHeaders(id), ports, range, linksNow);
  });
  pages.answerAnyone("/console/", async (_, id) => redirectAnswer("/console", pageHeaders(id, places)));
  for (const add of [
    addRegistryPages,
    addDenials,
    addChanges,
    addApprovals,
    addAlerts,
    addEvents,
    addCases,
    addExports,
    addReadingPages,
  ])
    add(ports, pages);
  // Without a session: the browser leaves a Strict cookie out of the issuer's redirect.
  app.get("/console/patients/return", () =>
    htmlAnswer(PatientsReturnPage(), 200, pageHeaders(admin.newId(), places)),
  );
  pages.answerAnyone("/console/*", async (_, id) => htmlAnswer(MissingPage(), 404, pageHeaders(id, places)));
  app.all("/console/*", () => problem(admin.newId(), { status: 405, title: "Method Not Allowed" }));
}

/** The page Now leads to the pages that the operator may open. */
const linksFor = (operator: Operator): NowLinks => ({
  registry: mayOpen(consolePages.registry, operator),
  approvals: mayOpen(consolePages.approvals, operator),
  alerts: mayOpen(consolePages.alerts, operator),
  events: mayOpen(consolePages.events, operator),
});
