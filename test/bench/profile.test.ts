import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { filesOf, samplesByRoom } from "../../bench/profile/rooms.ts";
import rateLimiter from "../../bench/workerd/rate-limiter.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-profile-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("samples are counted by the room of the function on top of the stack, and idle time is left out", ({
  expect,
}) => {
  const bundle = join(folder, "index.js");
  const lines = [
    "// workers/gateway/index.ts",
    "f()",
    "// ../../src/phi/redact.ts",
    "cut()",
    "// node_modules/hono/dist/hono.js",
  ];
  writeFileSync(bundle, lines.join("\n"));
  const node = (id: number, functionName: string, lineNumber: number, url = "file:///index.js") => ({
    id,
    callFrame: { functionName, url, lineNumber },
  });
  const nodes = [
    node(1, "(idle)", -1, ""),
    node(2, "cut", 3),
    node(3, "dispatch", 5),
    node(4, "(garbage collector)", -1, ""),
    node(5, "fetch", -1, ""),
    node(6, "update", 7, "node-internal:crypto"),
  ];
  const { busy, rooms, functions } = samplesByRoom(
    { nodes, samples: [1, 2, 2, 3, 4, 5, 6] },
    filesOf(bundle),
  );
  expect(busy).toBe(6);
  expect(Object.fromEntries(rooms)).toEqual({
    "src/phi": 2,
    hono: 1,
    "(garbage collector)": 1,
    "(native)": 1,
    "node-internal": 1,
  });
  expect(functions.get("src/phi/redact.ts cut")).toBe(2);
});

test("the benchmark's rate limiter lets no caller over its limit, and counts each key alone", async ({
  expect,
}) => {
  const limiter = rateLimiter({ limit: 2, period: 60 });
  const answers = [];
  for (const key of ["a", "a", "a", "b"]) answers.push((await limiter.limit({ key })).success);
  expect(answers).toEqual([true, true, false, true]);
});
