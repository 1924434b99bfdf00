import type { AuditRecord } from "#audit/record";
import type { DevFile } from "../../cli/dev-file.ts";
import { LedgerReader } from "./ledger-reader.ts";

/** What an auditor reads: every record of every log. */
export async function openLedger(dev: DevFile): Promise<readonly AuditRecord[]> {
  return (await new LedgerReader(dev).read()).records;
}
