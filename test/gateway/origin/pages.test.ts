import { RowBarrier } from "#fhir/row-barrier";
import * as fc from "fast-check";
import { test } from "vitest";
import { property, type JsonObject } from "#fhir/json/json";
import type { OriginCapabilities, OriginQuestion, OriginTraits } from "#fhir/ports";
import { allRows, eachPage, isUnknownAtOrigin } from "#gateway/origin/pages";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { nothingToResolve } from "#gateway/origin/asking";
import { err, ok } from "#kernel/result";
import { utf8 } from "#kernel/encoded";
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

/** The number of visible rows that are seen one by one and not retained, or the refusal. */
async function seen(visible: readonly boolean[], size: number, pagesMax: number) {
  let rows = 0;
  const keeps = (row: JsonObject) => {
    if (isVisible(row)) rows += 1;
    return false;
  };
  const refusal = await eachPage(question, originOf(visible, size), { keeps }, pagesMax, (_page, room) =>
    rows > room ? "too many" : "next",
  );
  return refusal === undefined ? rows : refusal.reason;
}
const toEnd = () => "next" as const;

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

interface Timed {
  readonly isVisible: boolean;
  readonly second: number;
}
interface Linkless {
  /** The server's longest page. */
  readonly cap?: number;
  readonly pageMax?: number | undefined;
  readonly pageLinks?: boolean;
  /** How the server misunderstands a question. */
  readonly ignores?: "order" | "time" | "equal time" | "long pages";
}
const timeOf = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1_000).toISOString();

const traitsOf = (capabilities: OriginCapabilities): OriginTraits | undefined => ({
  transactions: undefined,
  honoursIfMatchOnDelete: false,
  acceptsSearchInUrl: false,
  capabilities,
});

/** An origin without paging links, whose rows were changed at these times. */
const withoutLinks = (
  rows: readonly Timed[],
  { cap = 10_000, pageMax = cap, pageLinks = false, ignores }: Linkless = {},
) => {
  const questions: string[] = [];
  const all = rows.map(({ isVisible: active, second }, n) => ({
    resourceType: "Patient",
    id: `p${n}`,
    meta: { lastUpdated: timeOf(second) },
    active,
  }));
  const ask = async (asked: OriginQuestion) => {
    const query = "query" in asked ? asked.query : "";
    questions.push(query);
    const count = countIn(query) ?? 0;
    const since = decodeURIComponent(/_lastUpdated=ge(?<time>[^&]*)/u.exec(query)?.groups?.["time"] ?? "");
    if (ignores === "long pages" && count > 100)
      return err({ reason: "origin_refused", status: 400 } as const);
    const isSorted = query.includes("_sort=_lastUpdated") && ignores !== "order";
    const found = all
      .toSorted((a, b) => (isSorted ? a.meta.lastUpdated.localeCompare(b.meta.lastUpdated) : 0))
      .filter(({ meta }) => {
        if (ignores === "time") return true;
        return ignores === "equal time" ? meta.lastUpdated > since : meta.lastUpdated >= since;
      });
    const entry = found.slice(0, Math.min(count, cap)).map((resource) => ({ resource }));
    const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry, total: entry.length });
    return ok({ kind: "answered" as const, base, body: body(text) });
  };
  const traits = async () => traitsOf({ pageLinks, pageMax });
  return { ...originOf([], 1), ask, traits, questions };
};

/** The visible rows and the hidden rows, mixed, each of another second or so many of one second. */
const mixed = (visible: number, hidden: number, atOnce = 1): readonly Timed[] =>
  Array.from({ length: visible + hidden }, (_, n) => ({
    isVisible:
      Math.floor(((n + 1) * visible) / (visible + hidden)) > Math.floor((n * visible) / (visible + hidden)),
    second: Math.floor(n / atOnce),
  }));
const rowsAt = async (origin: ReturnType<typeof withoutLinks>) => {
  const read = await allRows({ path: "Patient", query: "_count=100" }, 1_000, origin, { keeps: isVisible });
  return read.ok ? read.value.rows.length : read.error.reason;
};

test("L56: at an origin without paging links only visible rows decide, at any longest page, whatever of it was measured", async ({
  expect,
}) => {
  for (const cap of [50, 100, 137, 200, 1_000])
    for (const pageMax of [cap, 37])
      for (const visible of [0, 1, 36, 37, 49, 50, 99, 100, 101, 136, 199, 200, 350]) {
        const hiddens = [0, 1, 50 - visible, 100 - visible, 200 - visible, visible];
        for (const hidden of hiddens.filter((count) => count >= 0 && count <= visible)) {
          const told = `${visible} and ${hidden} of ${cap}, ${pageMax}`;
          expect(await rowsAt(withoutLinks(mixed(visible, hidden), { cap, pageMax })), told).toBe(visible);
          expect(await rowsAt(withoutLinks(mixed(visible, hidden, 5), { cap, pageMax })), told).toBe(visible);
        }
      }
  expect(await rowsAt(withoutLinks(mixed(1_001, 0), { cap: 1_000 }))).toBe("too_many_rows");
});

