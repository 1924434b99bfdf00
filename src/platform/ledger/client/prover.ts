import type { RecordProver } from "#audit/ports";
import { SIGNED_AGAIN_MS } from "#ledger/signing-times";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { StubOf } from "./stubs.ts";
import { within } from "#platform/within";

// A lease may be 7 s old when an answer is recorded, and a revoked client is refused within 10 s. Two calls
// and the wait fit between.
const PATIENCE_MS = 800;

/** Proofs over the Durable Objects of the ledger. */
export function ledgerProver(
  logOf: StubOf<Pick<LedgerShard, "proof">>,
  wait: (milliseconds: number) => Promise<unknown>,
): RecordProver {
  return {
    async prove({ log, index }) {
      const proof = () =>
        within<Uint8Array | undefined>(PATIENCE_MS, logOf(log).proof(index), "ledger: no proof in time");
      try {
        const first = await proof();
        if (first !== undefined) return first;
        await wait(SIGNED_AGAIN_MS); // by then a checkpoint that covers the record exists, or may be signed
        return await proof();
      } catch {
        return undefined; // the record is durable, and an answer needs nothing more
      }
    },
  };
}
