import type { PageMaker } from "#console/page-maker";
import { LedgerPage, WhyPage } from "#console/pages/ledger";
import { PatientsPage } from "#console/pages/patients";
import { consolePages } from "#console/console-page";
import type { ConsolePorts } from "#console/ports";

/** The pages whose script reads in the browser: the look-up of a patient, the ledger, and the reason of a refusal. */
export function addReadingPages({ places }: ConsolePorts, { show }: PageMaker): void {
  show("/console/patients", consolePages.patients, async () => ({ content: PatientsPage({ places }) }));
  show("/console/ledger", consolePages.ledger, async () => ({ content: LedgerPage({ places }) }));
  show("/console/why", consolePages.why, async () => ({ content: WhyPage({ places }) }));
}
