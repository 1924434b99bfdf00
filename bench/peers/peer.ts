import type { Running } from "../process/process.ts";
import type { Target } from "../load/connection.ts";

/** A gateway in the comparison. Each gateway answers below `/v1/fhir/main/`. */
export interface Peer {
  readonly name: PeerName;
  readonly describe: string;
  readonly target: Target;
  /** True if it cuts, checks and records. A bare peer only forwards. */
  readonly isFull: boolean;
  /**
   * Header lines besides Host and Accept: one list for each token, which requests take in turn, valid for
   * about three minutes.
   */
  headers(): Promise<readonly (readonly string[])[]>;
  /** Every process that works for its answers. */
  readonly process: Running;
  /** The place of its records. A bare peer has no ledger. */
  readonly ledger?: Ledger;
}

export const peerNames = [
  "proxy",
  "phylax",
  "fastify-stock",
  "fastify-tuned",
  "fastify-tuned-cache",
] as const;
export type PeerName = (typeof peerNames)[number];

export interface Ledger {
  /** The number of records, after a check of all of them. Throws when the check fails. */
  records(): Promise<number>;
}
