import { showRegistryVerb } from "#admin/change-registry";
import type { PageContent } from "#console/page-maker";
import { VerbRefusal } from "#console/pages/messages";
import type { ConsolePorts } from "#console/ports";
import { registryViewOf, type RegistryView } from "#console/registry-view";
import type { ConsoleVisit, VerbRefused } from "#console/visit";

/** The page about a verb that refused. */
export const refusalPage = (refusal: VerbRefused): PageContent => ({
  status: refusal.status,
  content: VerbRefusal({ refusal }),
});

/** Shows a page of the registry, which is on record as a look at it. */
export const ofRegistry =
  (
    { admin }: ConsolePorts,
    render: (view: RegistryView, visit: ConsoleVisit) => PageContent | Promise<PageContent>,
  ) =>
  async (visit: ConsoleVisit): Promise<PageContent> => {
    const shown = await visit.run(showRegistryVerb(admin.registry));
    return shown.ok ? render(registryViewOf(shown.value), visit) : refusalPage(shown.error);
  };

/** The id in `/console/registry/clients/:id/…`; empty for an address that cannot be read. */
export function clientIdIn({ pathname }: URL): string {
  try {
    return decodeURIComponent(pathname.split("/")[4] ?? "");
  } catch {
    return "";
  }
}

/** A text that is not JSON becomes a document that every verb refuses, with its own words. */
export function jsonIn(text: string | null): object {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? value : { malformed: text };
  } catch {
    return { malformed: "not JSON" };
  }
}
