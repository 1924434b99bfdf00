import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { inLane } from "../support/lane.ts";
import { measured } from "../../bench/scale/measured.ts";
import { targets } from "../../bench/measures.ts";
import { peerNames } from "../../bench/peers/peer.ts";
import type { Report } from "../../bench/report.ts";
import { plans } from "../../bench/requests/plans.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "phylax-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function bench(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

const leftovers = () =>
  existsSync(join(root, ".phylax"))
    ? readdirSync(join(root, ".phylax")).filter((name) => name.startsWith("bench-"))
    : [];

// On systems without /proc the benchmark cannot read CPU time, and says so.
test.skipIf(!existsSync("/proc/self/stat"))(
  "a short run answers from every peer, checks the cut and the ledgers, writes numbers, and leaves nothing behind",
  { timeout: 300_000 },
  async ({ expect }) => {
    const before = leftovers();
    const json = join(folder, "bench.json");
    const { code, said } = await bench("--short", "--only", "requests", "--json", json);
    expect(code, said).toBe(0);
    expect(said).toContain("these figures mean nothing");
    // The records of the floor, of Phylax, of the stock peer and of both tuned peers.
    expect(said.match(/^ledger good: /gmu)).toHaveLength(5);
    expect(said).toContain("all peers give the same answers");

    const { measures, requests }: Report = JSON.parse(readFileSync(json, "utf8"));
    if (requests === null) return expect(requests).not.toBeNull();
    expect(requests.peers.map(({ name }) => name)).toEqual(peerNames);
    const slices = plans.reduce((sum, { contestants }) => sum + contestants.length, 0);
    expect(requests.figures).toHaveLength(slices);
    for (const {
      cpuMicrosPerRequest,
      requestsPerSecond,
      p50Milliseconds,
      p95Milliseconds,
    } of requests.figures)
      for (const figure of [cpuMicrosPerRequest, requestsPerSecond, p50Milliseconds, p95Milliseconds])
        expect(figure).toBeGreaterThan(0);
    for (const { originBytes, answerBytes } of requests.payloads)
      expect(answerBytes).toBeLessThan(originBytes);
    const ids = Object.keys(targets).filter((id) => /^(?:cpu|rps|open-loop)-/u.test(id));
    expect(measures.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    for (const { value, unit } of measures) {
      expect(value).toEqual(expect.any(Number));
      if (unit === "×") expect(value).toBeGreaterThan(0);
    }
    expect(leftovers()).toEqual(before);
  },
);

const git = (...args: readonly string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
const checkouts = () =>
  git("worktree", "list")
    .stdout.split("\n")
    .filter((line) => line.includes(join(root, ".phylax/bench-")));

const engine = { groups: ["--only", "redact"], rows: ["redact-60k"], gateways: 0 };
const everything = {
  groups: [],
  rows: ["cpu 2k", "cpu clients (cold)", "cpu consents consents-50", "redact-60k", "append-cpu-vs-call"],
  gateways: 3,
};

test.skipIf(!existsSync("/proc/self/stat") || git("cat-file", "-e", "HEAD:bench/serve.ts").status !== 0)(
  "two commits are compared by code of their own, and the checkout of the earlier one goes, also when the run is killed",
  { timeout: 600_000 },
  async ({ expect }) => {
    const [before, folders] = [checkouts(), leftovers()];
    const json = join(folder, "against.json");
    // three gateways and all their rows take four minutes: the long lane has them
    const { groups, rows, gateways } = inLane({ fast: engine, slow: engine, long: everything });
    const { code, said } = await bench("--short", "--against", "HEAD", "--json", json, ...groups);
    expect(code, said).toBe(0);
    expect(said).toContain("no verdicts: a short run");
    // the earlier commit in two processes, and this tree: each has a record for each answer
    expect(said.match(/^ledger good: phylax/gmu) ?? []).toHaveLength(gateways);
    const { against, measures }: Report = JSON.parse(readFileSync(json, "utf8"));
    expect(measures).toEqual([]);
    expect(against?.commit).toBe(git("rev-parse", "HEAD").stdout.trim());
    const ids = against?.comparisons.map(({ id }) => id) ?? [];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining([...rows]));
    for (const { ratio, spread } of against?.comparisons ?? []) {
      expect(ratio).toBeGreaterThan(0);
      expect(spread).toBeGreaterThanOrEqual(0);
    }
    expect(leftovers()).toEqual(folders);
    await expect.poll(checkouts, { timeout: 10_000 }).toEqual(before);

    const child = spawn(process.execPath, [join(root, "bench/run.ts"), "--short", "--against", "HEAD"]);
    const ended = new Promise((done) => child.once("close", done));
    await expect.poll(checkouts, { timeout: 60_000 }).not.toEqual(before);
    child.kill("SIGKILL");
    await ended;
    await expect.poll(checkouts, { timeout: 10_000 }).toEqual(before);
    for (const name of leftovers().filter((folder) => !folders.includes(folder)))
      rmSync(join(root, ".phylax", name), { recursive: true, force: true });
  },
);

test.skipIf(!existsSync("/proc/self/stat"))(
  "a short run with traces on against off has the rule's ratio of each row, traces at the collector, and leaves nothing behind",
  { timeout: 300_000 },
  async ({ expect }) => {
    const before = leftovers();
    const json = join(folder, "traces.json");
    const { code, said } = await bench("--short", "--only", "traces", "--json", json);
    expect(code, said).toBe(0);
    expect(said).toMatch(/^collector good: [1-9]/mu);
    expect(said.match(/^ledger good: phylax/gmu), "both without traces, and one with").toHaveLength(3);
    const { against, requests, traces }: Report = JSON.parse(readFileSync(json, "utf8"));
    expect([against, requests]).toEqual([null, null]);
    expect(traces?.map(({ id }) => id)).toEqual(["cpu 2k", "cpu 60k"]);
    for (const { ratio, from, to, spread } of traces ?? []) {
      expect(from).toBeGreaterThan(0);
      expect(ratio).toBeGreaterThanOrEqual(from);
      expect(ratio).toBeLessThanOrEqual(to);
      expect(spread).toBeGreaterThanOrEqual(0);
    }
    expect(leftovers()).toEqual(before);
  },
);

/** Ids of the processes that work in this checkout's folders for benchmarks. */
const workers = () =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/u.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(join(root, ".phylax/bench-"));
    } catch {
      return false; // it ended meanwhile
    }
  });

