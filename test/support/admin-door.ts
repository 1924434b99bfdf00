import type { AdminPorts } from "#admin/ports";
import type { ProofSink } from "#audit/ports";
import { err } from "#kernel/result";

/** An operator that comes by its certificate alone, but for what a test says of it. */
export const machine = { status: "active", kind: "machine", signIn: undefined } as const;

/** A ledger where nobody has a proof to use up. */
export const recordsOnly = (record: ProofSink["record"]): ProofSink => ({
  record,
  recordOnce: () => Promise.reject(new Error("no proof was shown")),
});

/** What the operators' door needs for those who sign in, where none does, nothing is denied and no accounting suspended; its configuration is on record. */
export const nobodySignsIn = {
  url: "https://ops.example.org",
  denials: () => Promise.resolve(new Set<string>()),
  signIns: { verify: () => Promise.resolve(err({ reason: "issuer_unknown" })) },
  proofs: { verify: () => Promise.resolve(err({ reason: "proof_missing" })), nonce: () => "" },
  configured: () => Promise.resolve(),
  calls: { limit: () => Promise.resolve({ success: true }) },
  keepAlive: () => {},
  accountings: { hold: () => Promise.resolve(err({ reason: "suspension_invalid", field: "id" })) },
} satisfies Partial<AdminPorts>;
