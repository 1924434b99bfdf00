import type { Running } from "../process.ts";
import type { Target } from "../connection.ts";

/** One of those that are measured side by side. Each answers below `/v1/fhir/main/`. */
export interface Peer {
  readonly name: string;
  readonly describe: string;
  readonly target: Target;
  /** Whether it cuts, checks and records; a bare one only passes on. */
  readonly isFull: boolean;
  /** Header lines beside Host and Accept, good for about four minutes. */
  headers(): Promise<readonly string[]>;
  /** All that works for its answers. */
  readonly process: Running;
  /** Where its records are; two peers may share one. A bare one has none. */
  readonly ledger?: Ledger;
}

export interface Ledger {
  /** The number of records in it, after checking all of them. Throws when they do not hold. */
  records(): Promise<number>;
}