test("an answer that is shorter than a whole page costs one question, and a longer list is read by time", async ({
  expect,
}) => {
  const asked = async (origin: ReturnType<typeof withoutLinks>) => {
    await rowsAt(origin);
    return origin.questions;
  };
  expect(await asked(withoutLinks(mixed(99, 0), { cap: 1_000 }))).toEqual(["_count=100"]);
  expect(await asked(withoutLinks(mixed(100, 0), { cap: 1_000 }))).toEqual(["_count=100", "_count=1000"]);
  const ordered = "_count=100&_sort=_lastUpdated";
  expect(await asked(withoutLinks(mixed(120, 0), { cap: 100 }))).toEqual([
    "_count=100",
    ordered,
    `${ordered}&_lastUpdated=ge${encodeURIComponent(timeOf(99))}`,
  ]);
});

test("a list without links is refused if its end cannot be known", async ({ expect }) => {
  const refused = "too_many_rows";
  const list = mixed(120, 0);
  for (const ignores of ["order", "time", "equal time"] as const)
    expect(await rowsAt(withoutLinks(list.toReversed(), { cap: 100, ignores })), ignores).toBe(refused);
  expect(await rowsAt(withoutLinks(list, { pageMax: 1_000, ignores: "long pages" }))).toBe(refused);
  expect(await rowsAt(withoutLinks(mixed(120, 0, 200), { cap: 100 })), "all rows of one time").toBe(refused);
  // Nobody measured its pages: no row is known to be the last.
  const traits = async () => traitsOf({ pageLinks: false });
  expect(await rowsAt({ ...withoutLinks(mixed(1, 0)), traits })).toBe(refused);
  expect(await rowsAt({ ...withoutLinks([]), traits })).toBe(0);
  // The entry says nothing, and an answer has no link: fifty rows may be a longest page.
  const unknown = (rows: readonly Timed[]) => ({
    ...withoutLinks(rows, { cap: 50 }),
    traits: async () => undefined,
  });
  expect(await rowsAt(unknown(mixed(49, 0)))).toBe(49);
  expect(await rowsAt(unknown(mixed(50, 30)))).toBe(50);
});

test("an answer of more than 32 MiB is asked for in shorter pages, and each row is judged once", async ({
  expect,
}) => {
  const padding = new Uint8Array(1_048_576).fill(0x20);
  async function* longRows(from: number, count: number) {
    yield ok(new TextEncoder().encode('{"resourceType":"Bundle","type":"searchset","entry":['));
    for (let n = from; n < Math.min(from + count, 40); n += 1) {
      yield ok(padding);
      const row = { resource: { resourceType: "Patient", id: `p${n}`, active: true } };
      yield ok(new TextEncoder().encode(`${n === from ? "" : ","}${JSON.stringify(row)}`));
    }
    const link = [{ relation: "next", url: `${base}?from=${from + count}&rows=${count}` }];
    const rest = JSON.stringify({ link: from + count < 40 ? link : [] }).slice(1);
    yield ok(new TextEncoder().encode(`],${rest}`));
  }
  const judged: unknown[] = [];
  const read = await allRows(
    { path: "Patient", query: "_count=120" },
    100,
    {
      ...originOf([], 1),
      ask: async (asked) => {
        const text = "link" in asked ? asked.link : `from=0&rows=${countIn(asked.query)}`;
        const [from, count] = [/from=(\d+)/u, /rows=(\d+)/u].map((of) => Number(of.exec(text)?.[1]));
        return ok({ kind: "answered" as const, base, body: longRows(from ?? 0, count ?? 0) });
      },
    },
    {
      keeps: (row) => {
        judged.push(property(row, "id"));
        return true;
      },
    },
  );
  expect(read.ok && read.value.rows.length).toBe(40);
  expect(judged).toEqual(Array.from({ length: 40 }, (_, n) => `p${n}`));
});

