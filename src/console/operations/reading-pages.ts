import type { Hono } from "hono";
import type { PageMaker } from "#console/page-maker";
import { LedgerPage, WhyPage } from "#console/pages/ledger";
import { PatientsPage, PatientsReturnPage } from "#console/pages/patients";
import { htmlAnswer, pageHeaders } from "#console/answers";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";

/** The pages whose script reads in the browser: the look-up of a patient, the ledger, and the reason of a refusal. */
export function addReadingPages(app: Hono, { admin, places }: ConsolePorts, { show }: PageMaker): void {
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
