import type { Instant } from "#kernel/clock";
import type { LedgerHealthReport } from "#ledger/health";

/** The numbers of a log at a moment, in leaves. */
interface LogNumbers {
  readonly size: number;
  /** Leaves that R2, and the root log, do not have yet. */
  readonly behindCopy: number;
  readonly behindRoot: number;
  /** The root log has no records: it is left out of sums. */
  readonly isRoot: boolean;
}

/** The numbers of all logs at a moment. */
interface Sample {
  readonly at: Instant;
  readonly logs: ReadonlyMap<string, LogNumbers>;
}

const samplesMax = 180;
const apartMilliseconds = 2_000;

/**
 * The numbers of the last looks at the logs, in this isolate's memory: at most 180, at least two seconds apart. A
 * rate is the number of new leaves a minute between two neighbouring samples.
 */
export class LogRates {
  #samples: readonly Sample[] = [];

  add({ logs, root }: LedgerHealthReport, at: Instant): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && at - last.at < apartMilliseconds) return;
    // a silent log keeps its last numbers: 0 would look like a burst when it answers again
    const numbers = new Map(last?.logs);
    for (const { log, size, copied, rooted, state } of [...logs, root])
      if (state !== "silent")
        numbers.set(log, {
          size,
          behindCopy: Math.max(0, size - copied),
          behindRoot: log === root.log ? 0 : Math.max(0, size - rooted),
          isRoot: log === root.log,
        });
    this.#samples = [...this.#samples, { at, logs: numbers }].slice(-samplesMax);
  }

  get since(): Instant | undefined {
    return this.#samples[0]?.at;
  }

  /** New leaves a minute, oldest first: of a log, or of all logs. */
  perMinute(log?: string): readonly number[] {
    return this.#samples.slice(1).map((sample, i) => {
      const before = this.#samples[i];
      if (before === undefined) return 0;
      // a log that is seen for the first time did not grow by its whole size
      const grown = sumOf(sample, "size", log, before) - sumOf(before, "size", log, before);
      return Math.max(0, (grown * 60_000) / (sample.at - before.at));
    });
  }

  /** Leaves that R2, or the root log, did not have yet, oldest first: of a log, or of all logs. */
  behind(place: "behindCopy" | "behindRoot", log?: string): readonly number[] {
    return this.#samples.map((sample) => sumOf(sample, place, log, sample));
  }
}

function sumOf(
  { logs }: Sample,
  what: "size" | "behindCopy" | "behindRoot",
  log: string | undefined,
  { logs: among }: Sample,
): number {
  const known = [...among].filter(([name, { isRoot }]) => (log === undefined ? !isRoot : name === log));
  return known.reduce((sum, [name]) => sum + (logs.get(name)?.[what] ?? 0), 0);
}
