import { epochSeconds, type Instant } from "#kernel/clock";

/** An export that is not finished. */
export interface RunningExport {
  readonly startedAt: Instant;
  /**
   * The parts that are made, of all parts. Their number must not depend on rows that the client may not see: a
   * group's members count, and rows do not.
   */
  readonly partsMade: number;
  readonly parts: number;
}

/** Seconds since 1970 before which a poll is too early; undefined before the first poll. */
export type PollState = number | undefined;

export interface PollAnswer {
  readonly status: 202 | 429;
  readonly headers: Readonly<Record<string, string>>;
  readonly state: PollState;
}

/**
 * The seconds between two polls, by the age of the export alone, so that no row decides them. Sixty is the most:
 * SMART's bulk-data-client waits no longer, and ends at a 429.
 */
const waits = [
  { untilSeconds: 10, wait: 2 },
  { untilSeconds: 60, wait: 5 },
  { untilSeconds: 600, wait: 15 },
] as const;
const waitMax = 60;

/**
 * Answers a poll of a running export (FHIR Bulk Data Access 3.0.0, Bulk Data Status Request). A poll before the
 * end of the last `Retry-After` gets 429 and moves nothing. All times are whole seconds, rounded down, so a client
 * that waits as it was told is never too early.
 */
export function answerPoll(running: RunningExport, state: PollState, at: Instant): PollAnswer {
  const now = epochSeconds(at);
  const left = state === undefined ? 0 : state - now;
  // More than the longest wait is left only after the clock was set back.
  if (left > 0 && left <= waitMax) return { status: 429, headers: { "retry-after": `${left}` }, state };
  const age = now - epochSeconds(running.startedAt);
  const wait = waits.find(({ untilSeconds }) => age < untilSeconds)?.wait ?? waitMax;
  return {
    status: 202,
    headers: { "retry-after": `${wait}`, "x-progress": progressOf(running) },
    state: now + wait,
  };
}

// A grid: the exact share would tell the number of parts.
const stepPercent = 5;

/**
 * A percentage below 100: clients read the number at the beginning as percent, and SMART's bulk-data-client
 * misses the end of an export that has said 100.
 */
function progressOf({ partsMade, parts }: RunningExport): string {
  const share = parts === 0 ? 0 : (100 * partsMade) / parts;
  return `${Math.min(Math.floor(share / stepPercent) * stepPercent, 100 - stepPercent)}%`;
}
