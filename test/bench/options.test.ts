import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";
import { groups, readOptions } from "../../bench/options.ts";

const root = join(import.meta.dirname, "../..");

function bench(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

test("an option that does not exist is refused, never ignored", async ({ expect }) => {
  for (const args of [
    ["--rouns", "3"],
    ["--rounds", "0"],
    ["--short=yes"],
    ["--only", "ledgers"],
    ["--quick", "--short"],
    ["--wait", "soon"],
    ["--wait=-1"],
    ["--against", ""],
    ["--against", "HEAD", "--only", "paging"],
    ["--against", "HEAD", "--profile", "profiles"],
  ]) {
    const { code, said } = await bench(...args);
    expect(code).toBe(2);
    expect(said).toContain("usage: npm run bench");
  }
});

test("a run measures every group, and a comparison only the groups that two commits can be compared in", ({
  expect,
}) => {
  expect(readOptions([])).toMatchObject({ ok: true, value: { groups, wait: 5, against: undefined } });
  const compared = readOptions(["--against", "baseline", "--wait", "0"]);
  expect(compared).toMatchObject({
    ok: true,
    value: { groups: ["requests", "redact", "ledger"], wait: 0, against: "baseline" },
  });
});
