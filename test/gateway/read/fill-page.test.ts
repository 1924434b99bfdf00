import * as fc from "fast-check";
import { test } from "vitest";
import type { OriginBody, OriginQuestion, PagePlace } from "#fhir/ports";
import { fillPage, type Filled } from "#gateway/read/fill-page";
import { JoinsByPage } from "#gateway/read/joins-by-page";
import type { Page } from "#phi/page";
import { err, ok, type Result } from "#kernel/result";
import { decide, policy, rule } from "../../policy/granting.ts";
import { sessionOf } from "../../support/origin-session.ts";
import { inLane } from "../../support/lane.ts";

const base = "https://origin.internal/fhir";
const labs = policy(
  rule(["Observation"], ["category"], { where: [{ path: "category", in: ["urn:c|lab"] }] }),
);

interface Row {
  readonly id: string;
  readonly isVisible: boolean;
}
const rows = (visible: readonly boolean[]): Row[] =>
  visible.map((isVisible, n) => ({ id: `o${n}`, isVisible }));
const resource = ({ id, isVisible }: Row) => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [{ coding: [{ system: "urn:c", code: isVisible ? "lab" : "hidden" }] }],
});

async function* chunks(text: string, size = 1_000): OriginBody {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield ok(bytes.subarray(at, at + size));
}

/** Answers a request with a page, and counts the questions to the origin. */
interface Origin {
  readonly asked: OriginQuestion[];
  readonly ask: Parameters<typeof sessionOf>[0];
}

function originOf(answer: (question: OriginQuestion) => object | "absent"): Origin {
  const asked: OriginQuestion[] = [];
  return {
    asked,
    ask: (question) => {
      asked.push(question);
      const bundle = answer(question);
      const result =
        bundle === "absent"
          ? err({ reason: "absent" } as const)
          : ok({ kind: "answered" as const, body: chunks(JSON.stringify(bundle)), base });
      return Promise.resolve(result);
    },
  };
}

/** An origin that pages its list by `size`, with links of its own. */
function paged(list: readonly Row[], size: number): Origin {
  return originOf((question) => {
    const from = "link" in question ? Number(/from=(\d+)/u.exec(question.link)?.[1]) : 0;
    const next = from + size < list.length ? [{ relation: "next", url: `${base}?from=${from + size}` }] : [];
    return {
      resourceType: "Bundle",
      entry: list.slice(from, from + size).map((row) => ({ resource: resource(row) })),
      total: list.length,
      link: [{ relation: "self", url: base }, ...next],
      type: "searchset",
    };
  });
}

async function fill(
  origin: Origin,
  count: number,
  place?: PagePlace,
): Promise<Result<Filled<Page>, { readonly reason: string }>> {
  const grant = decide(labs, `Observation?_count=${count}`);
  if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
  return fillPage({ ...grant, expects: grant.expects }, place, sessionOf(origin.ask));
}

async function page(
  origin: Origin,
  count: number,
  place?: PagePlace,
): Promise<{ ids: string[]; total: unknown; next: PagePlace | undefined }> {
  const filled = await fill(origin, count, place);
  if (!filled.ok) throw new Error(filled.error.reason);
  const { page, next } = filled.value;
  const finished = page.finish(next && "https://next", place === undefined);
  if (!finished.ok) throw new Error(finished.error.reason);
  const body = finished.value.windows.map((window) => new TextDecoder().decode(window.body));
  const bundle: { total?: number; entry?: { resource: { id: string } }[] } = JSON.parse(body.join(""));
  return { ids: (bundle.entry ?? []).map(({ resource }) => resource.id), total: bundle.total, next };
}

const reasonOf = async (origin: Origin, place?: PagePlace) => {
  const filled = await fill(origin, 10, place);
  return filled.ok ? "filled" : filled.error.reason;
};

test("a row that the origin gives twice leaves once, and the pages come to an end", async ({ expect }) => {
  const list = [0, 0, 1, 0, 2, 1, 3].map((n) => ({ id: `o${n}`, isVisible: true }));
  for (const size of [3, 10]) {
    const ids: string[] = [];
    let at: PagePlace | undefined;
    do {
      const { ids: some, next } = await page(paged(list, size), 1, at);
      ids.push(...some);
      at = next;
    } while (at !== undefined && ids.length < 10);
    expect([...new Set(ids)], String(size)).toEqual(["o0", "o1", "o2", "o3"]);
    expect(at, String(size)).toBeUndefined();
  }
  expect((await page(paged(list, 4), 10)).ids).toEqual(["o0", "o1", "o2", "o3"]);
});

