/** The public numbers of a log. */
export interface LogHealth {
  readonly log: string;
  /**
   * `idle`: it has no record yet. `sealed`: it takes no more records. `silent`: it does not answer, and its
   * numbers are 0.
   */
  readonly state: "good" | "degraded" | "refusing" | "sealed" | "idle" | "silent";
  /** Leaves. */
  readonly size: number;
  /** Leaves that R2 has. */
  readonly copied: number;
  /** The age of the oldest record without a copy in R2. */
  readonly behindSeconds: number;
  /** Leaves that the root log covers. */
  readonly rooted: number;
  /** Time of the last frame, in seconds since 1970; 0: there is none. */
  readonly seconds: number;
  /** The reason why a log is stopped, or the loss that it was rebuilt after. */
  readonly why: string | null;
}

/** A witness, and the time of its last cosignature in seconds since 1970. */
export interface WitnessHealth {
  readonly name: string;
  readonly cosignedAt: number | undefined;
  /** True if the published checkpoint covers the whole root log and has its cosignature. */
  readonly isCurrent: boolean;
}

/** The shards with which a half-year began, as `keyLayout` writes them. */
export interface HalfYearShards {
  readonly halfYear: string;
  /** Null before the first log of the half-year was opened. */
  readonly shards: string | null;
}

export interface LedgerHealthReport {
  readonly logs: readonly LogHealth[];
  readonly root: LogHealth;
  readonly witnesses: readonly WitnessHealth[];
}
