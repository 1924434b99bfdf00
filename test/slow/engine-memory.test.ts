import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";

const root = join(import.meta.dirname, "../..");
const growthMiBMax = 32;

test.for([
  ["an entry of 8 MiB that leaves", 1, 8_387_000, "status,code,subject,note", 8_387_000],
  ["an entry of 8 MiB of which little leaves", 1, 8_387_000, "status,code", 200],
  ["10,000 entries, of which 1,000 leave", 10_000, 800, "status,code,subject,note", 900_000],
  ["10,000 entries, of which little leaves", 10_000, 3_000, "status", 100_000],
] as const)(
  "%s: the engine's process grows by less than 32 MiB",
  ([name, count, bytes, shown, lengthMin], { expect }) => {
    const argument = [count, bytes, shown].map(String);
    const said = execFileSync(process.execPath, ["test/support/engine-memory.ts", ...argument], {
      cwd: root,
    });
    const { length, growthMiB } = JSON.parse(said.toString("utf8")) as { length: number; growthMiB: number };
    console.log(JSON.stringify({ name, length, growthMiB: Math.round(growthMiB) }));
    expect(length).toBeGreaterThan(lengthMin); // the page has what its view shows
    expect(growthMiB).toBeLessThan(growthMiBMax);
  },
);
