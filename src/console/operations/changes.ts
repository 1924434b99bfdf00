import { planRegistryVerb } from "#admin/change-registry";
import { proposeVerb, showProposalVerb } from "#admin/proposals";
import type { PageContent, PageMaker } from "#console/page-maker";
import { clientChangeOf } from "#console/client-change";
import { ClientChangePage } from "#console/pages/client-change";
import { AppliedPage, ChangePage, type ShownPlan, type ShownProposalRow } from "#console/pages/approvals";
import { MissingContent } from "#console/pages/messages";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";
import { clientIn, type RegistryView } from "#console/registry-view";
import { canonical } from "#registry/canonical";
import { applyOrPropose } from "#console/review-decision";
import { texts } from "#console/texts";
import type { ConsoleVisit } from "#console/visit";
import { listed } from "./approvals.ts";
import { clientIdIn, jsonIn, ofRegistry, refusalPage } from "./parts.ts";

/** The forms of a change of the registry: each plans it, and applies or proposes what was planned. */
export function addChanges(ports: ConsolePorts, { show, step }: PageMaker): void {
  const { admin } = ports;
  /** @param written what a person wrote; a change without it is written with the digest of the planned registry. */
  const planOf = async (
    visit: ConsoleVisit,
    change: object,
    why: string,
    written?: string,
  ): Promise<PageContent> => {
    const planned = await visit.run(planRegistryVerb(admin.registry), { document: change });
    const digest = planned.ok ? (planned.value as { readonly digest: string }).digest : undefined;
    const whole = written === undefined && digest !== undefined ? { ...change, expects: digest } : change;
    const text = written ?? JSON.stringify(whole, undefined, 2);
    const form = { text, why, formToken: visit.session.formToken, once: admin.newId() };
    if (!planned.ok) {
      const { status } = planned.error;
      return {
        status,
        content: ChangePage({ ...form, plan: undefined, planned: undefined, refusal: planned.error }),
      };
    }
    const plan = planned.value as ShownPlan; // the verb's own answer crossed no boundary but JSON
    return { content: ChangePage({ ...form, plan, planned: await digestOfChange(whole) }) };
  };

  /** The client of the address `/console/registry/clients/:id/…`. */
  const clientAt = (view: RegistryView, url: URL) => clientIn(view, clientIdIn(url));

  show("/console/registry/change", consolePages.registry, async ({ session }) => ({
    content: ChangePage({
      text: "",
      why: "",
      plan: undefined,
      planned: undefined,
      formToken: session.formToken,
      once: admin.newId(),
    }),
  }));
  step("/console/registry/change", consolePages.registry, async (visit, form) => {
    const [text, why] = [form.get("change") ?? "", form.get("why") ?? ""];
    const change = jsonIn(text);
    const once = form.get("once") ?? undefined;
    // The person has read the plan of one text, and may have edited it since: the edited text is planned again.
    const act = form.get("act");
    const planned = form.get("planned");
    if (planned !== (await digestOfChange(change))) return planOf(visit, change, why, text);
    if (act === "apply") {
      const done = await applyOrPropose(visit, { change, why, once }, admin);
      if (!done.ok) return refusalPage(done.error);
      return done.value === "applied"
        ? { content: AppliedPage() }
        : listed(admin, visit, texts.approvals.proposed);
    }
    if (act === "propose") {
      const document = { kind: "change", why, change };
      const proposed = await visit.run(proposeVerb(admin.proposals), { document, once });
      return proposed.ok ? listed(admin, visit, texts.approvals.proposed) : refusalPage(proposed.error);
    }
    return planOf(visit, change, why, text);
  });

  step("/console/approvals/plan", consolePages.approvals, async (visit, form) => {
    const proposal = form.get("proposal") ?? "";
    const shown = await visit.run(showProposalVerb(admin.proposals), { parameters: { proposal } });
    if (!shown.ok) return refusalPage(shown.error);
    const { why, body } = (shown.value as { readonly proposal: ShownProposalRow }).proposal;
    const { change } = body as { readonly change?: object };
    if (change === undefined) return { status: 404, content: MissingContent() };
    const { expects: _, ...onAnyState } = change as { readonly expects?: unknown };
    return planOf(visit, onAnyState, why);
  });

  show(
    "/console/registry/clients/:id/change",
    consolePages.registry,
    ofRegistry(ports, (view, { url, session: { formToken } }) => {
      const client = clientAt(view, url);
      if (client === undefined) return { status: 404, content: MissingContent() };
      return { content: ClientChangePage({ view, client, formToken, problem: undefined }) };
    }),
  );
  step("/console/registry/clients/:id/change", consolePages.registry, (visit, form) =>
    ofRegistry(ports, (view, { url, at, session: { formToken } }) => {
      const client = clientAt(view, url);
      if (client === undefined) return { status: 404, content: MissingContent() };
      const change = clientChangeOf({ view, client, at }, form);
      if (change.ok) return planOf(visit, change.value, "");
      return { status: 400, content: ClientChangePage({ view, client, formToken, problem: change.error }) };
    })(visit),
  );
}

/** SHA-256 in hex of a change in canonical JSON: spaces and line ends that a browser changes do not count. */
async function digestOfChange(change: object): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(change)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
