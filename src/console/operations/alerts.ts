import { silenceAlertsVerb, silencers, unsilenceAlertsVerb } from "#admin/tasks/alerts";
import type { PageContent, PageMaker } from "#console/page-maker";
import { AlertsPage, type RefusedForm } from "#console/pages/alerts";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";
import { texts } from "#console/texts";
import type { ConsoleVisit } from "#console/visit";

const page = consolePages.alerts;

/**
 * The alerts, and the steps that silence some for a time. The page itself is not on record, as Now is not: it has to work
 * while a log takes no records. Each step is, as that of the command.
 */
export function addAlerts({ admin }: ConsolePorts, { show, step }: PageMaker): void {
  const shown = async (
    { at, operator, session: { formToken } }: ConsoleVisit,
    after: { readonly note?: string; readonly refused?: RefusedForm } = {},
  ): Promise<PageContent> => {
    const report = await admin.alerts.report();
    const maySilence = silencers.some((role) => operator.roles.includes(role));
    const content = AlertsPage({ report, at, formToken, once: admin.newId, maySilence, ...after });
    return { status: after.refused?.refusal.status ?? 200, content };
  };
  const acts = [
    {
      path: "silence",
      verb: silenceAlertsVerb(admin.alerts, admin.clock),
      note: texts.alerts.made,
      says: silenceIn,
    },
    { path: "unsilence", verb: unsilenceAlertsVerb(admin.alerts), note: texts.alerts.ended, says: endingIn },
  ];
  show(page.path, page, (visit) => shown(visit));
  for (const { path, verb, note, says } of acts)
    step(`${page.path}/${path}`, page, async (visit, form) => {
      const done = await visit.run(verb, { document: says(form), once: form.get("once") ?? undefined });
      return shown(visit, done.ok ? { note } : { refused: { refusal: done.error, form } });
    });
}

const silenceIn = (form: URLSearchParams): object => ({
  alerts: form.getAll("alerts"),
  from: timeIn(form, "from"),
  until: timeIn(form, "until"),
  reason: form.get("reason") ?? "",
});

const endingIn = (form: URLSearchParams): object => ({
  silence: form.get("silence") ?? "",
  reason: form.get("reason") ?? "",
});

/** A time of a form is in UTC. The verb refuses a text that is no time. */
function timeIn(form: URLSearchParams, name: string): string | undefined {
  const typed = form.get(name) ?? "";
  if (typed === "") return undefined;
  return /T\d\d:\d\d$/u.test(typed) ? `${typed}:00Z` : `${typed}Z`;
}
