import * as fc from "fast-check";
import { afterAll, beforeAll, test, vi } from "vitest";
import { logName } from "#ledger/log-name";
import { losses } from "./broken-writes.ts";
import type { Fault } from "./bucket.ts";
import { ModelledLog } from "./modelled-log.ts";
import { bucketIsAway, rootIsAway } from "./outages.ts";
import { ledger } from "./worker.ts";

/** An event in a log's life: its relative frequency, its arguments, and its action. */
const happening = <T>(
  weight: number,
  given: fc.Arbitrary<T>,
  happen: (log: ModelledLog, given: T) => Promise<void>,
) => ({
  weight,
  named: (name: string) =>
    given.map((value) => ({
      happen: (log: ModelledLog) => happen(log, value),
      [fc.toStringMethod]: () => `${name} ${fc.stringify(value)}`,
    })),
});
const nothing = fc.constant("");
const faults: readonly Fault[] = ["lost", "done, but an error", "crash before", "crash after"];
const jumps = [-3_600_000, -60_000, -5_000, 5_000, 50_000, 140_000, 1_900_000, 3_700_000];
const happenings = {
  append: happening(8, fc.tuple(fc.constantFrom(1, 7, 100, 253), fc.boolean()), (log, [count, proven]) =>
    log.append(count, proven),
  ),
  appendAgain: happening(2, fc.nat(99), (log, which) => log.appendAgain(which)),
  replay: happening(2, fc.nat(99), (log, which) => log.replay(which)),
  alarm: happening(5, nothing, (log) => log.alarm()),
  rootAlarm: happening(1, nothing, (log) => log.rootAlarm()),
  kill: happening(2, nothing, (log) => log.kill()),
  killAmidAppends: happening(1, fc.integer({ min: 1, max: 20 }), (log, count) => log.killAmidAppends(count)),
  evict: happening(1, nothing, (log) => log.evict()),
  breakWrite: happening(
    2,
    fc.tuple(fc.constantFrom("frame insert", "disk", "stage"), fc.constantFrom(...losses)),
    (log, given) => log.breakWrite(...given),
  ),
  breakFlush: happening(2, fc.tuple(fc.nat(12), fc.constantFrom(...faults)), (log, given) =>
    log.breakFlush(...given),
  ),
  bucketOutage: happening(2, fc.boolean(), (log, isAway) => log.bucketOutage(isAway)),
  rootOutage: happening(2, fc.boolean(), (log, isAway) => log.rootOutage(isAway)),
  clock: happening(3, fc.constantFrom(...jumps), (log, milliseconds) => log.clock(milliseconds)),
  halfYearEnds: happening(1, nothing, (log) => log.halfYearEnds()),
  remember: happening(2, nothing, (log) => log.remember()),
  rollBack: happening(2, nothing, (log) => log.rollBack()),
};
const anything = fc.oneof(
  ...Object.entries(happenings).map(([name, { weight, named }]) => ({ weight, arbitrary: named(name) })),
);

// PHYLAX_MODEL=<runs> sets the number of runs, PHYLAX_MODEL_SEED=<seed> repeats a run.
const { runs: numRuns, seed } = ledger.MODEL;
// of 64: each run has its own log, in successive half-years. The remaining shards take configurations and
// must not be sealed.
const shards = 59;
let runs = 0;

beforeAll(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterAll(() => {
  for (const isAway of [bucketIsAway, rootIsAway]) isAway(false);
  vi.useRealTimers();
});

test(
  "after any events in any order: acknowledged records stay, each size has one root, each checkpoint extends its predecessor, and the log refuses, gives the reason, and recovers as documented",
  { timeout: 60_000 + numRuns * 10_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anything, { minLength: 5, maxLength: 25 }), async (sequence) => {
        const half = Math.floor(runs / shards) + 1;
        const name = {
          shard: 5 + (runs++ % shards),
          halfYear: `${2027 + Math.floor(half / 2)}h${(half % 2) + 1}`,
        };
        // a failed run may have left them away
        for (const isAway of [bucketIsAway, rootIsAway]) isAway(false);
        const log = new ModelledLog(logName(name), Date.UTC(2027 + Math.floor(half / 2), (half % 2) * 6 + 3));
        await log.append(1, false);
        for (const { happen } of sequence) {
          await happen(log);
          await log.look();
          if (log.isOver) break;
        }
        await log.settle();
      }),
      { numRuns, ...(seed !== null && { seed }), endOnFailure: true },
    );
  },
);
