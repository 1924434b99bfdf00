import { randomBytes } from "node:crypto";
import { configurationEvent } from "#audit/configuration";
import type { AuditEvent, Configuration } from "#audit/event";
import type { AuditSink } from "#audit/ports";
import { instant, type Clock } from "#kernel/clock";
import type { LedgerConfig } from "#platform/ledger/config";
import { type AppendingLog, ledgerSink, type OwnLog } from "./sink.ts";
import type { StubOf } from "./stubs.ts";

/**
 * Records the configuration that a worker started with. Every request that arrives before this is done
 * records it too, under the same event id, so that the ledger has it once; later calls give undefined. Throws
 * when the record fails.
 */
export function configurationRecord(
  describe: () => Configuration,
  sink: AuditSink,
  { clock, newId }: { readonly clock: Clock; readonly newId: () => string },
): () => Promise<void> | undefined {
  let event: AuditEvent | undefined;
  let isOnRecord = false;
  const record = async () => {
    event ??= configurationEvent(describe(), newId(), clock());
    await sink.record([event], { kind: "worker" });
    isOnRecord = true;
  };
  return () => (isOnRecord ? undefined : record());
}

/** Records the configuration for one log of the ledger. */
export function ledgerConfigurationRecord(
  { described, layout }: LedgerConfig,
  logOf: StubOf<AppendingLog>,
  own: OwnLog,
): () => Promise<void> | undefined {
  const clock = () => instant(Date.now());
  return configurationRecord(described, ledgerSink(logOf, layout, clock, { own }), {
    clock,
    newId: () => randomBytes(16).toString("hex"),
  });
}