test("the pages together are exactly the visible rows, in the origin's order, whatever is hidden in between and whatever the size of its pages", async ({
  expect,
}) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 20 }),
      async (visible, count, size) => {
        const list = rows(visible);
        const seen: string[] = [];
        let place: PagePlace | undefined;
        do {
          const origin = paged(list, size);
          const { ids, next, total } = await page(origin, count, place);
          expect(origin.asked.length).toBeLessThanOrEqual(50);
          // A page that has a next page may be shorter than `_count` and than an origin page only at the
          // limit of fifty short pages.
          if (next !== undefined && origin.asked.length < 50) expect(ids.length).toBe(Math.min(count, size));
          expect(total).toBe(place === undefined && next === undefined ? ids.length : undefined);
          seen.push(...ids);
          place = next;
        } while (place !== undefined);
        expect(seen).toEqual(list.filter(({ isVisible }) => isVisible).map(({ id }) => id));
      },
    ),
    { numRuns: inLane({ fast: 120, slow: 300, long: 300 }) },
  );
});

type LinkForm = "offset" | "page number" | "cursor" | "own link alone";
/** An origin that honours `_count`, with links of a form; it says how many rows it sent. */
function counting(list: readonly Row[], form: LinkForm): Origin & { readonly sent: () => number } {
  let sent = 0;
  const origin = originOf((question) => {
    const asked = new URLSearchParams(
      "link" in question ? question.link.replace(/^.*\?/u, "") : question.query,
    );
    const [count, place] = [Number(asked.get("_count")), Number(asked.get("place") ?? 0)];
    if (form === "own link alone" && "link" in question && count !== 10) return "absent";
    const from = form === "page number" ? place * count : place;
    const entry = list.slice(from, from + count).map((row) => ({ resource: resource(row) }));
    sent += entry.length;
    const next = form === "page number" ? place + 1 : from + count;
    const name = form === "cursor" ? "&cursor=x&place=0" : "&place=";
    const url = `${base}/Observation?_count=${count}${name}${next}`;
    const link = from + count < list.length ? [{ relation: "next", url }] : [];
    return { resourceType: "Bundle", type: "searchset", total: list.length, link, entry };
  });
  return Object.assign(origin, { sent: () => sent });
}

async function allPages(origin: Origin, count: number): Promise<string[][]> {
  const pages: string[][] = [];
  let place: PagePlace | undefined;
  do {
    const { ids, next } = await page(origin, count, place);
    pages.push(ids);
    place = next;
  } while (place !== undefined);
  return pages;
}

test("a page asks for a fifth of the next origin page, if the link is a number of rows: a patient's rows cost 1.2 times", async ({
  expect,
}) => {
  const list = rows(Array.from({ length: 200 }, () => true));
  const ratioOf = async (form: LinkForm, count = 10) => {
    const origin = counting(list, form);
    expect((await allPages(origin, count)).flat()).toHaveLength(list.length);
    return origin.sent() / list.length;
  };
  expect(await ratioOf("offset")).toBeCloseTo(1.19);
  expect(await ratioOf("offset", 50)).toBeCloseTo(1.15);
  for (const form of ["page number", "cursor", "own link alone"] as const)
    expect(await ratioOf(form), form).toBeCloseTo(1.95);
});

test("a look-ahead that fails refuses no page: the origin's own link decides", async ({ expect }) => {
  const list = rows(Array.from({ length: 25 }, () => true));
  const pages = await allPages(counting(list, "offset"), 10);
  const unreadable = () => ok({ kind: "answered" as const, body: chunks("no JSON"), base });
  const answers = [
    ...[403, 429, 500, 501, 503].map((status) => () => err({ reason: "origin_refused", status } as const)),
    () => err({ reason: "origin_unreachable" } as const),
    unreadable,
  ];
  for (const [index, answer] of answers.entries()) {
    const good = counting(list, "offset");
    let looks = 0;
    const origin: Origin = {
      asked: good.asked,
      ask: (question) => {
        if (!("link" in question) || !/_count=2(?:&|$)/u.test(question.link)) return good.ask(question);
        looks += 1;
        return Promise.resolve(answer());
      },
    };
    expect(await allPages(origin, 10), String(index)).toEqual(pages);
    expect(looks, String(index)).toBeGreaterThan(0);
  }
});

