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
   * Header lines besides Host and Accept: one list for each token of these clients, which requests take in turn,
   * valid for about three minutes.
   */
  headers(crowd: CrowdName): Promise<readonly (readonly string[])[]>;
  /** The CPU time of every process that works for its answers. */
  readonly process: Pick<Running, "cpuMicros">;
  /** The place of its records. A bare peer has no ledger. */
  readonly ledger?: Ledger;
}

/** The clients of the benchmark: `cold` are too many to be hot, `consents` call the origin with Consents on file. */
export const crowdNames = ["hot", "cold", "consents"] as const;
export type CrowdName = (typeof crowdNames)[number];

export const peerNames = [
  "proxy",
  "floor",
  "phylax",
  "fastify-stock",
  "fastify-tuned",
  "fastify-tuned-cache",
] as const;
/** With `--against`: the earlier commit, twice. */
export const oldNames = ["phylax-old", "phylax-old-again"] as const;
export type PeerName = (typeof peerNames)[number] | (typeof oldNames)[number];

export interface Ledger {
  /** The number of records, after a check of all of them. Throws when the check fails. */
  records(): Promise<number>;
}
