import type { Hono } from "hono";
import { problem } from "#admin/answer";
import type { Operator } from "#admin/operator";
import { TimelyBody } from "#entrypoint/timely-body";
import { assetAnswer } from "./asset-answer.ts";
import { dataHeaders, htmlAnswer, pageHeaders, redirectAnswer } from "./answers.ts";
import { readOwnForm } from "./form.ts";
import { liveAnswer } from "./live.tsx";
import { lookNow } from "./now.ts";
import { addOperations } from "#console/operations/operations";
import { DegradedPage, MissingPage, RefusedPage, refusalText } from "./pages/messages.tsx";
import { type NowLinks, NowPage } from "./pages/now.tsx";
import { consolePages, mayOpen, type ConsolePage } from "./console-page.ts";
import { Shell } from "./pages/shell.tsx";
import type { PageContent, Render } from "./page-maker.ts";
import type { ConsolePorts } from "./ports.ts";
import { LogRates } from "./rates.ts";
import { SessionSeal } from "./session.ts";
import { SignInPages } from "./sign-in.tsx";
import { texts } from "./texts.ts";
import { admitVisit, type ConsoleVisit } from "./visit.ts";

/** Adds the operators' pages below `/console` to the operators' worker. Hono's context ends here. */
export function addConsole(app: Hono, ports: ConsolePorts): void {
  const seal = new SessionSeal(ports.sealingKeys);
  const signIn = new SignInPages(ports, seal);
  const rates = new LogRates();
  const { places, admin } = ports;

  /** Answers with a page, and a fault of a part with the page for that. */
  const answering =
    (answer: (request: Request, id: string) => Promise<Response>) =>
    async ({ req: { raw } }: { readonly req: { readonly raw: Request } }): Promise<Response> => {
      const id = admin.newId();
      try {
        return await answer(raw, id);
      } catch (fault) {
        admin.onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
        return htmlAnswer(DegradedPage({ requestId: id }), 503, pageHeaders(id, places));
      }
    };

  /** Proves the visitor, or sends the browser to the sign-in. */
  const visiting = (page: ConsolePage, answer: (visit: ConsoleVisit) => Promise<Response>) =>
    answering(async (request, id) => {
      const visit = await admitVisit(request, id, ports, seal);
      const headers = pageHeaders(id, places);
      if (visit.ok && mayOpen(page, visit.value.operator)) return answer(visit.value);
      if (visit.ok) {
        const text = texts.refused.role(page.roles.join(", "));
        return htmlAnswer(RefusedPage({ text, requestId: id }), 403, headers);
      }
      const { reason, seen } = visit.error;
      // The operator is known, and the session is missing, too old or of another kind.
      if (seen.demand !== undefined && !deniedReasons.has(reason)) {
        const again = seen.signIn === undefined ? "" : "?again=1";
        return redirectAnswer(`/console/sign-in${again}`, headers);
      }
      return htmlAnswer(RefusedPage({ text: refusalText(reason), requestId: id }), 403, headers);
    });

  const show = (page: ConsolePage, render: Render) =>
    visiting(page, async (visit) => {
      const made = await render(visit);
      return made instanceof Response ? made : framed(page, visit, made);
    });

  const framed = (
    page: ConsolePage,
    { operator, session, id }: ConsoleVisit,
    { status = 200, content }: Exclude<PageContent, Response>,
  ): Response => {
    const visitor = { operator, formToken: session.formToken };
    const whole = Shell({ title: page.name, visitor, current: page.path, children: content });
    return htmlAnswer(whole, status, pageHeaders(id, places));
  };

  /** A step that changes something: only from a form of this session. */
  const step = (
    page: ConsolePage,
    act: (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>,
  ) =>
    visiting(page, async (visit) => {
      const { request, session, id } = visit;
      const body = request.body && new TimelyBody(request.body);
      body?.trust();
      try {
        const form = await readOwnForm(request, body, admin.url, session);
        if (form === undefined)
          return htmlAnswer(
            RefusedPage({ text: texts.refused.form, requestId: id }),
            403,
            pageHeaders(id, places),
          );
        const made = await act(visit, form);
        return made instanceof Response ? made : framed(page, visit, made);
      } finally {
        await body?.dropRest();
      }
    });

  app.get("/console/assets/:name", ({ req }) => assetAnswer(req.param("name"), admin.newId()));
  app.get(
    "/console/sign-in",
    answering((request, id) => signIn.show(request, id)),
  );
  app.get(
    "/console/sign-in/begin",
    answering((request, id) => signIn.begin(request, id)),
  );
  app.get(
    "/console/signed-in",
    answering((request, id) => signIn.finish(request, id)),
  );
  app.get(
    "/console/signed-out",
    answering(async (_, id) => signIn.ended(id)),
  );
  app.post(
    "/console/sign-out",
    step(consolePages.now, async (visit) => signIn.end(visit)),
  );

  app.get(
    "/console",
    show(consolePages.now, async ({ operator }) => ({
      content: NowPage({ report: await lookNow(ports, rates), links: linksFor(operator) }),
    })),
  );
  app.get(
    "/console/now/live",
    visiting(consolePages.now, async ({ request, id, operator }) =>
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
    answering(async (_, id) => redirectAnswer("/console", pageHeaders(id, places))),
  );
  addOperations(app, ports, { show, step });
  app.get(
    "/console/*",
    answering(async (_, id) => htmlAnswer(MissingPage(), 404, pageHeaders(id, places))),
  );
  app.all("/console/*", () => problem(admin.newId(), { status: 405, title: "Method Not Allowed" }));
}

/** The page Now leads to the pages that the operator may open. */
const linksFor = (operator: Operator): NowLinks => ({
  registry: mayOpen(consolePages.registry, operator),
  approvals: mayOpen(consolePages.approvals, operator),
  events: mayOpen(consolePages.events, operator),
});

/** Signing in again changes nothing about these. */
const deniedReasons: ReadonlySet<string> = new Set([
  "operator_suspended",
  "sign_in_not_registered",
  "machine_has_no_console",
  "certificate_denied",
  "client_denied",
  "role_missing",
]);
