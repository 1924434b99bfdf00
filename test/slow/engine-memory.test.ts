import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import type { Running } from "../../bench/process/process.ts";
import { embed } from "../../bench/workerd/capnp.ts";
import { bundleWorker, serveConfig } from "../../bench/workerd/serve.ts";
import type { LongPage } from "../support/engine-page.ts";
import { peakResidentMiB, residentMiB } from "../support/resident-memory.ts";

// workerd is one process: its resident memory is that of the isolate and the runtime around it.
const growthMiBMax = 32_000_000 / 1_048_576;
/** Pages before the measured page: compiled, and the heap has its usual size. */
const warmUps = 100;

const folder = mkdtempSync(join(tmpdir(), "phylax-engine-memory-"));
let bundle = "";
beforeAll(async () => {
  bundle = await bundleWorker(join(import.meta.dirname, "../support/engine-page-worker.ts"), folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A workerd of its own for each measurement, because a peak never falls. */
async function withWorkerd<T>(use: (running: Running) => Promise<T>): Promise<T> {
  const worker = {
    modules: [{ name: "engine.js", esModule: embed(bundle) }],
    compatibilityDate: "2026-10-01",
  };
  const running = await serveConfig(
    folder,
    "engine",
    {
      services: [{ name: "engine", worker }],
      sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: "engine" }],
    },
    ["http"],
  );
  try {
    return await use(running);
  } finally {
    await running.close();
  }
}

async function lengthOf(running: Running, long: LongPage): Promise<number> {
  const url = `http://127.0.0.1:${running.ready["http"]}/`;
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(long) });
  if (!answer.ok) throw new Error(`${answer.status}: ${running.said()}`);
  return Number(await answer.text());
}

const some = ["status", "code", "subject"];

test.for([
  ["an entry of 8 MiB that leaves", 1, 8_387_000, [...some, "note"], 8_387_000],
  ["an entry of 8 MiB of which little leaves", 1, 8_387_000, some, 200],
  ["10,000 entries, of which 1,000 leave", 10_000, 800, [...some, "note"], 900_000],
  ["10,000 entries, of which little leaves", 10_000, 3_000, ["status"], 100_000],
  ["a page as long as a page may be", 250, 32_000, [...some, "note"], 8_000_000],
] as const)(
  "%s: workerd grows by less than 32 MB",
  { timeout: 120_000 },
  async ([name, entries, noteBytes, shown, lengthMin], { expect }) => {
    await withWorkerd(async (running) => {
      for (let time = 0; time < warmUps; time += 1)
        await lengthOf(running, { entries: 20, noteBytes: 500, shown });
      const { pid = 0 } = running.child;
      const before = residentMiB(pid);
      const length = await lengthOf(running, { entries, noteBytes, shown });
      const growthMiB = peakResidentMiB(pid) - before;
      console.log(JSON.stringify({ name, length, growthMiB: Math.round(growthMiB) }));
      expect(length).toBeGreaterThan(lengthMin); // the page has what its view shows
      expect(growthMiB).toBeLessThan(growthMiBMax);
    });
  },
);
