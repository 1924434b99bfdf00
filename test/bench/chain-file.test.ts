import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { ChainFile, verifyChain } from "../../bench/peers/chain-file.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-chain-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("concurrent appends go into one chain, each event at the place in its answer", async ({ expect }) => {
  const path = join(folder, "good.jsonl");
  const file = await ChainFile.create(path);
  const places = await Promise.all(Array.from({ length: 100 }, (_, n) => file.append({ n })));
  expect(places.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, n) => n));
  expect(await verifyChain(path)).toBe(100);
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(JSON.parse(lines[42] ?? "")).toMatchObject({ index: 42, n: 42, previous: places[41]?.hash });
});

test("a line that was changed, dropped or moved breaks the chain, at the line that shows it", async ({
  expect,
}) => {
  const path = join(folder, "made.jsonl");
  const file = await ChainFile.create(path);
  for (const n of [0, 1, 2, 3]) await file.append({ n });
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  const [zero = "", one = "", two = "", three = ""] = lines;
  for (const [name, wrong] of [
    ["changed", [zero, one.replace('"n":1', '"n":9'), two, three]],
    ["dropped", [zero, one, three]],
    ["moved", [zero, one, three, two]],
  ] as const) {
    const bad = join(folder, `${name}.jsonl`);
    writeFileSync(bad, `${wrong.join("\n")}\n`);
    await expect(verifyChain(bad)).rejects.toThrow(`${bad}:3: the chain does not hold`);
  }
});
