import { setTimeout as wait } from "node:timers/promises";
import { test } from "vitest";
import { median } from "../../bench/median.ts";
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
  readonly sampleSeconds: number;
}

const soaks: readonly Soak[] = [
  { name: "small reads", shape: smallReads, minutes: 10, warmUpRequests: 24_000, sampleSeconds: 1 },
  { name: "mixed load", minutes: 60, warmUpRequests: 24_000, sampleSeconds: 6 },
];
const growthMiBMax = 1; // a minute
const levelMiBMax = 800;

interface Sample {
  readonly minute: number;
  readonly mebibytes: number;
}

/**
 * MiB a minute: the median of the slopes between all pairs of samples (Theil and Sen). The garbage before a
 * collection turns it less than a line of least squares.
 */
const growth = (samples: readonly Sample[]): number =>
  median(
    samples.flatMap((one, n) =>
      samples
        .slice(n + 1)
        .map(({ minute, mebibytes }) => (mebibytes - one.mebibytes) / (minute - one.minute)),
    ),
  );

test("a leak of 2 MiB a minute is seen beside 60 MiB of garbage that comes and goes", ({ expect }) => {
  const samples = (leak: number) =>
    Array.from({ length: 300 }, (_, n) => ({ minute: n / 60, mebibytes: leak * (n / 60) + ((n * 7) % 60) }));
  expect(growth(samples(0))).toBeLessThan(growthMiBMax);
  expect(growth(samples(2))).toBeGreaterThan(growthMiBMax);
});

test.for(soaks)(
  "$minutes minutes of $name: after the first half the runtime takes less than 800 MiB and grows by less than 1 MiB a minute, no answer is a fault, and the ledger verifies",
  { timeout: 120 * 60_000 },
  async ({ name, shape, minutes, warmUpRequests, sampleSeconds }, { expect, onTestFinished }) => {
    const origin = await startOrigin();
    onTestFinished(() => origin.close());
    await origin.load([...syntheticResources(), ...loadedResources()]);
    // The ledger's settings of `npm start`. With the tests' three seconds each patient's shelf of accounting lines is
    // written so often that its object never rests, and SQLite keeps each page of the shelf in memory.
    const phylax = await startTestStack({ origin: origin.url, settleSeconds: 45 });
    onTestFinished(() => phylax.close());
    const pid = listenerOn(phylax.stack.runtime.gateway.port);

    let whole = 0;
    const faults: string[] = [];
    const over = ({ whole: isWhole, status = 0, method, path }: Exchange) => {
      if (!isWhole) return;
      whole += 1;
      if (status >= 500) faults.push(`${method} ${path}: ${status}`);
    };
    const load = mixedLoad(phylax.dev, minutes, over, shape);
    const began = Date.now();
    const passed = () => (Date.now() - began) / 60_000;
    const sample = async (until: () => boolean): Promise<Sample[]> => {
      const samples: Sample[] = [];
      while (!until()) {
        samples.push({ minute: passed(), mebibytes: residentMiB(pid) });
        await wait(sampleSeconds * 1_000);
      }
      return samples;
    };
    const warmUp = await sample(() => passed() >= minutes / 2 && whole >= warmUpRequests);
    const warmUpEnd = { minute: passed(), requests: whole };
    const samples = await sample(() => passed() >= warmUpEnd.minute + minutes / 2);
    await load.end();

    const [slope, level] = [growth(samples), median(samples.map(({ mebibytes }) => mebibytes))];
    const eachMinute = [...warmUp, ...samples].filter((_, n) => n % Math.round(60 / sampleSeconds) === 0);
    console.log(
      JSON.stringify({
        name,
        requests: whole,
        warmUpEnd,
        eachMinuteMiB: eachMinute.map(({ mebibytes }) => Math.round(mebibytes)),
        growthMiBAMinute: Number(slope.toFixed(2)),
      }),
    );
    expect(faults).toEqual([]);
    expect(level).toBeLessThan(levelMiBMax);
    expect(slope).toBeLessThan(growthMiBMax);
    expect(await verifyLedger(phylax.dev)).toMatchObject({ code: 0 });
  },
);
