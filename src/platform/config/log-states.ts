import type { Clock, Instant } from "#kernel/clock";
import type { CopyHealth } from "#ledger/flush";
import type { LedgerLayout } from "#ledger/layout";
import { openLogs } from "#ledger/log-name";
import { askWithStandIns } from "#ledger/stand-in-chain";
import { inTime } from "#platform/deadlines";
import type { StatusOf } from "./readiness.ts";

/** The state of a log for operators: docs/runbook.md. */
export type LogState = CopyHealth | "sealed" | "unreachable";

// Anyone may ask for readiness, and each log's object answers itself.
const logsMax = 64;

/**
 * The state of each log that takes records now, of at most 64 and of the logs that stand in for them; of more
 * shards different logs each second. Never throws: a log that does not answer within two seconds is
 * `unreachable`.
 */
export async function logStates(
  statusOf: StatusOf,
  layout: LedgerLayout,
  at: Instant,
): Promise<Readonly<Record<string, LogState>>> {
  const open = openLogs(layout.shards, at);
  const first = open.length <= logsMax ? 0 : (Math.floor(at / 1_000) * logsMax) % open.length;
  const logs = [...open, ...open].slice(first, first + Math.min(logsMax, open.length));
  const states = await Promise.all(
    logs.map((log) => askWithStandIns(log, (each) => stateOf(statusOf, each))),
  );
  return Object.fromEntries(states.flat().map(({ log, state }) => [log, state]));
}

interface Asked {
  readonly log: string;
  readonly state: LogState;
  readonly standIn: string | null;
}

const stateOf = (statusOf: StatusOf, log: string): Promise<Asked> =>
  inTime("readiness", () => statusOf(log).status()).then(
    ({ sealed, health, standIn }): Asked => ({
      log,
      state: sealed && health === "good" ? "sealed" : health,
      standIn,
    }),
    (): Asked => ({ log, state: "unreachable", standIn: null }),
  );

/**
 * A question whose answer is kept for a second in this isolate, so that many callers cause one question. A
 * question that is still under way is not shared: it belongs to the request that asked it.
 */
export function keptForASecond<T>(ask: () => Promise<T>, clock: Clock): () => Promise<T> {
  let kept: { readonly at: Instant; readonly answer: T } | undefined;
  return async () => {
    const now = clock();
    if (kept !== undefined && now >= kept.at && now - kept.at < 1_000) return kept.answer;
    const answer = await ask();
    kept = { at: now, answer };
    return answer;
  };
}
