import type { ProofSink } from "./ports.ts";

/**
 * A ledger for a request. A record counts only once the isolate's configuration is on record as well. Every
 * answer and every write waits for a record, so nothing leaves, and no write is sent, under an unrecorded
 * configuration. `configured` runs in parallel to the request, and belongs to the same request: a Worker that
 * awaits a different request's promise fails with it. Undefined: the configuration is on record already.
 */
export function afterConfiguration(ledger: ProofSink, configured: Promise<void> | undefined): ProofSink {
  if (configured === undefined) return ledger;
  // it throws where it is awaited; a request that ends before its first record never awaits it
  configured.catch(() => {});
  const both = async <T>(recorded: Promise<T>): Promise<T> => (await Promise.all([recorded, configured]))[0];
  return {
    record: (events, sender) => both(ledger.record(events, sender)),
    recordOnce: (events, proof) => both(ledger.recordOnce(events, proof)),
  };
}
