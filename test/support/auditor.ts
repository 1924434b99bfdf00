import type { AuditEvent } from "#audit/event";
import type { AuditRecord } from "#audit/record";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import { LedgerReader } from "./ledger-reader.ts";

interface Opened {
  readonly reader: LedgerReader;
  readonly records: AuditRecord[];
  /** Settles when the call before has read to the end. */
  reading: Promise<void>;
}

const opened = new Map<string, Opened>();

/**
 * Every record of every log, as an auditor opens it. Each record is opened once, however often a test file
 * calls this; new records stand at the end.
 */
export async function openLedger(dev: DevFile): Promise<readonly AuditRecord[]> {
  // another stack may have used the port before, with different keys
  const key = `${dev.ledger} ${JSON.stringify(dev.logs)}`;
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

/** The events of a request, in the order of its log. */
export async function eventsOf(dev: DevFile, requestId: unknown): Promise<readonly AuditEvent[]> {
  return (await openLedger(dev)).map(({ event }) => event).filter(({ id }) => id === requestId);
}