test("the look-ahead changes no page, whatever is hidden and whatever the form of the origin's links", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 70 }),
      fc.integer({ min: 10, max: 20 }),
      fc.constantFrom<LinkForm>("offset", "page number", "cursor"),
      async (visible, count, form) => {
        const list = rows(visible);
        const pages = await allPages(counting(list, form), count);
        const shown = list.filter(({ isVisible }) => isVisible).map(({ id }) => id);
        const wanted = Array.from({ length: Math.max(1, Math.ceil(shown.length / count)) }, (_, n) =>
          shown.slice(n * count, (n + 1) * count),
        );
        if (JSON.stringify(pages) !== JSON.stringify(wanted))
          throw new Error(`${JSON.stringify(pages)} for ${JSON.stringify(wanted)}`);
      },
    ),
    { numRuns: inLane({ fast: 80, slow: 300, long: 1_000 }) },
  );
});

test("while up to two of three rows are hidden, pages are as long as without hidden rows, whatever the size of the origin's pages", async ({
  expect,
}) => {
  const pagesOf = async (list: readonly Row[], count: number, size: number) => {
    const pages: string[][] = [];
    for (
      let [place, begun]: [PagePlace | undefined, boolean] = [undefined, false];
      place !== undefined || !begun;
      begun = true
    ) {
      const { ids, next } = await page(paged(list, size), count, place);
      pages.push(ids);
      place = next;
    }
    return pages;
  };
  const runs = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      runs,
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 3, max: 20 }),
      async (hidden, count, size) => {
        const visible = hidden.map((_, n) => ({ id: `o${n}`, isVisible: true }));
        const mixed = visible.flatMap((row, n) => [
          ...Array.from({ length: hidden[n] ?? 0 }, (_, m) => ({ id: `h${n}-${m}`, isVisible: false })),
          row,
        ]);
        expect(await pagesOf(mixed, count, size)).toEqual(await pagesOf(visible, count, size));
      },
    ),
    { numRuns: inLane({ fast: 80, slow: 200, long: 200 }) },
  );
});

test("hidden rows after the last visible row give the page no next link", async ({ expect }) => {
  const { ids, next, total } = await page(paged(rows([true, true, false, false, false]), 2), 2);
  expect({ ids, next, total }).toEqual({ ids: ["o0", "o1"], next: undefined, total: 2 });
});

test("rows that come or go between two pages make no other row twice or missing; without the last row shown the link is gone", async ({
  expect,
}) => {
  const list = rows([true, true, false, true, true, true]);
  const first = await page(paged(list, 10), 2);
  expect(first).toMatchObject({ ids: ["o0", "o1"], next: { after: "o1" } });
  const less = list.slice(1);
  expect(await page(paged(less, 10), 2, first.next)).toMatchObject({
    ids: ["o3", "o4"],
    next: { after: "o4" },
  });
  const more = [{ id: "new", isVisible: true }, ...list];
  expect(await page(paged(more, 10), 2, first.next)).toMatchObject({ ids: ["o3", "o4"] });
  expect(
    await reasonOf(
      paged(
        list.filter(({ id }) => id !== "o1"),
        10,
      ),
      first.next,
    ),
  ).toBe("page_link_target_absent");
});

test("after five pages of the origin with five hundred rows, or after fifty pages, a page is given as it is, and goes on from there", async ({
  expect,
}) => {
  for (const [size, until] of [
    [2, 100],
    [50, 500],
    [200, 1_000],
  ] as const) {
    const list = rows([...Array.from({ length: until + 2 }, () => false), true]);
    const first = await page(paged(list, size), 3);
    expect(first).toMatchObject({
      ids: [],
      total: undefined,
      next: { link: `?from=${until}`, after: undefined, seen: until },
    });
    const last = `o${until + 2}`;
    expect(await page(paged(list, size), 3, first.next)).toMatchObject({ ids: [last], next: undefined });
  }
});

