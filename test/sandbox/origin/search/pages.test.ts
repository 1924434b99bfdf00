import type { Bundle, OperationOutcome, Resource } from "@medplum/fhirtypes";
import { afterAll, afterEach, test, vi } from "vitest";
import { startOrigin } from "../../../../sandbox/origin/server.ts";

const origin = await startOrigin();
afterAll(() => origin.close());
afterEach(() => void vi.useRealTimers());

const observations = (patient: string, ids: readonly string[]): Resource[] =>
  ids.map((id) => ({
    resourceType: "Observation",
    id,
    status: "final",
    code: { text: id },
    subject: { reference: `Patient/${patient}` },
  }));
const numbered = (length: number, name: string) => Array.from({ length }, (_, i) => `${name}-${i}`);
await origin.load(observations("many", numbered(150, "many")));
await origin.load(observations("crowd", numbered(1_200, "crowd")));

interface Page {
  readonly status: number;
  readonly total: number | undefined;
  readonly ids: readonly (string | undefined)[];
  readonly links: ReadonlyMap<string, string>;
}
async function page(url: string, init?: RequestInit): Promise<Page> {
  const response = await fetch(url.startsWith("http") ? url : `${origin.url}/${url}`, init);
  const { total, entry = [], link = [] }: Bundle = await response.json();
  return {
    status: response.status,
    total,
    ids: entry.map(({ resource }) => resource?.id),
    links: new Map(link.map(({ relation, url }) => [relation, url])),
  };
}
async function pages(url: string, init?: RequestInit): Promise<Page[]> {
  const all = [await page(url, init)];
  for (let next = all[0]?.links.get("next"); next !== undefined; next = all.at(-1)?.links.get("next"))
    all.push(await page(next));
  return all;
}

test("without _count twenty come, and next leads through everything, each once, with a true total on every page", async ({
  expect,
}) => {
  const all = await pages("Observation?patient=many");
  expect(all.map(({ ids, total }) => [ids.length, total])).toEqual([
    ...Array.from({ length: 7 }, () => [20, 150]),
    [10, 150],
  ]);
  expect(all.flatMap(({ ids }) => ids)).toEqual(numbered(150, "many"));
});

test("links are absolute, opaque and on the base, and lead back, to the first page and to the last", async ({
  expect,
}) => {
  // three pages, as the next line shows
  const [first, second] = (await pages("Observation?patient=many&_count=60")) as [Page, Page];
  expect([...first.links.keys()]).toEqual(["self", "first", "next", "last"]);
  expect(first.links.get("self")).toBe(`${origin.url}/Observation?patient=many&_count=60`);
  const next = first.links.get("next") ?? "";
  expect(next.replace(/[0-9a-f-]{36}/u, "<id>")).toBe(
    `${origin.url}?_getpages=<id>&_getpagesoffset=60&_count=60`,
  );
  expect([...second.links.keys()]).toEqual(["self", "first", "previous", "next", "last"]);
  expect(second.links.get("self")).toBe(next);
  for (const relation of ["first", "previous"])
    expect((await page(second.links.get(relation) ?? "")).ids).toEqual(first.ids);
  const last = await page(second.links.get("last") ?? "");
  expect([last.ids.length, last.links.has("next")]).toEqual([30, false]);
  // some clients put the slash of the base back
  expect((await page(next.replace("?", "/?"))).ids).toEqual(second.ids);
});

test("no page has more than a thousand entries", async ({ expect }) => {
  const all = await pages("Observation?patient=crowd&_count=5000");
  expect(all.map(({ ids, total }) => [ids.length, total])).toEqual([
    [1_000, 1_200],
    [200, 1_200],
  ]);
});

test("the last full page has no next link, and a single page has only its self link", async ({ expect }) => {
  expect((await pages("Observation?patient=many&_count=75")).map(({ ids }) => ids.length)).toEqual([75, 75]);
  expect([...(await page("Observation?patient=many&_count=150")).links.keys()]).toEqual(["self"]);
});

test("_count=0 and _summary=count give the total alone", async ({ expect }) => {
  for (const query of ["_count=0", "_summary=count"]) {
    const { total, ids, links } = await page(`Observation?patient=many&${query}`);
    expect([total, ids, [...links.keys()]]).toEqual([150, [], ["self"]]);
  }
});

test("a search by POST pages by the same links", async ({ expect }) => {
  const form = {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "patient=many&_count=50",
  };
  const all = await pages("Observation/_search", form);
  expect(all.flatMap(({ ids }) => ids)).toEqual(numbered(150, "many"));
  expect(all[0]?.links.get("self")).toBe(`${origin.url}/Observation?patient=many&_count=50`);
});

test("a write after a search moves no entry between its pages; a deleted entry is missing from its own page", async ({
  expect,
}) => {
  await origin.load(observations("moving", numbered(6, "moving")));
  const first = await page("Observation?patient=moving&_count=2&_sort=-_id");
  await origin.load(observations("moving", ["moving-9"])); // would be first
  await origin.load(observations("elsewhere", ["moving-2"])); // would be no match
  await fetch(`${origin.url}/Observation/moving-3`, { method: "DELETE" });
  const second = await page(first.links.get("next") ?? "");
  const third = await page(second.links.get("next") ?? "");
  expect([first.ids, second.ids, third.ids]).toEqual([
    ["moving-5", "moving-4"],
    ["moving-2"],
    ["moving-1", "moving-0"],
  ]);
});

test("searches that are too old or too many are deleted, and their links answer 410", async ({ expect }) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const small = await startOrigin({ pages: { searchesMax: 2, keptMilliseconds: 500 } });
  await small.load(observations("many", numbered(3, "o")));
  const search = async () =>
    (await page(`${small.url}/Observation?patient=many&_count=1`)).links.get("next") ?? "";
  const [a, b, c] = [await search(), await search(), await search()];
  expect([(await page(a)).status, (await page(b)).status, (await page(c)).status]).toEqual([410, 200, 200]);
  vi.setSystemTime(Date.now() + 501);
  const gone = await fetch(c);
  const outcome: OperationOutcome = await gone.json();
  expect([gone.status, outcome.resourceType, outcome.issue[0]?.code]).toEqual([
    410,
    "OperationOutcome",
    "not-found",
  ]);
  await small.close();
});

test("a made-up link finds nothing and a broken one is refused", async ({ expect }) => {
  const unknown = "_getpages=11111111-2222-4333-8444-555555555555";
  for (const [query, status] of [
    [unknown, 410],
    [`${unknown}&_getpagesoffset=x`, 400],
    [`${unknown}&_count=-1`, 400],
    ["_getpagesoffset=20", 404],
  ] as const)
    expect((await page(`${origin.url}?${query}`)).status, query).toBe(status);
});

test("a history is paged like a search", async ({ expect }) => {
  for (let i = 0; i < 25; i++) await origin.load(observations("old", ["old"]));
  const versions = async (url: string) => {
    const { entry = [], link = [] }: Bundle = await (await fetch(url)).json();
    return {
      ids: entry.map(({ resource }) => resource?.meta?.versionId),
      next: link.find(({ relation }) => relation === "next")?.url,
    };
  };
  const first = await versions(`${origin.url}/Observation/old/_history`);
  const second = await versions(first.next ?? "");
  expect([first.ids[0], first.ids.length, second.ids, second.next]).toEqual([
    "25",
    20,
    ["5", "4", "3", "2", "1"],
    undefined,
  ]);
});
