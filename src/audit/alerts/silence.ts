import type { Instant } from "#kernel/clock";

/**
 * A time in which alerts send no message, such as a maintenance window. They are judged and shown meanwhile, and an alert
 * that still fires at the end is sent then.
 */
export interface Silence {
  readonly id: string;
  /** Ids of alerts, or `all` alone. */
  readonly alerts: readonly string[];
  readonly from: Instant;
  readonly until: Instant;
  readonly reason: string;
  readonly operator: string;
}

/** A longer silence is forgotten: a window of a week is the longest. */
export const silenceMaxMilliseconds = 7 * 86_400_000;

export const isSilenced = (alert: string, silences: readonly Silence[], at: Instant): boolean =>
  silences.some(
    ({ alerts, from, until }) =>
      from <= at && at < until && (alerts.includes("all") || alerts.includes(alert)),
  );
