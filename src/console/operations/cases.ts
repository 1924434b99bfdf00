import type { Verb } from "#admin/administer";
import type { CaseTasks } from "#admin/ports";
import {
  acceptCaseVerb,
  confirmCaseVerb,
  denyCaseVerb,
  extendCaseVerb,
  findNoticesVerb,
  listCasesVerb,
  nameNoticeVerb,
  openCaseVerb,
  sendNoticeVerb,
  stateCaseVerb,
  unstateCaseVerb,
  voidCaseVerb,
  waiveNoticeVerb,
} from "#admin/tasks/cases";
import { consolePages } from "#console/console-page";
import type { PageContent, PageMaker } from "#console/page-maker";
import { CasePage, CasesPage, type CaseStepName } from "#console/pages/cases";
import { MissingContent, RefusalAlert } from "#console/pages/messages";
import { Done } from "#console/pages/parts";
import type { ConsolePorts } from "#console/ports";
import { texts } from "#console/texts";
import type { ConsoleVisit, VerbRefused } from "#console/visit";
import { ok, type Result } from "#kernel/result";
import type { ListedCase } from "#registry/case-document";
import { refusalPage } from "./parts.ts";

interface Step {
  readonly verb: (cases: CaseTasks) => Verb;
  /** What the form says, besides the case. The verb reads and refuses it as it does for the command. */
  readonly says: (form: URLSearchParams) => object;
}

/** Each step of a case, by the name that its form sends it to. */
const steps: Readonly<Record<CaseStepName, Step>> = {
  confirm: { verb: confirmCaseVerb, says: (form) => ({ request: typed(form, "request") }) },
  open: {
    verb: openCaseVerb,
    says: (form) => ({
      origin: typed(form, "origin"),
      patient: typed(form, "patient"),
      notice: typed(form, "notice"),
      from: typed(form, "from"),
      rows: lines(form, "rows"),
    }),
  },
  void: { verb: voidCaseVerb, says: (form) => ({ why: typed(form, "why") }) },
  extend: { verb: extendCaseVerb, says: (form) => ({ letter: typed(form, "letter") }) },
  accept: { verb: acceptCaseVerb, says: () => ({}) },
  deny: {
    verb: denyCaseVerb,
    says: (form) => ({
      grounds: form.getAll("ground"),
      partly: form.has("partly"),
      letter: typed(form, "letter"),
    }),
  },
  state: {
    verb: stateCaseVerb,
    says(form) {
      const [elements, statement] = [lines(form, "elements"), typed(form, "statement")];
      return {
        kind: statement === undefined ? "request-and-denial" : "disagreement",
        rows: lines(form, "rows"),
        ...(elements.length > 0 && { elements }),
        summary: typed(form, "summary"),
        statement,
        rebuttal: typed(form, "rebuttal"),
        denial: typed(form, "denial"),
      };
    },
  },
  unstate: { verb: unstateCaseVerb, says: (form) => ({ why: typed(form, "why") }) },
  find: { verb: findNoticesVerb, says: (form) => ({ patients: lines(form, "patients") }) },
  name: { verb: nameNoticeVerb, says: (form) => ({ recipient: typed(form, "recipient") }) },
  sent: { verb: sendNoticeVerb, says: (form) => ({ ...notice(form), letter: typed(form, "letter") }) },
  waive: { verb: waiveNoticeVerb, says: (form) => ({ ...notice(form), why: typed(form, "why") }) },
};

/** Undefined, which JSON omits, for a field that is empty. */
const typed = (form: URLSearchParams, name: string): string | undefined =>
  form.get(name)?.trim() || undefined;
const lines = (form: URLSearchParams, name: string): readonly string[] =>
  (typed(form, name) ?? "").split(/\s+/u).filter((line) => line !== "");

/** The kind and the recipient of a notice, as the page's list says them in one value. */
function notice(form: URLSearchParams): object {
  const [, kind, recipient] = /^(\S+) (.+)$/u.exec(typed(form, "notice") ?? "") ?? [];
  return { kind, recipient };
}

/** The requests for amendments: the list, a case, and its steps. */
export function addCases({ admin }: ConsolePorts, { show, step }: PageMaker): void {
  const ask = async (
    visit: ConsoleVisit,
    document: object,
  ): Promise<Result<readonly ListedCase[], VerbRefused>> => {
    const found = await visit.run(listCasesVerb(admin.cases), { document });
    return found.ok ? ok((found.value as { readonly cases: readonly ListedCase[] }).cases) : found;
  };
  const casePage = async (
    visit: ConsoleVisit,
    id: string,
    outcome?: Result<CaseStepName, VerbRefused>,
  ): Promise<PageContent> => {
    const asked = await ask(visit, { case: id });
    if (!asked.ok) return refusalPage(asked.error);
    const [found] = asked.value;
    if (found === undefined) return { status: 404, content: MissingContent() };
    return {
      status: outcome?.ok === false ? outcome.error.status : 200,
      content: CasePage({
        found,
        now: visit.at,
        formToken: visit.session.formToken,
        outcome:
          outcome &&
          (outcome.ok
            ? Done({ children: texts.cases.steps[outcome.value].done })
            : RefusalAlert({ refusal: outcome.error })),
      }),
    };
  };
  show("/console/cases", consolePages.cases, async (visit) => {
    const state = visit.url.searchParams.get("state") ?? "open";
    const after = visit.url.searchParams.get("after") ?? undefined;
    const cases = await ask(visit, { state, after });
    if (!cases.ok) return refusalPage(cases.error);
    const { formToken } = visit.session;
    return { content: CasesPage({ cases: cases.value, state, now: visit.at, formToken }) };
  });
  show("/console/cases/:id", consolePages.cases, (visit) =>
    casePage(visit, visit.url.pathname.split("/").at(-1) ?? ""),
  );
  for (const [name, { verb, says }] of Object.entries(steps) as readonly (readonly [CaseStepName, Step])[])
    step(`/console/cases/${name}`, consolePages.cases, async (visit, form) => {
      const id = form.get("case") ?? undefined; // a case that is opened has no id yet
      const done = await visit.run(verb(admin.cases), { document: { case: id, ...says(form) } });
      if (id !== undefined) return casePage(visit, id, done.ok ? ok(name) : done);
      return done.ok
        ? casePage(visit, (done.value as { readonly case: string }).case, ok(name))
        : refusalPage(done.error);
    });
}