test("an origin's link that leaves its base or forms a circle, and an incomplete list, are refused", async ({
  expect,
}) => {
  const linking = (url: string) =>
    originOf(() => ({
      resourceType: "Bundle",
      type: "searchset",
      link: [{ relation: "next", url }],
      entry: [],
    }));
  expect(await reasonOf(linking("https://evil.example/fhir?from=2"))).toBe("answer_link_outside_origin");
  expect(await reasonOf(linking("https://origin.internal/other?from=2"))).toBe("answer_link_outside_origin");
  const circle = linking(`${base}?from=2`);
  expect(await reasonOf(circle)).toBe("answer_link_loops");
  expect(circle.asked).toHaveLength(2);
  const cut = originOf(() => ({
    resourceType: "Bundle",
    type: "searchset",
    total: 5,
    entry: rows([true]).map((row) => ({ resource: resource(row) })),
  }));
  expect(await reasonOf(cut)).toBe("answer_incomplete");
  expect(
    await reasonOf(cut, { question: "", posted: false, link: "?from=4", after: undefined, seen: 4 }),
  ).toBe("filled");
});

test("a page's rows count only when its end says that it is a searchset", async ({ expect }) => {
  const entry = rows([true]).map((row) => ({ resource: resource(row) }));
  expect(await reasonOf(originOf(() => ({ resourceType: "Bundle", entry, type: "searchset" })))).toBe(
    "filled",
  );
  expect(await reasonOf(originOf(() => ({ resourceType: "Bundle", entry, type: "collection" })))).toBe(
    "answer_not_a_searchset",
  );
  expect(await reasonOf(originOf(() => ({ entry, type: "searchset" })))).toBe("answer_not_a_searchset");
  const failed = {
    resource: { resourceType: "OperationOutcome", issue: [{ severity: "error" }] },
    search: { mode: "outcome" },
  };
  const many = [
    ...rows(Array.from({ length: 30 }, () => true)).map((row) => ({ resource: resource(row) })),
    failed,
  ];
  expect(await reasonOf(originOf(() => ({ resourceType: "Bundle", type: "searchset", entry: many })))).toBe(
    "answer_not_a_searchset",
  );
});

test("a page that the origin forgot is gone; a body that breaks off is the origin's failure", async ({
  expect,
}) => {
  expect(await reasonOf(originOf(() => "absent"))).toBe("absent");
  const place = { question: "", posted: false, link: "?from=4", after: undefined, seen: 4 };
  expect(
    await reasonOf(
      originOf(() => "absent"),
      place,
    ),
  ).toBe("page_link_target_absent");
  const breaking = (kind: "unreachable" | "timed_out"): Origin["ask"] => {
    async function* body(): OriginBody {
      yield ok(new TextEncoder().encode('{"resourceType":"Bundle","entry":['));
      yield err({ kind });
    }
    return () => Promise.resolve(ok({ kind: "answered", body: body(), base }));
  };
  expect(await reasonOf({ asked: [], ask: breaking("unreachable") })).toBe("origin_unreachable");
  expect(await reasonOf({ asked: [], ask: breaking("timed_out") })).toBe("origin_timed_out");
});

test("a page of more entries than anybody asks for is refused, however short they are", async ({
  expect,
}) => {
  const including = (count: number) =>
    originOf(() => ({
      resourceType: "Bundle",
      type: "searchset",
      entry: Array.from({ length: count }, () => ({ search: { mode: "include" } })),
    }));
  expect(await reasonOf(including(10_000))).toBe("filled");
  expect(await reasonOf(including(10_001))).toBe("origin_answer_too_large");
});

test("a page of the origin's over 32 MiB is not read on", async ({ expect }) => {
  let sent = 0;
  async function* endless(): OriginBody {
    yield ok(new TextEncoder().encode('{"resourceType":"Bundle","entry":['));
    for (;;) {
      sent += 1_048_576;
      yield ok(new Uint8Array(1_048_576).fill(0x20));
    }
  }
  expect(
    await reasonOf({
      asked: [],
      ask: () => Promise.resolve(ok({ kind: "answered", body: endless(), base })),
    }),
  ).toBe("origin_answer_too_large");
  expect(sent).toBe(33_554_432);
});

