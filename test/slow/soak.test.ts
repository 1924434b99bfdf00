import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";
import { inLane } from "../support/lane.ts";
import { listenerOn } from "../support/listener.ts";
import { loadedResources } from "../support/load-requests.ts";
import { mixedLoad } from "../support/mixed-load.ts";
import { residentMiB } from "../support/resident-memory.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

// Half of the time is warm-up: isolates fill their caches, SQLite its pages, and V8 finds its heap's size.
const minutes = inLane({ fast: 0.5, slow: 0.5, long: 20 });
const growthMiBMax = inLane({ fast: 256, slow: 256, long: 96 }); // in a minute the heap still finds its size

let origin: Origin;
let phylax: TestStack;
beforeAll(async () => {
  origin = await startOrigin();
  await origin.load([...syntheticResources(), ...loadedResources()]);
  phylax = await startTestStack({ origin: origin.url });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

/** The median of samples taken each second: a garbage collection is no trend. */
async function medianResidentMiB(pid: number, seconds: number): Promise<number> {
  const samples: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    samples.push(residentMiB(pid));
    await wait(1_000);
  }
  return samples.sort((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
}

test(
  `${minutes} minutes of mixed load: the runtime's memory levels off, no answer is a fault, and the ledger verifies`,
  { timeout: minutes * 60_000 + 240_000 },
  async ({ expect }) => {
    const pid = listenerOn(phylax.stack.runtime.gateway.port);
    const load = mixedLoad(phylax.dev, 1);
    const quarter = Math.max(5, Math.round(minutes * 15));
    await wait(quarter * 1_000);
    const before = await medianResidentMiB(pid, quarter);
    await wait(quarter * 1_000);
    const after = await medianResidentMiB(pid, quarter);
    await load.end();

    const whole = load.exchanges.filter((request) => request.whole);
    console.log(
      JSON.stringify({
        minutes,
        requests: whole.length,
        beforeMiB: Math.round(before),
        afterMiB: Math.round(after),
      }),
    );
    expect(whole.length).toBeGreaterThan(100 * minutes);
    expect(
      whole
        .filter(({ status = 0 }) => status >= 500)
        .map(({ method, path, status }) => `${method} ${path}: ${status}`),
    ).toEqual([]);
    expect(after - before).toBeLessThan(growthMiBMax);
    expect(await verifyLedger(phylax.dev)).toMatchObject({ code: 0 });
  },
);
