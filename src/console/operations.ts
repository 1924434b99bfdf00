import type { Hono } from "hono";
import { planRegistryVerb, showRegistryVerb } from "#admin/change-registry";
import {
  approveVerb,
  closeProposalVerb,
  listProposalsVerb,
  proposeVerb,
  showProposalVerb,
} from "#admin/proposals";
import { closeReviewVerb, listReviewsVerb } from "#admin/review";
import { liftVerb, revokeVerb } from "#admin/revoke";
import type { PageContent, PageMaker } from "./page-maker.ts";
import { clientChangeOf } from "./client-change.ts";
import { ClientChangePage } from "./pages/client-change.tsx";
import {
  AppliedPage,
  ApprovalsPage,
  ChangePage,
  ProposalPage,
  type ShownPlan,
  type ShownProposalRow,
} from "./pages/approvals.tsx";
import { BreachPage } from "./pages/breach.tsx";
import { EventsPage, type ShownReview } from "./pages/events.tsx";
import { LedgerPage, WhyPage } from "./pages/ledger.tsx";
import { MissingContent, VerbRefusal } from "./pages/messages.tsx";
import { PatientsPage, PatientsReturnPage } from "./pages/patients.tsx";
import { AccessReviewPage } from "./pages/review.tsx";
import { ClientPage, DeniedPage, LiftedPage, RegistryPage } from "./pages/registry.tsx";
import { dataHeaders, htmlAnswer, jsonAnswer, pageHeaders } from "./answers.ts";
import { consolePages } from "./console-page.ts";
import { SeesPage } from "./pages/sees.tsx";
import type { ConsolePorts } from "./ports.ts";
import { clientIn, grantsOf, registryViewOf, type RegistryView } from "./registry-view.ts";
import { canonical } from "#registry/canonical";
import { applyOrPropose, decideOnGrant, reviewedDigests } from "./review-decision.ts";
import { texts } from "./texts.ts";
import { whatItSees } from "./what-it-sees.ts";
import type { ConsoleVisit, VerbRefused } from "./visit.ts";

