import type { Instant } from "#kernel/clock";
import { type AlertId, alertRules } from "./rules.ts";

/** What a receiver gets about an alert. It has names, ids and numbers of ours. */
export interface AlertMessage {
  /** The same at each repeat: a receiver drops what it has. */
  readonly id: string;
  readonly alert: string;
  readonly state: "firing" | "ended";
  /** When the value came over the threshold, in RFC 3339. */
  readonly since: string;
  readonly at: string;
  readonly severity: string;
  readonly says: string;
  readonly runbook: string;
  readonly threshold: number;
  /** The operators' door of the deployment. */
  readonly deployment: string;
}

export function messageOf(
  alert: AlertId,
  state: AlertMessage["state"],
  about: { readonly id: string; readonly since: Instant; readonly at: Instant; readonly deployment: string },
): AlertMessage {
  const { severity, says, runbook, threshold } = alertRules[alert];
  const { id, since, at, deployment } = about;
  const times = { since: new Date(since).toISOString(), at: new Date(at).toISOString() };
  const link = `docs/runbook.md#${runbook}`;
  return { id, alert, state, ...times, severity, says, runbook: link, threshold, deployment };
}

/** How a try failed: no connection, no answer in time, or the status of the answer. */
export type PostFailure = "unreachable" | "late" | number;

const firstWait = 30_000;
const longestWait = 1_800_000;
/** A message that was not taken for so long is given up, and shown as a dead letter. */
export const giveUpMilliseconds = 6 * 3_600_000;

/** The time to the next try, after so many that failed: 30 s, doubled up to half an hour. */
export const waitAfter = (tries: number): number => Math.min(longestWait, firstWait * 2 ** (tries - 1));
