import { RowBarrier } from "#fhir/row-barrier";
import * as fc from "fast-check";
import { test } from "vitest";
import { property, type JsonObject } from "#fhir/json/json";
import type { OriginQuestion } from "#fhir/ports";
import { allRows, isUnknownAtOrigin, visitRows } from "#gateway/origin/pages";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { nothingToResolve } from "#gateway/origin/asking";
import { err, ok } from "#kernel/result";
import { countIn } from "#fhir/search/page-count";

const base = "https://origin.internal/fhir";

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

/** An origin with pages of `size` rows. */
const originOf = (visible: readonly boolean[], size: number) => ({
  ask: async (question: OriginQuestion) => {
    const from = "link" in question ? Number(/from=(\d+)/u.exec(question.link)?.[1]) : 0;
    const next =
      from + size < visible.length ? [{ relation: "next", url: `${base}?from=${from + size}` }] : [];
    const entry = visible
      .slice(from, from + size)
      .map((active) => ({ resource: { resourceType: "Patient", active } }));
    return ok({
      kind: "answered" as const,
      base,
      body: body(JSON.stringify({ resourceType: "Bundle", type: "searchset", entry, link: next })),
    });
  },
  ...nothingToResolve,
  held: new HeldBytes(),
  barrier: new RowBarrier(),
  traits: async () => undefined,
});
const question = { path: "Patient", query: "" };
const isVisible = (row: JsonObject) => property(row, "active") === true;

/** The number of counted rows of a list, or the refusal. */
async function found(visible: readonly boolean[], size: number, rowsMax: number) {
  const rows = await allRows(question, rowsMax, originOf(visible, size), { keeps: isVisible });
  return rows.ok ? rows.value.rows.length : rows.error.reason;
}

/** The number of visible rows that are seen one by one, or the refusal. */
async function seen(visible: readonly boolean[], size: number, pagesMax: number) {
  let rows = 0;
  const keeps = (row: JsonObject) => {
    if (isVisible(row)) rows += 1;
    return isVisible(row);
  };
  const read = await visitRows(question, originOf(visible, size), { keeps }, pagesMax);
  return read.ok ? rows : read.error.reason;
}

test("L56: while at most half of the rows are hidden, only visible rows decide whether there are too many, whatever the size of the origin's pages", async ({
  expect,
}) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 120 }),
      fc.integer({ min: 2, max: 10 }),
      async (list, size) => {
        const visible = list.flatMap((isHidden) => (isHidden ? [false, true] : [true]));
        const alone = visible.filter((one) => one);
        expect(await found(visible, size, 1_000)).toBe(await found(alone, size, 1_000));
        expect(await seen(visible, size, 10)).toBe(await seen(alone, size, 10));
      },
    ),
    { numRuns: 200 },
  );
});

test("a list is read to its end, up to the limit of rows for a decision", async ({ expect }) => {
  expect(
    await found(
      Array.from({ length: 190 }, () => true),
      20,
      190,
    ),
  ).toBe(190);
  expect(
    await found(
      Array.from({ length: 191 }, () => true),
      20,
      190,
    ),
  ).toBe("too_many_rows");
  expect(
    await found(
      Array.from({ length: 201 }, () => true),
      20,
      1_000,
    ),
  ).toBe("too_many_rows"); // half of twenty pages
  expect(
    await found(
      Array.from({ length: 401 }, () => false),
      20,
      1_000,
    ),
  ).toBe("too_many_rows");
});

test("rows that are seen one by one are read to their end, up to half of the pages", async ({ expect }) => {
  const rows = (length: number, isVisible = true) => Array.from({ length }, () => isVisible);
  expect(await seen(rows(0), 20, 10)).toBe(0);
  expect(await seen(rows(20), 20, 10)).toBe(20);
  expect(await seen(rows(100), 20, 10)).toBe(100);
  expect(await seen(rows(101), 20, 10)).toBe("too_many_rows");
  expect(await seen([...rows(100), ...rows(100, false)], 20, 10)).toBe(100);
  expect(await seen(rows(201, false), 20, 10)).toBe("too_many_rows");
});

test("only a status that means an unknown type or parameter says that there are no rows", ({ expect }) => {
  const isUnknown = (status: number) => isUnknownAtOrigin({ reason: "origin_refused", status });
  expect([400, 404, 422].filter((status) => !isUnknown(status))).toEqual([]);
  expect([401, 403, 405, 406, 408, 409, 413, 429, 500].filter(isUnknown)).toEqual([]);
  expect(isUnknownAtOrigin({ reason: "absent" })).toBe(true);
});

test("L56: one visible row of more than ten pages is refused, whatever the further rows are", async ({
  expect,
}) => {
  const hidden = (count: number) => [true, ...Array.from({ length: count }, () => false)];
  expect(await seen(hidden(499), 50, 10)).toBe(1);
  expect(await seen(hidden(500), 50, 10)).toBe("too_many_rows");
});

/** An origin without paging links, with a longest page. */
const withoutLinks = (visible: readonly boolean[], longest = 10_000, refusesAbove = 10_000) => {
  const counts: number[] = [];
  const ask = async (asked: OriginQuestion) => {
    const count = "query" in asked ? (countIn(asked.query) ?? 0) : 0;
    counts.push(count);
    const entry = visible
      .slice(0, Math.min(count, longest))
      .map((active, n) => ({ resource: { resourceType: "Patient", id: `p${n}`, active } }));
    const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry, total: entry.length });
    return count > refusesAbove
      ? err({ reason: "origin_refused", status: 400 } as const)
      : ok({ kind: "answered" as const, base, body: body(text) });
  };
  return { ...originOf([], 1), ask, counts };
};

test("L56: at an origin without paging links only visible rows decide whether there are too many; each row counts once", async ({
  expect,
}) => {
  const rows = (length: number, isVisible = true) => Array.from({ length }, () => isVisible);
  const foundAt = async (origin: ReturnType<typeof withoutLinks>) => {
    const read = await allRows({ path: "Patient", query: "_count=100" }, 1_000, origin, { keeps: isVisible });
    return [read.ok ? read.value.rows.length : read.error.reason, ...origin.counts];
  };
  expect(await foundAt(withoutLinks(rows(99)))).toEqual([99, 100]);
  expect(await foundAt(withoutLinks([...rows(99), ...rows(2, false)]))).toEqual([99, 100, 1_000]);
  expect(await foundAt(withoutLinks([...rows(99), false]))).toEqual([99, 100, 1_000]);
  expect(await foundAt(withoutLinks([...rows(2_002, false), ...rows(99)]))).toEqual([99, 100, 1_000, 4_096]);
  expect(await foundAt(withoutLinks([...rows(901), ...rows(302, false)]))).toEqual([901, 100, 1_000, 4_096]);
  const cut = (...counts: readonly number[]) => ["too_many_rows", 100, 1_000, ...counts];
  expect(await foundAt(withoutLinks(rows(1_001)))).toEqual(cut(4_096));
  expect(await foundAt(withoutLinks(rows(5_000, false)))).toEqual(cut(4_096));
  expect(await foundAt(withoutLinks(rows(600), 500)), "its longest page").toEqual(cut());
  expect(await foundAt(withoutLinks(rows(1_100), 1_000)), "its longest page").toEqual(cut(4_096));
  expect(await foundAt(withoutLinks(rows(110), 10_000, 100)), "a long page is refused").toEqual(cut());
});
