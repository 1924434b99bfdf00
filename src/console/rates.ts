import type { Instant } from "#kernel/clock";
import type { LedgerHealthReport } from "#ledger/health";

/** The sizes of all logs at a moment. */
export interface Sample {
  readonly at: Instant;
  readonly sizes: ReadonlyMap<string, number>;
}

const samplesMax = 180;
const apartMilliseconds = 2_000;

/**
 * The samples of the last looks at the logs, in this isolate's memory: at most 180, at least two seconds apart. A
 * rate is the number of new leaves a minute between two neighbouring samples.
 */
export class LogRates {
  #samples: readonly Sample[] = [];

  add({ logs }: LedgerHealthReport, at: Instant): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && at - last.at < apartMilliseconds) return;
    // a silent log keeps its last number: 0 would look like a burst when it answers again
    const sizes = new Map(last?.sizes);
    for (const { log, size, state } of logs) if (state !== "silent") sizes.set(log, size);
    this.#samples = [...this.#samples, { at, sizes }].slice(-samplesMax);
  }

  get since(): Instant | undefined {
    return this.#samples[0]?.at;
  }

  /** New leaves a minute, oldest first: of a log, or of all logs. */
  perMinute(log?: string): readonly number[] {
    return this.#samples.slice(1).map((sample, i) => {
      const before = this.#samples[i];
      if (before === undefined) return 0;
      const grown = sizeIn(sample, log) - sizeIn(before, log);
      return Math.max(0, (grown * 60_000) / (sample.at - before.at));
    });
  }
}

function sizeIn({ sizes }: Sample, log: string | undefined): number {
  if (log !== undefined) return sizes.get(log) ?? 0;
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
