import type { Running } from "../process.ts";
import type { Target } from "../connection.ts";

/** A gateway in the comparison. Each gateway answers below `/v1/fhir/main/`. */
export interface Peer {
  readonly name: string;
  readonly describe: string;
  readonly target: Target;
  /** True if it cuts, checks and records. A bare peer only forwards. */
  readonly isFull: boolean;
  /** Header lines besides Host and Accept, valid for about four minutes. */
  headers(): Promise<readonly string[]>;
  /** Every process that works for its answers. */
  readonly process: Running;
  /** The place of its records; two peers may share it. A bare peer has no ledger. */
  readonly ledger?: Ledger;
}

export interface Ledger {
  /** The number of records, after a check of all of them. Throws when the check fails. */
  records(): Promise<number>;
}