/** The pages that show the registry, proposals and reviews, and the steps that change them. */
export function addOperations(app: Hono, ports: ConsolePorts, { show, step }: PageMaker): void {
  const { admin, places } = ports;
  const refused = (refusal: VerbRefused): PageContent => ({
    status: refusal.status,
    content: VerbRefusal({ refusal }),
  });

  /** Shows a page of the registry, which is on record as a look at it. */
  const ofRegistry =
    (render: (view: RegistryView, visit: ConsoleVisit) => PageContent | Promise<PageContent>) =>
    async (visit: ConsoleVisit): Promise<PageContent> => {
      const shown = await visit.run(showRegistryVerb(admin.registry));
      return shown.ok ? render(registryViewOf(shown.value), visit) : refused(shown.error);
    };

  app.get(
    "/console/registry",
    show(
      consolePages.registry,
      ofRegistry((view) => ({ content: RegistryPage({ view }) })),
    ),
  );
  app.get(
    "/console/registry/review",
    show(
      consolePages.registry,
      ofRegistry(async (view, { session: { formToken } }) => ({
        content: AccessReviewPage({ view, places, formToken, digests: await reviewedDigests(view) }),
      })),
    ),
  );
  app.post(
    "/console/registry/review/decide",
    step(consolePages.registry, async (visit, form) => {
      const { status, says } = await decideOnGrant(visit, form, admin);
      return jsonAnswer({ says }, status, dataHeaders(visit.id));
    }),
  );
  app.get(
    "/console/registry/clients/:id",
    show(
      consolePages.registry,
      ofRegistry(async (view, { url, at, operator, session }) => {
        const client = clientIn(view, clientIdIn(url));
        if (client === undefined) return { status: 404, content: MissingContent() };
        const ends = await ports.ends().catch(() => []);
        return {
          content: ClientPage({
            view,
            client,
            ends: new Map(ends.map(({ name, ends: end }) => [name, end])),
            at,
            formToken: session.formToken,
            once: admin.newId,
            mayRevoke: operator.roles.includes("revoker"),
          }),
        };
      }),
    ),
  );

  app.get(
    "/console/registry/clients/:id/sees",
    show(
      consolePages.registry,
      ofRegistry((view, { url }) => {
        const id = clientIdIn(url);
        const [purpose, origin] = [url.searchParams.get("purpose"), url.searchParams.get("origin")];
        const grant = grantsOf(view, id).find((each) => each.purpose === purpose && each.origin === origin);
        if (grant === undefined) return { status: 404, content: MissingContent() };
        const body = view.registry.policies?.find(({ name }) => name === grant.policy)?.body;
        return { content: SeesPage({ grant, samples: whatItSees(grant, body) }) };
      }),
    ),
  );

  app.post(
    "/console/deny",
    step(consolePages.now, async (visit, form) => {
      const denial = jsonIn(form.get("denial"));
      const once = form.get("once") ?? undefined;
      const done = await visit.run(revokeVerb(admin.registry), { document: denial, once });
      if (!done.ok) return refused(done.error);
      const { formToken } = visit.session;
      return {
        content: DeniedPage({ denial, formToken, once: admin.newId(), back: form.get("back") ?? "" }),
      };
    }),
  );
  app.post(
    "/console/lift",
    step(consolePages.now, async (visit, form) => {
      const document = jsonIn(form.get("denial"));
      const once = form.get("once") ?? undefined;
      const done = await visit.run(liftVerb(admin.registry, admin.approvals), { document, once });
      return done.ok ? { content: LiftedPage() } : refused(done.error);
    }),
  );

  app.get(
    "/console/registry/change",
    show(consolePages.registry, async ({ session }) => ({
      content: ChangePage({
        text: "",
        why: "",
        plan: undefined,
        planned: undefined,
        formToken: session.formToken,
        once: admin.newId(),
      }),
    })),
  );
  app.post(
    "/console/registry/change",
    step(consolePages.registry, async (visit, form) => {
      const [text, why] = [form.get("change") ?? "", form.get("why") ?? ""];
      const change = jsonIn(text);
      const once = form.get("once") ?? undefined;
      // The person has read the plan of one text, and may have edited it since: the edited text is planned again.
      const act = form.get("act");
      const planned = form.get("planned");
      const isUnread = planned === null ? act === "apply" : planned !== (await digestOfChange(change));
      if (isUnread) return planOf(visit, change, text, why);
      if (act === "apply") {
        const done = await applyOrPropose(visit, { change, why, once }, admin);
        if (!done.ok) return refused(done.error);
        return done.value === "applied"
          ? { content: AppliedPage() }
          : listed(visit, texts.approvals.proposed);
      }
      if (act === "propose") {
        const document = { kind: "change", why, change };
        const proposed = await visit.run(proposeVerb(admin.proposals), { document, once });
        return proposed.ok ? listed(visit, texts.approvals.proposed) : refused(proposed.error);
      }
      return planOf(visit, change, text, why);
    }),
  );

  const planOf = async (
    visit: ConsoleVisit,
    change: object,
    text: string,
    why: string,
  ): Promise<PageContent> => {
    const planned = await visit.run(planRegistryVerb(admin.registry), { document: change });
    const form = { text, why, formToken: visit.session.formToken, once: admin.newId() };
    if (!planned.ok) {
      const { status } = planned.error;
      return {
        status,
        content: ChangePage({ ...form, plan: undefined, planned: undefined, refusal: planned.error }),
      };
    }
    const plan = planned.value as ShownPlan; // the verb's own answer crossed no boundary but JSON
    return { content: ChangePage({ ...form, plan, planned: await digestOfChange(change) }) };
  };

  /** The client of the address `/console/registry/clients/:id/…`. */
  const clientAt = (view: RegistryView, url: URL) => clientIn(view, clientIdIn(url));

  app.get(
    "/console/registry/clients/:id/change",
    show(
      consolePages.registry,
      ofRegistry((view, { url, session: { formToken } }) => {
        const client = clientAt(view, url);
        if (client === undefined) return { status: 404, content: MissingContent() };
        return { content: ClientChangePage({ view, client, formToken, problem: undefined }) };
      }),
    ),
  );
  app.post(
    "/console/registry/clients/:id/change",
    step(consolePages.registry, (visit, form) =>
      ofRegistry((view, { url, at, session: { formToken } }) => {
        const client = clientAt(view, url);
        if (client === undefined) return { status: 404, content: MissingContent() };
        const change = clientChangeOf({ view, client, at }, form);
        if (change.ok) return planOf(visit, change.value, JSON.stringify(change.value, undefined, 2), "");
        return { status: 400, content: ClientChangePage({ view, client, formToken, problem: change.error }) };
      })(visit),
    ),
  );

  const listed = async (visit: ConsoleVisit, note?: string): Promise<PageContent> => {
    const found = await visit.run(listProposalsVerb(admin.proposals));
    if (!found.ok) return refused(found.error);
    const { proposals } = found.value as { readonly proposals: readonly ShownProposalRow[] };
    return { content: ApprovalsPage({ proposals, note }) };
  };
  app.get(
    "/console/approvals",
    show(consolePages.approvals, (visit) => listed(visit)),
  );
  app.get(
    "/console/approvals/:id",
    show(consolePages.approvals, async (visit) => {
      const proposal = visit.url.pathname.split("/").at(-1) ?? "";
      const shown = await visit.run(showProposalVerb(admin.proposals), { parameters: { proposal } });
      if (!shown.ok) return refused(shown.error);
      const found = shown.value as {
        readonly proposal: ShownProposalRow;
        readonly plan?: ShownPlan;
        readonly problem?: { readonly problem: string };
      };
      return {
        content: ProposalPage({
          proposal: found.proposal,
          plan: found.plan,
          problem: found.problem?.problem,
          formToken: visit.session.formToken,
          once: admin.newId,
          mayApprove: visit.operator.roles.includes("approver"),
        }),
      };
    }),
  );
  app.post(
    "/console/approvals/approve",
    step(consolePages.approvals, async (visit, form) => {
      const document = { proposal: form.get("proposal") ?? "" };
      const once = form.get("once") ?? undefined;
      const done = await visit.run(approveVerb(admin.proposals), { document, once });
      return done.ok ? listed(visit, texts.approvals.approved) : refused(done.error);
    }),
  );
  app.post(
    "/console/approvals/close",
    step(consolePages.approvals, async (visit, form) => {
      const document = { proposal: form.get("proposal") ?? "", note: texts.approvals.rejected };
      const once = form.get("once") ?? undefined;
      const done = await visit.run(closeProposalVerb(admin.proposals), { document, once });
      return done.ok ? listed(visit, texts.approvals.rejected) : refused(done.error);
    }),
  );

  const eventsPage = async (visit: ConsoleVisit, closed: boolean): Promise<PageContent> => {
    const found = await visit.run(listReviewsVerb(admin.reviews), { document: { state: "all" } });
    if (!found.ok) return refused(found.error);
    const { reviews } = found.value as { readonly reviews: readonly ShownReview[] };
    const { formToken } = visit.session;
    return { content: EventsPage({ reviews, closed, formToken, once: admin.newId, places }) };
  };
  app.get(
    "/console/events",
    show(consolePages.events, (visit) => eventsPage(visit, false)),
  );
  app.get(
    "/console/events/breach",
    show(consolePages.events, async () => ({ content: BreachPage({ places }) })),
  );
  app.post(
    "/console/events/close",
    step(consolePages.events, async (visit, form) => {
      const document = { review: form.get("review") ?? "", finding: form.get("finding") ?? "" };
      const once = form.get("once") ?? undefined;
      const done = await visit.run(closeReviewVerb(admin.reviews), { document, once });
      return done.ok ? eventsPage(visit, true) : refused(done.error);
    }),
  );

  app.get(
    "/console/patients",
    show(consolePages.patients, async () => ({ content: PatientsPage({ places }) })),
  );
  // Without a session: the browser leaves a Strict cookie out of the issuer's redirect.
  app.get("/console/patients/return", () =>
    htmlAnswer(PatientsReturnPage(), 200, pageHeaders(admin.newId(), places)),
  );
  app.get(
    "/console/ledger",
    show(consolePages.ledger, async () => ({ content: LedgerPage({ places }) })),
  );
  app.get(
    "/console/why",
    show(consolePages.why, async () => ({ content: WhyPage({ places }) })),
  );
}

/** The id in `/console/registry/clients/:id/…`; empty for an address that cannot be read. */
function clientIdIn({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname.split("/")[4] ?? "");
  } catch {
    return "";
  }
}

/** A text that is not JSON becomes a document that every verb refuses, with its own words. */
/** SHA-256 in hex of a change in canonical JSON: spaces and line ends that a browser changes do not count. */
async function digestOfChange(change: object): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(change)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function jsonIn(text: string | null): object {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? value : { malformed: text };
  } catch {
    return { malformed: "not JSON" };
  }
}
