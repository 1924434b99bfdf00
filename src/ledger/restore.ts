import type { Result } from "#kernel/result";

/** A log whose storage was lost, after a step of its restoration. */
export interface LogRestored {
  readonly log: string;
  /** The log that takes its records; null when its half-year is over. */
  readonly standIn: string | null;
  /** False: there is more to rebuild, so restore again. */
  readonly isDone: boolean;
  /** Leaves that are rebuilt. */
  readonly leaves: number;
  /** Size in the root log's last checkpoint. If it exceeds `leaves`, the leaves between are lost. */
  readonly rooted: number;
}

/** Why a log is not restored. */
export interface RestoreProblem {
  readonly reason: "restore_log_unknown" | "restore_log_not_lost";
}

/** Restores logs whose storage was lost. */
export interface LedgerRestore {
  /** A step for this log; without a name, for each log that takes records now and is lost. */
  restore(log: string | undefined): Promise<Result<readonly LogRestored[], RestoreProblem>>;
}
