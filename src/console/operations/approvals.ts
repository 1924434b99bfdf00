import { approveVerb, closeProposalVerb, listProposalsVerb, showProposalVerb } from "#admin/proposals";
import type { PageContent, PageMaker } from "#console/page-maker";
import { ApprovalsPage, ProposalPage, type ShownPlan, type ShownProposalRow } from "#console/pages/approvals";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";
import { texts } from "#console/texts";
import type { ConsoleVisit } from "#console/visit";
import { refusalPage } from "./parts.ts";

/** The page of the open proposals. `note`: what was just done. */
export const listed = async (
  { proposals }: ConsolePorts["admin"],
  visit: ConsoleVisit,
  note?: string,
): Promise<PageContent> => {
  const found = await visit.run(listProposalsVerb(proposals));
  if (!found.ok) return refusalPage(found.error);
  const shown = found.value as { readonly proposals: readonly ShownProposalRow[] };
  return { page: consolePages.approvals, content: ApprovalsPage({ ...shown, note }) };
};

/** The proposals of two-person changes: the list, a proposal, and the steps that approve or reject it. */
export function addApprovals({ admin }: ConsolePorts, { show, step }: PageMaker): void {
  show("/console/approvals", consolePages.approvals, (visit) => listed(admin, visit));
  show("/console/approvals/:id", consolePages.approvals, async (visit) => {
    const proposal = visit.url.pathname.split("/").at(-1) ?? "";
    const shown = await visit.run(showProposalVerb(admin.proposals), { parameters: { proposal } });
    if (!shown.ok) return refusalPage(shown.error);
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
        operator: visit.operator,
      }),
    };
  });
  step("/console/approvals/approve", consolePages.approvals, async (visit, form) => {
    const document = { proposal: form.get("proposal") ?? "" };
    const once = form.get("once") ?? undefined;
    const done = await visit.run(approveVerb(admin.proposals), { document, once });
    return done.ok ? listed(admin, visit, texts.approvals.approved) : refusalPage(done.error);
  });
  step("/console/approvals/close", consolePages.approvals, async (visit, form) => {
    const document = { proposal: form.get("proposal") ?? "", note: texts.approvals.rejectedOnRecord };
    const once = form.get("once") ?? undefined;
    const done = await visit.run(closeProposalVerb(admin.proposals), { document, once });
    return done.ok ? listed(admin, visit, texts.approvals.rejected) : refusalPage(done.error);
  });
}
