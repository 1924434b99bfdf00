import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";

const root = join(import.meta.dirname, "../..");

function bench(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [join(root, "bench/run.ts"), ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said })));
}

test("an option that does not exist is refused, never ignored", { timeout: 30_000 }, async ({ expect }) => {
  for (const args of [
    ["--rouns", "3"],
    ["--rounds", "0"],
    ["--short=yes"],
    ["--only", "ledgers"],
    ["--quick", "--short"],
  ]) {
    const { code, said } = await bench(...args);
    expect(code).toBe(2);
    expect(said).toContain("usage: npm run bench");
  }
});
