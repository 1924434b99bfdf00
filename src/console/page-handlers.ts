import type { Hono } from "hono";
import { TimelyBody } from "#entrypoint/timely-body";
import { htmlAnswer, pageHeaders, redirectAnswer } from "./answers.ts";
import { mayOpen, type ConsolePage } from "./console-page.ts";
import { readOwnForm } from "./form.ts";
import type { PageContent, PageMaker, Render } from "./page-maker.ts";
import { DegradedPage, RefusedPage, refusalText } from "./pages/messages.tsx";
import { Shell } from "./pages/shell.tsx";
import type { ConsolePorts } from "./ports.ts";
import type { SessionSeal } from "./session.ts";
import { texts } from "./texts.ts";
import { admitVisit, type ConsoleVisit, type VisitRefused } from "./visit.ts";

type Handler = (context: { readonly req: { readonly raw: Request } }) => Promise<Response>;

/** Adds the handlers of the console: each proves its visitor, and answers a fault with a page. */
export class PageHandlers implements PageMaker {
  readonly #app: Hono;
  readonly #ports: ConsolePorts;
  readonly #seal: SessionSeal;

  constructor(app: Hono, ports: ConsolePorts, seal: SessionSeal) {
    this.#app = app;
    this.#ports = ports;
    this.#seal = seal;
  }

  /** Answers any visitor. */
  readonly answerAnyone = (path: string, answer: (request: Request, id: string) => Promise<Response>): void =>
    void this.#app.get(path, this.#unproven(answer));

  /** A fault is answered with the page for faults. */
  readonly #unproven =
    (answer: (request: Request, id: string) => Promise<Response>): Handler =>
    async ({ req: { raw } }) => {
      const { admin } = this.#ports;
      const id = admin.newId();
      try {
        return await answer(raw, id);
      } catch (fault) {
        admin.onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
        return htmlAnswer(DegradedPage({ requestId: id }), 503, this.#headers(id));
      }
    };

  /** Answers an operator who may open the page. Each further visitor is refused, or sent to the sign-in. */
  readonly answer = (
    path: string,
    page: ConsolePage,
    answer: (visit: ConsoleVisit) => Promise<Response>,
  ): void => void this.#app.get(path, this.#proven(page, answer));

  readonly #proven = (page: ConsolePage, answer: (visit: ConsoleVisit) => Promise<Response>): Handler =>
    this.#unproven(async (request, id) => {
      const visit = await admitVisit(request, id, this.#ports, this.#seal);
      if (!visit.ok) return this.#refuseVisitor(visit.error, id);
      if (mayOpen(page, visit.value.operator)) return answer(visit.value);
      return this.#refuse(texts.refused.role(page.roles.join(", ")), id);
    });

  readonly show = (path: string, page: ConsolePage, render: Render): void =>
    this.answer(path, page, async (visit) => this.#framed(page, visit, await render(visit)));

  /** A step that changes something: only from a form of this session. */
  readonly step: PageMaker["step"] = (path, page, act) => {
    const handler = this.#proven(page, async (visit) => {
      const { request, session, id } = visit;
      const body = request.body && new TimelyBody(request.body);
      body?.trust();
      try {
        const form = await readOwnForm(request, body, this.#ports.admin.url, session);
        if (form === undefined) return this.#refuse(texts.refused.form, id);
        return this.#framed(page, visit, await act(visit, form));
      } finally {
        await body?.dropRest();
      }
    });
    this.#app.post(path, handler);
  };

  #refuseVisitor({ reason, seen }: VisitRefused, id: string): Response {
    // The operator is known, and the session is missing, too old or of another kind.
    if (seen.demand !== undefined && !deniedReasons.has(reason)) {
      const again = seen.signIn === undefined ? "" : "?again=1";
      return redirectAnswer(`/console/sign-in${again}`, this.#headers(id));
    }
    return this.#refuse(refusalText(reason), id);
  }

  #refuse(text: string, id: string): Response {
    return htmlAnswer(RefusedPage({ text, requestId: id }), 403, this.#headers(id));
  }

  /** The content in the frame of the console; a Response is the answer as it is. */
  #framed(consolePage: ConsolePage, { operator, session, id }: ConsoleVisit, made: PageContent): Response {
    if (made instanceof Response) return made;
    const { status = 200, content, page = consolePage } = made;
    const visitor = { operator, formToken: session.formToken };
    const whole = Shell({ title: page.name, visitor, current: page.path, children: content });
    return htmlAnswer(whole, status, this.#headers(id));
  }

  #headers(id: string): Headers {
    return pageHeaders(id, this.#ports.places);
  }
}

/** Signing in again changes nothing about these. */
const deniedReasons: ReadonlySet<string> = new Set([
  "operator_suspended",
  "sign_in_not_registered",
  "machine_has_no_console",
  "certificate_denied",
  "client_denied",
  "role_missing",
]);
