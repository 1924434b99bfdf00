import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { randomInt } from "node:crypto";
import { afterAll, test } from "vitest";
import { readDevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections } from "../../cli/connection/mutual-tls.ts";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { seeded } from "../../sandbox/synthetic/random.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";
import { KeptPromises } from "../support/kept-promises.ts";
import { inLane } from "../support/lane.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { loadedResources } from "../support/load-requests.ts";
import { type Exchange, mixedLoad } from "../support/mixed-load.ts";
import { freePort } from "../support/free-port.ts";

// PHYLAX_CRASH sets the number of kills; PHYLAX_CRASH_SEED repeats the moments and the requests of a run.
const moments = Number(process.env["PHYLAX_CRASH"] ?? inLane({ fast: 3, slow: 3, long: 50 }));
const countEvery = 10;
const seed = Number(process.env["PHYLAX_CRASH_SEED"] ?? randomInt(2 ** 31));
const loadMilliseconds = 8_000;

const state = mkdtempSync(join(tmpdir(), "phylax-crash-"));
let origin: Origin | undefined;
let stack: KillableStack | undefined;
afterAll(async () => {
  await stack?.end();
  await origin?.close();
  rmSync(state, { recursive: true, force: true });
});

test(
  `the runtime, or all of Phylax, is killed at ${moments} random moments under load: nothing that was acknowledged is missing, nothing was written twice, and every accounting is what an auditor counts`,
  { timeout: 120_000 + moments * 60_000 },
  async () => {
    console.log(`PHYLAX_CRASH_SEED=${seed}`);
    const random = seeded(seed);
    // it outlives every kill, as another company's server does
    const server = (origin = await startOrigin());
    await server.load([...syntheticResources(), ...loadedResources()]);
    const port = await freePort();
    const start = () => (stack = startKillable(port, state, server.url));
    const promises = new KeptPromises();

    const from = Date.now();
    await start().ready;
    const startMilliseconds = Date.now() - from;
    const isEnough = ({ receipts, created, replays } = promises.summary) =>
      receipts > 20 * moments && created > moments && replays > 0;
    for (let moment = 1; moment <= moments || !isEnough(); moment++) {
      const isFresh = random.int(0, 1) === 1; // under load from its first moment on
      const at = random.int(0, loadMilliseconds + (isFresh ? startMilliseconds : 0));
      const exchanges: Exchange[] = [];
      const load = mixedLoad(readDevFile(state), random.int(0, 2 ** 30), (one) => exchanges.push(one));
      if (isFresh) {
        await stack?.killAll();
        start();
      }
      await wait(at);
      const all = random.int(0, 1) === 1;
      const killed = all ? stack?.killAll() : stack?.killRuntime();
      await wait(100); // the earlier requests are read
      await load.end();
      await killed;
      await stack?.killAll();
      closeConnections();
      promises.take(exchanges);

      await start().ready;
      const dev = readDevFile(state);
      await promises.replay(dev);
      await promises.verify(dev);
      const counted =
        moment % countEvery === 0 || (moment >= moments && isEnough())
          ? await promises.count(dev)
          : undefined;
      closeConnections();
      const whole = exchanges.filter((one) => one.whole).length;
      const broken = exchanges.filter((one) => one.status !== undefined && !one.whole).length;
      const where = `${all ? "all" : "runtime"} ${at} ms after ${isFresh ? "it was started" : "the load began"}`;
      console.log(
        JSON.stringify({
          moment,
          where,
          whole,
          broken,
          ...promises.summary,
          ...counted,
          at: Date.now() - from,
        }),
      );
    }
  },
);