test("a further rule takes no row away: a row needs to show the code only if no rule opens it to every search", async ({
  expect,
}) => {
  const everything = rule(["Observation"], "everything");
  const coded = rule(["Observation"], ["code.coding"]); // `code` can be searched with its system alone
  const mismatched = {
    ...resource({ id: "o1", isVisible: true }),
    code: { coding: [{ system: "urn:s", code: "A" }] }, // some servers compare codes in any case
  };
  const origin = originOf(() => ({
    resourceType: "Bundle",
    type: "searchset",
    entry: [{ resource: mismatched, search: { mode: "match" } }],
  }));
  const taken = async (...rules: readonly ReturnType<typeof rule>[]) => {
    const grant = decide(policy(...rules), "Observation?code=urn:s%7Ca");
    if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
    const filled = await fillPage({ ...grant, expects: grant.expects }, undefined, sessionOf(origin.ask));
    return filled.ok ? filled.value.page.taken.map(({ id }) => id) : filled.error.reason;
  };
  expect(await taken(everything)).toEqual(["o1"]);
  expect(await taken(coded)).toEqual([]);
  expect(await taken(everything, coded)).toEqual(["o1"]);
  const hidden = rule(["Observation"], "everything", { where: [{ path: "category", in: ["urn:c|hidden"] }] });
  expect(await taken(hidden, coded), "of another row").toEqual([]);
});

/** An origin with spaces before each row. */
function padded(list: readonly object[], spaces: () => number): Origin {
  async function* longRows(from: number, count: number): OriginBody {
    const padding = new Uint8Array(spaces()).fill(0x20);
    const to = from + count;
    const link = [{ relation: "next", url: `${base}?_offset=${to}&_count=${count}` }];
    const head = { resourceType: "Bundle", type: "searchset", link: to < list.length ? link : [] };
    yield ok(new TextEncoder().encode(`${JSON.stringify(head).slice(0, -1)},"entry":[`));
    for (const [index, row] of list.slice(from, to).entries()) {
      yield ok(padding);
      yield ok(new TextEncoder().encode(`${index === 0 ? "" : ","}${JSON.stringify({ resource: row })}`));
    }
    yield ok(new TextEncoder().encode("]}"));
  }
  return {
    asked: [],
    ask: (question) => {
      const text = "link" in question ? question.link : question.query;
      const [from, count] = [/_offset=(\d+)/u, /_count=(\d+)/u].map((of) => Number(of.exec(text)?.[1] ?? 0));
      return Promise.resolve(ok({ kind: "answered", body: longRows(from ?? 0, count ?? 0), base }));
    },
  };
}

test("a further page goes on behind its last row, however many new rows have come before it", async ({
  expect,
}) => {
  const list = rows(Array.from({ length: 300 }, () => true));
  const { ids, next } = await page(paged(list, 100), 100);
  const newer = Array.from({ length: 750 }, (_, n) => ({ id: `new${n}`, isVisible: true }));
  let at = next;
  while (at !== undefined) {
    const more = await page(paged([...newer, ...list], 100), 100, {
      ...at,
      link: undefined,
      after: ids.at(-1),
    });
    ids.push(...more.ids);
    at = more.next;
  }
  expect(ids).toEqual(list.map(({ id }) => id));
});

test("a link whose row is gone looks through some ten thousand rows, not through fifty pages of any size", async ({
  expect,
}) => {
  const origin = paged(rows(Array.from({ length: 30_000 }, () => true)), 1_000);
  const { next } = await page(origin, 1_000);
  if (next === undefined) throw new Error("there is a further page");
  const before = origin.asked.length;
  const filled = await fill(origin, 1_000, { ...next, link: undefined, after: "gone", seen: 0 });
  expect(filled).toMatchObject({ error: { reason: "page_link_target_absent" } });
  expect(origin.asked.length - before).toBeLessThan(15);
});

