import { test } from "vitest";
import { inTurns, pairsOf } from "../../bench/rounds.ts";

test("slices of all sides are interleaved, and every second turn goes the opposite way", async ({
  expect,
}) => {
  const order: string[] = [];
  const found = await inTurns(2, ["new", "old"], ["cut", "json"], async (side, work) =>
    order.push(`${work} ${side}`),
  );
  const turn = ["cut new", "cut old", "json new", "json old"];
  expect(order).toEqual([...turn, ...turn.toReversed()]);
  expect(found).toHaveLength(2);
  const [, old = []] = found;
  expect(pairsOf(old, ["cut", "json"], (at) => at)).toEqual([
    { a: 2, b: 4 },
    { a: 7, b: 5 },
  ]);
});

test("a turn without one of the two figures gives no pair, but an error", ({ expect }) => {
  expect(() => pairsOf([new Map([["cut", 1]])], ["cut", "json"], Number)).toThrow("lacks a figure");
});
