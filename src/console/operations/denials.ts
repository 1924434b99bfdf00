import { proposeVerb } from "#admin/proposals";
import { liftVerb, revokeVerb } from "#admin/revoke";
import type { PageMaker } from "#console/page-maker";
import { DeniedPage, LiftedPage } from "#console/pages/registry";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";
import { denialInWords } from "#console/denials";
import { texts } from "#console/texts";
import { readDenial } from "#identity/denial-document";
import { listed } from "./approvals.ts";
import { jsonIn, refusalPage } from "./parts.ts";

/**
 * The steps that deny a client, a key, a certificate or a token, and lift a denial. Where two persons decide, a lift
 * becomes a proposal.
 */
export function addDenials({ admin }: ConsolePorts, { step }: PageMaker): void {
  step("/console/deny", consolePages.now, async (visit, form) => {
    const denial = jsonIn(form.get("denial"));
    const once = form.get("once") ?? undefined;
    const done = await visit.run(revokeVerb(admin.registry), { document: denial, once });
    if (!done.ok) return refusalPage(done.error);
    const { formToken } = visit.session;
    const back = form.get("back") ?? "";
    const says = wordsOf(denial, back);
    const content = DeniedPage({ denial, says, formToken, once: admin.newId(), back });
    return { page: consolePages.registry, content };
  });
  step("/console/lift", consolePages.now, async (visit, form) => {
    const document = jsonIn(form.get("denial"));
    const once = form.get("once") ?? undefined;
    const back = form.get("back") ?? "";
    const done = await visit.run(liftVerb(admin.registry, admin.approvals), { document, once });
    if (done.ok) return { page: consolePages.registry, content: LiftedPage({ back }) };
    if (done.error.reason !== "approval_required") return refusalPage(done.error);
    const why = texts.registry.liftWhy(wordsOf(document, back));
    const proposed = await visit.run(proposeVerb(admin.proposals), {
      document: { kind: "lift", why, denial: document },
      once: once && `${once}-proposal`, // a key is of one request
    });
    return proposed.ok ? listed(admin, visit, texts.approvals.proposed) : refusalPage(proposed.error);
  });
}

/** The verb has read the denial too, so it is well formed. A token has no button. */
function wordsOf(denial: object, client: string): string {
  const read = readDenial(denial);
  if (!read.ok || read.value.kind === "token") return "";
  return denialInWords(read.value, client === "" ? undefined : client);
}