test("a further page of a list whose rows have grown goes on behind its last row, over however many pages of the origin", async ({
  expect,
}) => {
  const list = rows(Array.from({ length: 1_000 }, () => true));
  const long = list.map((row) => ({
    ...resource(row),
    category: [{ coding: resource(row).category[0]?.coding, text: "n".repeat(13_000) }],
  }));
  let spaces = 0;
  const origin = padded(long, () => spaces);
  const first = await page(origin, 1_000);
  expect(first.next).toMatchObject({ link: undefined, after: first.ids.at(-1) });
  expect(first.ids.length).toBeGreaterThan(600);
  spaces = 100_000;
  const ids = [...first.ids];
  for (let at = first.next; at !== undefined;) {
    const { ids: some, next } = await page(origin, 1_000, at);
    ids.push(...some);
    at = next;
  }
  expect(ids).toEqual(list.map(({ id }) => id));
});

test("a hidden row is counted once, with and without an id, though a longer or a shorter answer has it again", async ({
  expect,
}) => {
  const isNamed = [...Array<boolean>(7).fill(true), false, true, false, false];
  const list = isNamed.map((named, n) => {
    const row = resource({ id: `o${n}`, isVisible: n < 6 });
    const { id: _, ...unnamed } = row;
    return named ? row : unnamed;
  });
  const withheldBy = async (origin: Origin) => {
    const filled = await fill(origin, list.length);
    const finished = filled.ok ? filled.value.page.finish(undefined, true) : filled;
    if (!finished.ok) throw new Error(finished.error.reason);
    return finished.value.windows.map(({ withheldResources }) => withheldResources);
  };
  const entry = list.map((row) => ({ resource: row }));
  const grown = originOf(() => ({ resourceType: "Bundle", type: "searchset", entry }));
  expect([await withheldBy(grown), grown.asked.length]).toEqual([[5], 2]);
  let asked = 0;
  const shorter = padded(list, () => (asked++ === 0 ? 3_300_000 : 0));
  expect([await withheldBy(shorter), asked > 2]).toEqual([[5], true]);
});

test("a list of long rows is asked for in shorter pages, and each visible row arrives once", async ({
  expect,
}) => {
  const list = rows(Array.from({ length: 50 }, (_, n) => n % 5 === 0));
  const origin = padded(list.map(resource), () => 1_048_576);
  const ids: string[] = [];
  let at: PagePlace | undefined;
  do {
    const { ids: some, next } = await page(origin, 50, at);
    ids.push(...some);
    at = next;
  } while (at !== undefined && ids.length < 50);
  expect(ids).toEqual(list.filter(({ isVisible }) => isVisible).map(({ id }) => id));
});

test("a page whose rows wait for their joins ends by its rows alone, though outcomes stand among them", async ({
  expect,
}) => {
  const outcome = { resource: { resourceType: "OperationOutcome" }, search: { mode: "outcome" } };
  const long = (n: number) => ({
    resource: { ...resource({ id: `o${n}`, isVisible: true }), note: [{ text: "n".repeat(3_000_000) }] },
  });
  const huge = { ...outcome, resource: { ...outcome.resource, id: "n".repeat(6_000_000) } };
  const pages = async (entries: readonly object[]) => {
    const origin = originOf(() => ({ resourceType: "Bundle", type: "searchset", entry: entries }));
    const found: (readonly string[])[] = [];
    let [place, isWhole]: [PagePlace | undefined, boolean] = [undefined, false];
    while (!isWhole && found.length < 6) {
      const grant = decide(labs, "Observation?_count=10");
      if ("reason" in grant || grant.expects.kind !== "search") throw new Error("refused");
      const joins = { joined: [], byPage: new JoinsByPage([]) };
      const search = { ...grant, expects: grant.expects };
      const filled: Result<Filled<Page>, { readonly reason: string }> = await fillPage(
        search,
        place,
        sessionOf(origin.ask),
        joins,
      );
      if (!filled.ok) return filled.error.reason;
      found.push(filled.value.page.rows.map(({ released }) => released.id));
      place = filled.value.next;
      isWhole = place === undefined;
    }
    return found;
  };
  const wanted = [["o0", "o1"], ["o2", "o3"], ["o4"]];
  const rowsOf = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => long(from + n));
  expect(await pages(rowsOf(0, 5))).toEqual(wanted);
  expect(await pages([outcome, ...rowsOf(0, 2), outcome, ...rowsOf(2, 5), outcome])).toEqual(wanted);
  // Without a row in front of it, a row that has no room ends no page: the next page would be the same.
  expect(await pages([huge, ...rowsOf(0, 1)])).toBe("answer_too_large");
});
