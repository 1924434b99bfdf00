import { ok, type Result } from "#kernel/result";
import type { GateRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";

/** A further request used this proof before. */
export type ProofReplayed = { readonly reason: "proof_replayed" };

export type Intended = Result<undefined, ProofReplayed>;

/** Puts the intent of a write on record. Throws when the ledger cannot. */
export interface IntentRecord {
  intend(concerned: ConcernedBy): Promise<Intended>;
}

/**
 * The only way in which the origin hears of a write: the client's lease is renewed and the registry asked
 * again (P4), the intent goes on record (P1), and then the write is sent, once. A crash after that leaves
 * the intent, which names the patients whom the write concerns.
 */
export async function afterIntent<T>(
  gate: Pick<ReleaseGate, "stillGood">,
  intend: () => Promise<Intended>,
  send: () => Promise<T>,
): Promise<Result<T, GateRefusal | ProofReplayed>> {
  const still = await gate.stillGood();
  if (!still.ok) return still;
  const intended = await intend();
  return intended.ok ? ok(await send()) : intended;
}
