import type { ProofSink } from "#audit/ports";
import type { SuspensionProblem } from "#audit/accounting/suspension";
import type { DenialProblem } from "#identity/denial";
import type { ProofVerifier } from "#identity/proof";
import type { RegistryProblem } from "#registry/document";
import type { SignInVerifier } from "#identity/sign-in";
import type { Clock } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { CallCounter } from "#limits/flood";
import type { Operator } from "./operator.ts";

/** Who may administer, as `control` knows it. Throws when it cannot be known. */
export interface OperatorRoll {
  /** By `x5t#S256` of a certificate, suspended ones too. */
  find(x5t: string): Promise<Operator | undefined>;
}

/** How many entries a registry file brought: both 0 when all of it was there. */
export interface Applied {
  readonly added: number;
  readonly changed: number;
}

/** The registry's only writer. */
export interface RegistryDesk {
  /** Merges a registry file, never in place of what is there: all of it, or nothing and what stands against it. */
  apply(document: unknown): Promise<Result<Applied, RegistryProblem>>;
  /** In force when it returns, and everywhere within ten seconds. */
  revoke(denial: unknown): Promise<Result<void, DenialProblem>>;
  /** False when nothing of that name was denied. */
  lift(denial: unknown): Promise<Result<boolean, DenialProblem>>;
}

/** Keeps suspensions of patients' accountings. */
export interface AccountingHolds {
  hold(document: unknown): Promise<Result<void, SuspensionProblem>>;
}

export interface AdminPorts {
  readonly operators: OperatorRoll;
  /** Names of all that is denied at this moment and may concern an operator, one whose tokens are of this issuer. Throws when nobody says. */
  readonly denials: (issuer: string | undefined) => Promise<ReadonlySet<string>>;
  readonly signIns: SignInVerifier;
  readonly proofs: ProofVerifier;
  readonly registry: RegistryDesk;
  readonly accountings: AccountingHolds;
  readonly ledger: ProofSink;
  /** Of all callers, by certificate or by network. */
  readonly calls: CallCounter;
  /** Puts what this isolate started with on record, unless that was done. Throws when it cannot be. */
  readonly configured: () => Promise<void>;
  /** `https://host[:port]`: the configured name of this door, which proofs and tokens name. */
  readonly url: string;
  readonly clock: Clock;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  /** Whether each dependency answers; the keys are shown. */
  readonly dependencies: () => Promise<Readonly<Record<string, boolean>>>;
  /** Lets work come to its end after the connection is gone. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  /** Called with the kind of fault, never with its message: that may quote what the outside said. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}
