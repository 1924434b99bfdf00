import { setTimeout as wait } from "node:timers/promises";
import { test } from "vitest";
import { median } from "../../bench/median.ts";
import { isolatesAt } from "../../bench/profile/inspector.ts";
import { startOrigin } from "../../sandbox/origin/server.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";
import { listenerOn } from "../support/listener.ts";
import { loadedResources } from "../support/load-requests.ts";
import { type Exchange, mixedLoad, smallReads } from "../support/mixed-load.ts";
import { residentMiB } from "../support/resident-memory.ts";
import { startTestStack } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

interface Soak {
  readonly name: string;
  readonly shape?: typeof smallReads;
  /** Half of them is warm-up: isolates fill their caches, SQLite its pages, and V8 finds its heaps' sizes. */
  readonly minutes: number;
  /** The warm-up lasts longer on a machine that has not answered as many requests by then. */
  readonly warmUpRequests: number;
}

const soaks: readonly Soak[] = [
  { name: "small reads", shape: smallReads, minutes: 10, warmUpRequests: 24_000 },
  { name: "mixed load", minutes: 60, warmUpRequests: 24_000 },
];
const levelMiBMax = 800;
/** A minute: resident memory of the process, and the heaps of all isolates together. */
const growthMiBMax = { resident: 1, heaps: 0.25 };
// The allocator gives free pages back within this time.
const restSeconds = 40;
const mebibyte = 1_048_576;

// The memory under load goes up and down by some 20 MiB with the collections of 30 isolates: an isolate with little to
// do lets the runtime's own objects of its requests wait for hours. So a soak compares what full collections leave.
test.for(soaks)(
  "$minutes minutes of $name: the runtime takes less than 800 MiB, what full collections leave grows by less than 1 MiB a minute after the first half, no answer is a fault, and the ledger verifies",
  { timeout: 120 * 60_000 },
  async ({ name, shape, minutes, warmUpRequests }, { expect, onTestFinished }) => {
    process.env["MINIFLARE_WORKERD_V8_FLAGS"] += " --expose-gc";
    const origin = await startOrigin();
    onTestFinished(() => origin.close());
    await origin.load([...syntheticResources(), ...loadedResources()]);
    // The ledger's settings of `npm start`. With the tests' three seconds each patient's shelf of accounting lines is
    // written so often that its object never rests, and SQLite keeps each page of the shelf in memory.
    const phylax = await startTestStack({ origin: origin.url, settleSeconds: 45, isInspected: true });
    onTestFinished(() => phylax.close());
    const { gateway, miniflare } = phylax.stack.runtime;
    const pid = listenerOn(gateway.port);
    const isolates = await isolatesAt(Number((await miniflare.getInspectorURL()).port));
    onTestFinished(() => isolates.forEach((isolate) => isolate.close()));

    const answered = { whole: 0 };
    const faults: string[] = [];
    const over = ({ whole: isWhole, status = 0, method, path }: Exchange) => {
      if (!isWhole) return;
      answered.whole += 1;
      if (status >= 500) faults.push(`${method} ${path}: ${status}`);
    };
    /** Asks for half of the time, and until there are so many answers. Then the memory that stays. */
    const half = async (requestsMin: number) => {
      const load = mixedLoad(phylax.dev, minutes + answered.whole, over, shape);
      const began = Date.now();
      const passed = () => (Date.now() - began) / 60_000;
      const level: number[] = [];
      while (passed() < minutes / 2 || answered.whole < requestsMin) {
        level.push(residentMiB(pid));
        await wait(1_000);
      }
      const lasted = passed();
      await load.end();
      const heaps: number[] = [];
      for (const isolate of isolates) heaps.push((await isolate.bytesAlive()) / mebibyte);
      let resident = Infinity;
      for (let second = 0; second < restSeconds; second += 1) {
        resident = Math.min(resident, residentMiB(pid));
        await wait(1_000);
      }
      const all = heaps.reduce((sum, each) => sum + each, 0);
      return { minutes: lasted, requests: answered.whole, level: median(level), resident, all, heaps };
    };
    const [first, second] = [await half(warmUpRequests), await half(0)];

    const aMinute = (before: number, after: number) => (after - before) / second.minutes;
    const growth = {
      resident: aMinute(first.resident, second.resident),
      heaps: aMinute(first.all, second.all),
    };
    const rounded = (_name: string, value: unknown) =>
      typeof value === "number" ? Number(value.toFixed(2)) : value;
    const grown = isolates
      .map((isolate, n) => ({ name: isolate.name, from: first.heaps[n] ?? 0, to: second.heaps[n] ?? 0 }))
      .filter(({ from, to }) => to - from > 0.1);
    console.log(JSON.stringify({ name, halves: [first, second], growthMiBAMinute: growth, grown }, rounded));
    expect(faults).toEqual([]);
    expect(Math.max(first.level, second.level)).toBeLessThan(levelMiBMax);
    expect(growth.resident).toBeLessThan(growthMiBMax.resident);
    expect(growth.heaps).toBeLessThan(growthMiBMax.heaps);
    expect(await verifyLedger(phylax.dev)).toMatchObject({ code: 0 });
  },
);