test.skipIf(!existsSync("/proc/self/stat"))(
  "an interrupted or killed run leaves no process behind",
  { timeout: 300_000 },
  async ({ expect }) => {
    const [before, folders] = [new Set(workers()), new Set(leftovers())];
    const left = () => workers().filter((pid) => !before.has(pid));
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const child = spawn(process.execPath, [join(root, "bench/run.ts"), "--short", "--only", "requests"]);
      const ended = new Promise((done) => child.once("close", done));
      let said = "";
      await new Promise<void>((measuring, failed) => {
        child.once("close", () => failed(new Error(said)));
        child.stderr.on("data", (chunk: Buffer) => {
          said += chunk.toString();
          if (said.includes("all peers give the same answers")) measuring();
        });
      });
      expect(left().length).toBeGreaterThan(4);
      child.kill(signal);
      await ended;
      await expect.poll(left, { timeout: 10_000 }).toEqual([]);
    }
    // what a killed run could not delete
    for (const name of leftovers().filter((folder) => !folders.has(folder)))
      rmSync(join(root, ".phylax", name), { recursive: true, force: true });
  },
);

test.skipIf(!existsSync("/proc/self/stat"))(
  "a short run of the ledger appends beside every peer, counts what docs/scale.md counts with, verifies what it wrote, and leaves nothing behind",
  { timeout: 300_000 },
  async ({ expect }) => {
    const before = leftovers();
    const json = join(folder, "ledger.json");
    const { code, said } = await bench("--short", "--only", "ledger", "--json", json);
    expect(code, said).toBe(0);
    expect(said).toContain("these figures mean nothing");

    const { requests, ledger }: Report = JSON.parse(readFileSync(json, "utf8"));
    expect(requests).toBeNull();
    if (ledger === null) return expect(ledger).not.toBeNull();
    expect(ledger.appends).toHaveLength(3 * 4 * 4); // kinds of append, peers, numbers of callers
    for (const { peer, callers, appendsPerSecond, leavesPerFrame = 0 } of ledger.appends) {
      expect(appendsPerSecond).toBeGreaterThan(0);
      // a group commit
      if (peer === "ledger") expect(leavesPerFrame).toBeGreaterThan(callers === 1 ? 0.9 : 4);
    }
    expect(ledger.served.map(({ what }) => what)).toEqual(["checkpoint", "proof", "tile", "entries"]);
    expect(ledger.verification).toMatchObject({ export: expect.any(Number), verify: expect.any(Number) });

    for (const { perFrame, frames, appended, settled, rooted } of ledger.counts) {
      // the first frame opens the log, with two leaves more
      const tiles = Math.floor((perFrame * (frames + 1) + 2) / 256);
      expect(appended["shard.rows"]).toBe(
        frames * (measured.rowsPerFrame + measured.rowsPerLinesRow) + tiles,
      );
      expect(settled["root.rows"]).toBe(measured.rowsPerHandOver - 1); // handed over, and then a leaf
      expect(rooted["root.rows"]).toBeGreaterThanOrEqual(measured.rowsPerRootFrame);
    }
    expect(ledger.shelf.rowsPerLine).toBe(measured.rowsPerShelvedLine);
    expect(ledger.shelf.storedBytesPerLine / measured.storedBytesPerLine).toBeGreaterThan(0.7);
    expect(ledger.shelf.storedBytesPerLine / measured.storedBytesPerLine).toBeLessThan(1.4);
    expect(leftovers()).toEqual(before);
  },
);
