import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import { accessToken } from "../../cli/connection/access-token.ts";
import { readDevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections, openRequest, send } from "../../cli/connection/mutual-tls.ts";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { inLane } from "../support/lane.ts";
import { residentMiB } from "../support/resident-memory.ts";

const rows = inLane({ fast: 5_000, slow: 10_000, long: 200_000 });
const measures = inLane({ fast: 1, slow: 3, long: 1 });
const kills = inLane({ fast: 1, slow: 3, long: 20 });
const rowBytes = 5_000;
const growthMiBMax = 64;

const state = mkdtempSync(join(tmpdir(), "phylax-large-export-"));
let origin: Origin;
let stack: KillableStack;
let start: () => KillableStack;

const row = (n: number): Resource => ({
  resourceType: "Observation",
  id: `row-${n}`,
  meta: { lastUpdated: "2026-01-01T00:00:00Z" },
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/p${n % 1_000}` },
  note: [{ text: "n".repeat(rowBytes - 400) }],
});
function* world(): Generator<Resource> {
  for (let n = 0; n < 1_000; n += 1) yield { resourceType: "Patient", id: `p${n}` };
  for (let n = 0; n < rows; n += 1) yield row(n);
}

beforeAll(async () => {
  origin = await startOrigin();
  await origin.load(world());
  const port = await freePort();
  start = () => (stack = startKillable(port, state, origin.url));
  await start().ready;
}, 300_000);
afterAll(async () => {
  await stack.end();
  await origin.close();
  rmSync(state, { recursive: true, force: true });
});

const client = () => {
  const dev = readDevFile(state);
  const found = dev.clients.find(({ id }) => id === "telehealth");
  if (found === undefined) throw new Error("no telehealth");
  return { dev, found };
};
async function headers(more: Readonly<Record<string, string>> = {}) {
  const { dev, found } = client();
  return { authorization: `Bearer ${await accessToken(dev, found)}`, ...more };
}
const ask = async (url: string, more: Readonly<Record<string, string>> = {}) => {
  const { dev, found } = client();
  return send(dev, found, url, { headers: await headers(more) });
};

/** Starts an export; returns the address of its only file. */
async function kickOff(): Promise<string> {
  const { dev } = client();
  const begun = await ask(`${dev.fhir}/$export?_type=Observation`, { prefer: "respond-async" });
  const status = await ask(String(begun.headers["content-location"]));
  const { output } = JSON.parse(status.text) as { output: { url: string }[] };
  return output[0]?.url ?? "";
}

interface Read {
  readonly ids: readonly string[];
  readonly bytes: number;
  readonly isWhole: boolean;
}

async function download(url: string, during: (bytes: number) => void = () => undefined): Promise<Read> {
  const { dev, found } = client();
  const { status, body } = await openRequest(dev, found, url, { headers: await headers() });
  const ids: string[] = [];
  let [bytes, rest, isWhole] = [0, "", status === 200];
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      const lines = (rest + chunk.toString("latin1")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) ids.push(/"id":"(row-\d+)"/u.exec(line)?.[1] ?? "");
      during(bytes);
    }
  } catch {
    isWhole = false;
  }
  return { ids, bytes, isWhole: isWhole && body.complete };
}

/** Milliseconds of CPU of the runtime so far (proc(5): ticks of 10 ms). */
const cpuMilliseconds = () =>
  stack.runtimes().reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return sum + 10 * (Number(fields[11]) + Number(fields[12]));
  }, 0);
const resident = () => stack.runtimes().reduce((sum, pid) => sum + residentMiB(pid), 0);

test(
  `an export of ${rows} rows has every row once, and grows no worker by ${growthMiBMax} MiB`,
  { timeout: 1_800_000 },
  async ({ expect }) => {
    await download(await kickOff()); // the isolate is warm, and V8's heap has its size
    await searchAll();
    const growths: number[] = [];
    for (let round = 0; round < measures; round += 1) {
      const url = await kickOff();
      const idle = resident();
      let most = idle;
      const watch = setInterval(() => (most = Math.max(most, resident())), 100);
      const before = cpuMilliseconds();
      const from = Date.now();
      const read = await download(url);
      const [took, cpu] = [Date.now() - from, cpuMilliseconds() - before];
      clearInterval(watch);
      expect([read.isWhole, read.ids.length, new Set(read.ids).size]).toEqual([true, rows, rows]);
      const searched = await searchAll();
      const ratio = cpu / rows / (searched.cpu / searched.rows);
      growths.push(most - idle);
      console.log(
        `${rows} rows, ${(read.bytes / 1e6).toFixed(0)} MB in ${(took / 1000).toFixed(1)} s: ${(cpu / rows).toFixed(3)} ms of CPU a row, ${ratio.toFixed(2)} of a search's; grew ${(most - idle).toFixed(0)} MiB over ${idle.toFixed(0)}`,
      );
    }
    expect(Math.max(...growths)).toBeLessThan(growthMiBMax);
  },
);

/** The same rows by the client's own searches, at most 20,000 of them. */
async function searchAll(): Promise<{ readonly rows: number; readonly cpu: number }> {
  const { dev } = client();
  const before = cpuMilliseconds();
  let [url, found]: [string | undefined, number] = [`${dev.fhir}/Observation?_count=500`, 0];
  while (url !== undefined && found < 20_000) {
    const page = await ask(url);
    const { entry = [], link = [] } = JSON.parse(page.text) as {
      entry?: unknown[];
      link?: { relation: string; url: string }[];
    };
    found += entry.length;
    url = link.find(({ relation }) => relation === "next")?.url;
  }
  return { rows: found, cpu: cpuMilliseconds() - before };
}

test(
  `workerd is killed at ${kills} random moments of a download: no broken file looks whole, and a repeat has every row once`,
  { timeout: 120_000 + kills * 600_000 },
  async ({ expect }) => {
    for (let round = 0; round < kills; round += 1) {
      const url = await kickOff();
      const at = randomInt(rows * rowBytes);
      let isKilled = false;
      const broken = await download(url, (bytes) => {
        if (bytes < at || isKilled) return;
        isKilled = true;
        stack.killRuntime();
      });
      expect(broken.isWhole && broken.ids.length < rows, `${broken.ids.length} rows`).toBe(false);
      await stack.killAll();
      closeConnections();
      await wait(100);
      await start().ready;
      const again = await download(url);
      expect([again.isWhole, again.ids.length, new Set(again.ids).size]).toEqual([true, rows, rows]);
    }
  },
);

test("an origin that dies ends the file by a broken transfer, which no client takes for a whole file", async ({
  expect,
}) => {
  const url = await kickOff();
  let closing: Promise<void> | undefined;
  const read = await download(url, () => void (closing ??= origin.close()));
  await closing;
  expect(read.isWhole).toBe(false);
  expect(read.ids.length).toBeLessThan(rows);
}, 600_000);
