import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import type { Report } from "../../bench/report.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "phylax-bench-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function bench(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

const leftovers = () =>
  existsSync(join(root, ".phylax")) ? readdirSync(join(root, ".phylax")).filter((name) => name.startsWith("bench-")) : [];

// Not Linux: there is no /proc to read CPU time from, and the benchmark says so.
test.skipIf(!existsSync("/proc/self/stat"))(
  "a short run answers from every peer, checks the cut and the ledgers, writes numbers, and leaves nothing behind",
  { timeout: 300_000 },
  async ({ expect }) => {
    const before = leftovers();
    const json = join(folder, "bench.json");
    const { code, said } = await bench("--short", "--json", json);
    expect(code, said).toBe(0);
    expect(said).toContain("these figures mean nothing");
    expect(said.match(/^ledger good: /gmu)).toHaveLength(3);

    const report: Report = JSON.parse(readFileSync(json, "utf8"));
    expect(report.peers.map(({ name }) => name)).toEqual(["proxy", "proxy-dev", "phylax", "phylax-tls", "fastify", "fastify-cache"]);
    expect(report.figures).toHaveLength(6 * 2 * 3);
    for (const { requestsPerSecond, p50Milliseconds, p99Milliseconds } of report.figures)
      for (const figure of [requestsPerSecond, p50Milliseconds, p99Milliseconds]) expect(figure).toBeGreaterThan(0);
    for (const { cpuMicrosPerRequest, cpuRatios } of report.figures.filter(({ load }) => load.perSecond === undefined)) {
      expect(cpuMicrosPerRequest).toBeGreaterThan(0);
      expect(cpuRatios).toEqual({ proxy: expect.any(Number), fastify: expect.any(Number) });
    }
    for (const { originBytes, answerBytes } of report.payloads) expect(answerBytes).toBeLessThan(originBytes);
    expect(leftovers()).toEqual(before);
  },
);

test("an option that does not exist is refused, never ignored", { timeout: 30_000 }, async ({ expect }) => {
  for (const args of [["--rouns", "3"], ["--rounds", "0"], ["--short=yes"]]) {
    const { code, said } = await bench(...args);
    expect(code).toBe(2);
    expect(said).toContain("usage: npm run bench");
  }
});
