import type { AuditRecord } from "#audit/record";
import type { DevFile } from "../../cli/dev-file.ts";
import { LedgerReader } from "./ledger-reader.ts";

interface Opened {
  readonly reader: LedgerReader;
  readonly records: AuditRecord[];
  /** Settles when the call before has read to the end. */
  reading: Promise<void>;
}

const opened = new Map<string, Opened>();

/** What an auditor reads: every record of every log, each opened once however often a file asks. What is new stands at the end. */
export async function openLedger(dev: DevFile): Promise<readonly AuditRecord[]> {
  const key = `${dev.ledger} ${JSON.stringify(dev.logs)}`; // another stack may have had the port, with other keys
  const ledger = opened.get(key) ?? {
    reader: new LedgerReader(dev),
    records: [],
    reading: Promise.resolve(),
  };
  opened.set(key, ledger);
  ledger.reading = ledger.reading.then(
    async () => void ledger.records.push(...(await ledger.reader.read()).records),
  );
  await ledger.reading;
  return [...ledger.records];
}
