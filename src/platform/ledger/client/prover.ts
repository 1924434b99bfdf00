import type { RecordProver } from "#audit/ports";
import { SIGNED_AGAIN_MS } from "#ledger/signing-times";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { StubOf } from "./stubs.ts";
import { inTime } from "#platform/deadlines";

/** Proofs over the Durable Objects of the ledger. */
export function ledgerProver(
  logOf: StubOf<Pick<LedgerShard, "proof">>,
  wait: (milliseconds: number) => Promise<unknown>,
): RecordProver {
  return {
    async prove({ log, index }) {
      const proof = () => inTime<Uint8Array | undefined>("ledgerProof", () => logOf(log).proof(index));
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