/** An origin with so many rows of 1 MiB, without paging links. */
function largeRows(rows: number) {
  const padding = new Uint8Array(1_048_576).fill(0x20);
  async function* pageOf(from: number, count: number) {
    const end = Math.min(rows, from + count);
    yield ok(utf8('{"resourceType":"Bundle","type":"searchset"'));
    for (let at = from; at < end; at += 1) {
      const meta = { lastUpdated: new Date(1e12 + at).toISOString() };
      const resource = { resourceType: "Patient", id: `r${at}`, meta };
      yield ok(utf8(at === from ? ',"entry":[' : ","));
      yield ok(padding);
      yield ok(utf8(JSON.stringify({ resource })));
    }
    yield ok(utf8(from < end ? "]}" : "}"));
  }
  const ask = async (sent: OriginQuestion) => {
    const query = "query" in sent ? decodeURIComponent(sent.query) : "";
    const time = /_lastUpdated=ge([^&]*)/u.exec(query)?.[1];
    const from = time === undefined ? 0 : Date.parse(time) - 1e12;
    return ok({ kind: "answered" as const, base, body: pageOf(from, countIn(query) ?? rows) });
  };
  const traits = async () => ({ capabilities: { pageLinks: false, pageMax: 40 } }) as OriginTraits;
  return { ...originOf([], 1), ask, traits };
}

test("rows over 32 MiB at an origin without paging links are read to their end; a question by ids is refused, and asked for in halves", async ({
  expect,
}) => {
  const ids: unknown[] = [];
  const keeps = (row: JsonObject) => ids.push(property(row, "id")) < 0;
  const readAs = (query: string) => eachPage({ path: "Patient", query }, largeRows(34), { keeps }, 20, toEnd);
  expect([await readAs("_count=40"), ids]).toEqual([
    undefined,
    Array.from({ length: 34 }, (_, at) => `r${at}`),
  ]);
  expect(await readAs("_id=r0,r33&_count=40")).toMatchObject({ reason: "origin_answer_too_large" });
});

interface PaddedRow {
  readonly id?: string;
  readonly gender?: string;
  readonly second: number;
  readonly isLong?: boolean;
}
/** An origin with these rows, and 1 MiB before each long row. It sends them from a time on, if it is asked for that, as many as asked for. */
function paddedRows(rows: readonly PaddedRow[], pageMax: number) {
  const padding = new Uint8Array(1_048_576).fill(0x20);
  async function* pageOf(some: typeof rows) {
    yield ok(utf8('{"resourceType":"Bundle","type":"searchset"'));
    for (const [at, { second, isLong = true, ...row }] of some.entries()) {
      const resource = { resourceType: "Patient", meta: { lastUpdated: timeOf(second) }, ...row };
      yield ok(utf8(at === 0 ? ',"entry":[' : ","));
      if (isLong) yield ok(padding);
      yield ok(utf8(JSON.stringify({ resource })));
    }
    yield ok(utf8(some.length > 0 ? "]}" : "}"));
  }
  const ask = async (sent: OriginQuestion) => {
    const query = "query" in sent ? decodeURIComponent(sent.query) : "";
    const since = /_lastUpdated=ge([^&]*)/u.exec(query)?.[1] ?? "";
    const found = rows.filter(({ second }) => timeOf(second) >= since);
    const page = found.slice(0, Math.min(pageMax, countIn(query) ?? pageMax));
    return ok({ kind: "answered" as const, base, body: pageOf(page) });
  };
  return { ...originOf([], 1), ask, traits: async () => traitsOf({ pageLinks: false, pageMax }) };
}

test("a row without an id is judged once, too, though an answer that was too long has it again", async ({
  expect,
}) => {
  const rows = Array.from({ length: 34 }, (_, second) => ({ second, gender: `g${second}` }));
  const judged: unknown[] = [];
  const keeps = (row: JsonObject) => judged.push(property(row, "gender")) > 0;
  const question = { path: "Patient", query: "_count=40" };
  const read = await allRows(question, 1_000, paddedRows(rows, 40), { keeps });
  expect(read.ok && read.value.rows.length).toBe(34);
  expect(judged).toEqual(rows.map(({ gender }) => gender));
});

test("a list in the order of its changes goes on after an answer that was too long", async ({ expect }) => {
  // Forty short rows fill the longest page, and the rows behind them are long.
  const rows = Array.from({ length: 90 }, (_, second) => ({
    id: `p${second}`,
    second,
    isLong: second >= 45,
  }));
  const judged: unknown[] = [];
  const keeps = (row: JsonObject) => judged.push(property(row, "id")) < 0;
  const question = { path: "Patient", query: "_count=40" };
  const refusal = await eachPage(question, paddedRows(rows, 40), { keeps }, 20, toEnd);
  expect([refusal, judged]).toEqual([undefined, rows.map(({ id }) => id)]);
});
