import type { ExportList } from "#limits/listed-export";
import { cancelExportVerb, listExportsVerb } from "#admin/tasks/exports";
import { consolePages } from "#console/console-page";
import type { PageContent, PageMaker } from "#console/page-maker";
import { ExportsPage } from "#console/pages/exports";
import type { ConsolePorts } from "#console/ports";
import type { ConsoleVisit } from "#console/visit";
import { refusalPage } from "./parts.ts";

/** The exports of clients, and the step that cancels one. */
export function addExports({ admin }: ConsolePorts, { show, step }: PageMaker): void {
  const exportsPage = async (visit: ConsoleVisit, isCancelled: boolean): Promise<PageContent> => {
    const client = visit.url.searchParams.get("client") ?? undefined;
    const found = await visit.run(listExportsVerb(admin.exports), { document: { client } });
    if (!found.ok) return refusalPage(found.error);
    const listed = found.value as ExportList;
    const { operator, at, session } = visit;
    return {
      content: ExportsPage({
        ...listed,
        at,
        isCancelled,
        formToken: session.formToken,
        once: admin.newId,
        mayCancel: operator.roles.includes("revoker"),
      }),
    };
  };
  show("/console/exports", consolePages.exports, (visit) => exportsPage(visit, false));
  step("/console/exports/cancel", consolePages.exports, async (visit, form) => {
    const document = {
      client: form.get("client") ?? "",
      export: form.get("export") ?? "",
      reason: form.get("reason") ?? "",
    };
    const once = form.get("once") ?? undefined;
    const done = await visit.run(cancelExportVerb(admin.exports), { document, once });
    return done.ok ? exportsPage(visit, true) : refusalPage(done.error);
  });
}
