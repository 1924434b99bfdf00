import * as fc from "fast-check";
import { test } from "vitest";
import {
  comparePlaces,
  type LinePlace,
  placeText,
  readLinePlace,
  writeLinePlace,
} from "#audit/accounting/line-place";
import { type LinePart, type LineSource, mergeLines, type RowBudget } from "#audit/accounting/merge-lines";

interface Row extends LinePlace {
  readonly fate: "listed" | "passed" | "withheld";
}

const logs = ["s0-2025h2", "s2-2025h2", "s10-2025h2", "s0-2026h1"];
const rowOf = fc.record({
  log: fc.constantFrom(...logs),
  index: fc.nat(30),
  line: fc.nat(3),
  fate: fc.constantFrom("listed" as const, "passed" as const, "withheld" as const),
});
/** Each place belongs to a single source. */
const worldOf = fc
  .tuple(fc.uniqueArray(rowOf, { selector: placeText, maxLength: 60 }), fc.integer({ min: 1, max: 4 }))
  .map(([rows, sources]) =>
    Array.from({ length: sources }, (_, i) =>
      rows.filter((_, at) => at % sources === i).toSorted(comparePlaces),
    ),
  );

let calls = 0; // in one run of a property

/**
 * Answers like the accounting index: a limited number of rows and lines a call, and never past its budget.
 */
const sourceOf =
  (rows: readonly Row[], most: { readonly rows: number; readonly lines: number }): LineSource<Row> =>
  (after, left) => {
    if (++calls > 2_000) throw new Error("it asks without an end");
    const lines: Row[] = [];
    const read = { rows: 0, withheld: 0 };
    for (const row of rows.filter((row) => after === undefined || comparePlaces(row, after) > 0)) {
      read[row.fate === "withheld" ? "withheld" : "rows"] += 1;
      if (row.fate === "listed") lines.push(row);
      if (
        lines.length >= most.lines ||
        read.rows >= Math.min(left.rows, most.rows) ||
        read.withheld >= Math.min(left.withheld, most.rows)
      )
        return Promise.resolve({ lines, upTo: row, read } satisfies LinePart<Row>);
    }
    return Promise.resolve({ lines, upTo: undefined, read });
  };

async function pages(
  world: readonly (readonly Row[])[],
  count: number,
  budget: RowBudget,
  most = { rows: 7, lines: 3 },
) {
  calls = 0;
  const all: (readonly Row[])[] = [];
  for (let after: LinePlace | undefined, first = true; first || after !== undefined; first = false) {
    const page: Row[] = [];
    after = await mergeLines(
      world.map((rows) => sourceOf(rows, most)),
      after,
      budget,
      (row) => page.length < count && page.push(row) > 0,
    );
    all.push(page);
    if (all.length > 500) throw new Error("the pages have no end");
  }
  return all;
}
const listedIn = (world: readonly (readonly Row[])[]) =>
  world
    .flat()
    .filter(({ fate }) => fate === "listed")
    .toSorted(comparePlaces)
    .map(placeText);

test("the pages have an end, and have every listed line once, in the order of places, whatever the budget of a page is", async () => {
  await fc.assert(
    fc.asyncProperty(
      worldOf,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 12 }),
      async (world, count, rows) => {
        const shown = (await pages(world, count, { rows, withheld: rows })).flat().map(placeText);
        if (shown.join() !== listedIn(world).join())
          throw new Error(`${shown.join()} is not ${listedIn(world).join()}`);
      },
    ),
  );
});

test("a page is full unless its budget was used up, and none follows that would be empty", async () => {
  await fc.assert(
    fc.asyncProperty(worldOf, fc.integer({ min: 1, max: 9 }), async (world, count) => {
      const all = await pages(world, count, { rows: 1_000, withheld: 1_000 });
      const [last = [], ...before] = all.toReversed();
      if (before.some((page) => page.length !== count)) throw new Error("a page that is not full");
      if (before.length > 0 && last.length === 0) throw new Error("an empty page");
    }),
  );
});

test("withheld lines show in no page: the same lines stand on the same pages without them", async () => {
  await fc.assert(
    fc.asyncProperty(
      worldOf,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 12 }),
      async (world, count, rows) => {
        const without = world.map((all) => all.filter(({ fate }) => fate !== "withheld"));
        const most = { rows: 1_000, lines: 1_000 };
        const [one, other] = [
          await pages(world, count, { rows, withheld: 1_000 }, most),
          await pages(without, count, { rows, withheld: 1_000 }, most),
        ];
        const text = (all: readonly (readonly Row[])[]) =>
          all.map((page) => page.map(placeText).join()).join(" | ");
        if (text(one) !== text(other)) throw new Error(`${text(one)} is not ${text(other)}`);
      },
    ),
  );
});

test("lines that come between two pages neither hide nor repeat what was there before", async () => {
  await fc.assert(
    fc.asyncProperty(
      worldOf,
      fc.uniqueArray(rowOf, { selector: placeText, maxLength: 20 }),
      fc.integer({ min: 1, max: 5 }),
      async (world, more, count) => {
        calls = 0;
        const [first = []] = world;
        const late = more.filter((row) => !world.flat().some((known) => comparePlaces(known, row) === 0));
        const page: Row[] = [];
        const take = (row: Row) => page.length < count && page.push(row) > 0;
        const budget = { rows: 1_000, withheld: 1_000 };
        const most = { rows: 100, lines: 100 };
        let after = await mergeLines(
          world.map((rows) => sourceOf(rows, most)),
          undefined,
          budget,
          take,
        );
        const grown = [[...first, ...late].toSorted(comparePlaces), ...world.slice(1)];
        while (after !== undefined) {
          const next: Row[] = [];
          after = await mergeLines(
            grown.map((rows) => sourceOf(rows, most)),
            after,
            budget,
            (row) => next.length < count && next.push(row) > 0,
          );
          page.push(...next);
        }
        const shown = page.map(placeText);
        if (new Set(shown).size !== shown.length) throw new Error("a line twice");
        const lost = listedIn(world).filter((place) => !shown.includes(place));
        if (lost.length > 0) throw new Error(`lost: ${lost.join()}`);
      },
    ),
  );
});

test("a place is text of one length, and is read back; no other text is a place", ({ expect }) => {
  const places = [
    { log: "s0-2026h1", index: 0, line: -1 },
    { log: "s99999-2026h2", index: Number.MAX_SAFE_INTEGER, line: 499_999 },
  ];
  for (const place of places) expect(readLinePlace(writeLinePlace(place))).toEqual(place);
  expect(new Set(places.map((place) => writeLinePlace(place).length)).size).toBe(1);
  for (const text of [
    "",
    "s0-2026h1/1",
    "s0-2026h3/1/1",
    "s0-2026h1/1/1/1",
    "s0-2026h1/-1/1",
    "s0-2026h1/1/-2",
  ])
    expect(readLinePlace(text), text).toBeUndefined();
});

test("half-years come in their order, and in each the shards by number", ({ expect }) => {
  const order = ["s9-2025h2", "s10-2025h2", "s0-2026h1", "s2-2026h1"];
  const places = order.map((log) => ({ log, index: 0, line: 0 }));
  expect(places.toReversed().toSorted(comparePlaces)).toEqual(places);
});
