import { closeReviewVerb, type ListedReview, listReviewsVerb } from "#admin/tasks/review";
import { dataHeaders, jsonAnswer } from "#console/answers";
import { texts } from "#console/texts";
import type { PageContent, PageMaker } from "#console/page-maker";
import { BreachPage } from "#console/pages/breach";
import { EventsPage } from "#console/pages/events-page";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";
import type { ConsoleVisit } from "#console/visit";
import { refusalPage } from "./parts.ts";

/** The pages of operators' acts, of the reviews of emergencies, and of breaches. */
export function addEvents({ admin, places }: ConsolePorts, { show, step }: PageMaker): void {
  const eventsPage = async (visit: ConsoleVisit, isClosed: boolean): Promise<PageContent> => {
    const pages: Record<"open" | "closed", readonly ListedReview[]> = { open: [], closed: [] };
    for (const state of ["open", "closed"] as const) {
      const after = visit.url.searchParams.get(`${state}-after`) ?? undefined;
      const found = await visit.run(listReviewsVerb(admin.reviews), { document: { state, after } });
      if (!found.ok) return refusalPage(found.error);
      ({ reviews: pages[state] } = found.value as { readonly reviews: readonly ListedReview[] });
    }
    const { formToken } = visit.session;
    return { content: EventsPage({ ...pages, isClosed, formToken, once: admin.newId, places }) };
  };
  show("/console/events", consolePages.events, (visit) => eventsPage(visit, false));
  show("/console/events/breach", consolePages.events, async () => ({ content: BreachPage({ places }) }));
  step("/console/events/close", consolePages.events, async (visit, form) => {
    const [review, finding] = [form.get("review") ?? "", form.get("finding") ?? ""];
    const document = { review, finding, note: form.get("note")?.trim() || undefined };
    const once = form.get("once") ?? undefined;
    const done = await visit.run(closeReviewVerb(admin.reviews), { document, once });
    if (form.has("stays")) {
      const { title, detail = "" } = done.ok ? { title: texts.events.closed } : done.error;
      return jsonAnswer(
        { says: done.ok ? title : texts.review.refused(title, detail) },
        done.ok ? 200 : done.error.status,
        dataHeaders(visit.id),
      );
    }
    return done.ok ? eventsPage(visit, true) : refusalPage(done.error);
  });
}
