import type { ProofSink } from "./ports.ts";

/**
 * A ledger for one request, whose records count once what the isolate started with is on record as well.
 * Every way out of a request goes through a record, so nothing leaves, and no write is sent, under a
 * configuration that nobody could find. `configured` runs beside the request's other work, and is the
 * request's own: to await another's promise is to fail with it (DESIGN §4).
 */
export function afterConfiguration(ledger: ProofSink, configured: Promise<void>): ProofSink {
  // it throws where it is awaited, which a request that ends before its first record does not get to
  configured.catch(() => {});
  const both = async <T>(recorded: Promise<T>): Promise<T> => (await Promise.all([recorded, configured]))[0];
  return {
    record: (events, sender) => both(ledger.record(events, sender)),
    recordOnce: (events, proof) => both(ledger.recordOnce(events, proof)),
  };
}
