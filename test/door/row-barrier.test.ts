import type { Resource } from "@medplum/fhirtypes";
import { afterEach, beforeAll, test, vi } from "vitest";
import { Facts } from "#fhir/json/facts";
import { RowShareSpent } from "#fhir/search/row-work";
import { Page } from "#phi/page";
import { RowViews } from "#phi/row-views";
import { commonWorld, concernedPolicy, observation } from "../support/concerned-world.ts";
import { bundleOf, fhirJson, jsonPatch, to } from "../support/fhir-parts.ts";
import type { Handler } from "../support/in-process/network.ts";
import { inLane } from "../support/lane.ts";
import {
  beyond,
  type Difference,
  type PlainQuestion,
  type Question,
  type Seen,
} from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

/*
 * The barrier around each row: a row whose judgement throws is hidden, alone, and looks like an absent row; the
 * record counts it. The faults are planted into the judges that each engine and each way to a row pass.
 */

const worlds = worldsUnder(concernedPolicy);
/** Only these are restored: the worlds have spies of their own. */
const planted: { mockRestore(): void }[] = [];
const restore = () => {
  for (const spy of planted.splice(0)) spy.mockRestore();
};
afterEach(restore);

// The first question of a door also puts the configurations on record.
beforeAll(async () => {
  const by = await worlds.by("patient", { jti: "first" });
  const first = Array.from({ length: 12 }, () => ({ by, path: "Observation" }));
  await worlds.compare({ origin: commonWorld }, { origin: commonWorld }, first);
});

const marker = "a-row-that-cannot-be-judged";
/** In a member that decides by its bytes: no decision about another row holds for this row. */
const marked = (patient: string) => ({ subject: { ...to(`Patient/${patient}`), display: marker } });
const failFor = (row: object, fault: () => Error) => {
  if (JSON.stringify(row).includes(marker)) throw fault();
};

/** The judges that throw for a marked row. */
const plants: Readonly<Record<string, (fault: () => Error) => void>> = {
  "the reading of its facts": (fault) => {
    const of = Facts.of.bind(Facts);
    const captured = Facts.captured.bind(Facts);
    const whole = vi.spyOn(Facts, "of").mockImplementation((row, paths) => {
      failFor(row, fault);
      return of(row, paths);
    });
    const parts = vi.spyOn(Facts, "captured").mockImplementation((row, ...more) => {
      failFor(row, fault);
      return captured(row, ...more);
    });
    planted.push(whole, parts);
  },
  "the search's own check": (fault) => {
    // the prototype's own function is called with its object below
    // oxlint-disable-next-line typescript/unbound-method
    const { isFound } = RowViews.prototype;
    const found = vi.spyOn(RowViews.prototype, "isFound");
    planted.push(found);
    found.mockImplementation(function (this: RowViews, facts) {
      failFor(facts, fault);
      return isFound.call(this, facts);
    });
  },
};
const faults: Readonly<Record<string, () => Error>> = {
  "the reading of its facts": () => new TypeError(marker),
  "the search's own check": () => new RowShareSpent(marker),
};

const good = [
  observation("good", "ann", { valueInteger: 1, encounter: to("Encounter/anns-visit") }),
  observation("better", "ann", { valueInteger: 2, encounter: to("Encounter/anns-visit") }),
];
/** A row of Ann's, which her app would see. */
const faulty = observation("x", "ann", { ...marked("ann"), encounter: to("Encounter/anns-visit") });
/** A row of a patient whom the asker does not reach. */
const hiddenFaulty = observation("x", "cy", marked("cy"));

const get = (url: string) => ({ request: { method: "GET", url } });

/**
 * Every kind of page that may have the row, with the status that it has without the row. `isRead`: it has rows that no
 * search found.
 */
const pages: readonly (PlainQuestion & { readonly status: number; readonly isRead?: true })[] = [
  { path: "Observation", status: 200 },
  { path: "Observation?_count=1", status: 200 },
  { path: "Observation?date=2026-01-01", status: 200 },
  { path: "Observation?_id=x,good", status: 200 },
  { path: "Observation?patient=ann&_summary=count", status: 200 },
  { path: "Observation?patient=ann&_total=accurate", status: 200 },
  { path: "Observation?patient=ann&_sort=date", status: 200 },
  { path: "Observation?_include=Observation:encounter", status: 200 },
  { path: "Observation?encounter.status=finished", status: 200 },
  { path: "Encounter?_has:Observation:encounter:code=a", status: 200 },
  { path: "Encounter?_revinclude=Observation:encounter", status: 200, isRead: true },
  {
    path: "Observation/_search",
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "code=a" as unknown as object,
    status: 200,
  },
  { path: "Patient/ann/$everything", status: 200 },
  { path: "Observation/$lastn?patient=ann", status: 200 },
  {
    ...bundleOf("batch", get("Observation"), get("Observation/x"), get("Observation/good")),
    status: 200,
    isRead: true,
  },
  { path: "Observation/good", status: 200 },
  { path: "Observation/good/_history", status: 200 },
  {
    path: "Observation",
    method: "POST",
    headers: { ...fhirJson, "if-none-exist": "code=zzz" },
    body: observation("n", "ann"),
    status: 201,
  },
];

/** The row itself is as an absent row. Only the forms that read its facts reach a planted fault. */
const alone: readonly PlainQuestion[] = [
  { path: "Observation/x" },
  { path: "Observation/x", method: "HEAD" },
  { path: "Observation/x/_history/1" },
  { path: "Observation/x/_history" },
  { path: "Observation/x", method: "PUT", headers: fhirJson, body: observation("x", "ann") },
  {
    path: "Observation/x",
    method: "PATCH",
    headers: jsonPatch,
    body: [{ op: "replace", path: "/status", value: "final" }],
  },
  { path: "Observation/x", method: "DELETE" },
];

const unjudgedIn = ({ records }: Seen) => Math.max(0, ...records.map(({ event }) => event.unjudged ?? 0));
const asQuestion = (by: Question["by"], { body, path, method, headers }: PlainQuestion): Question => ({
  by,
  path,
  ...(method !== undefined && { method }),
  ...(headers !== undefined && { headers }),
  ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
});
/** The record alone may tell: how many rows were hidden, and why nothing was found. */
const onRecord = { records: /\/(?:withheld\/resources|unjudged|outcome\/reason|decision.*)$/u };
/** Short lines: a whole difference has bodies. */
const linesOf = (differences: readonly Difference[], asked: readonly { readonly path: string }[]) =>
  differences.map(({ question, aspect, at }) => `${asked[question]?.path}: ${aspect} ${at}`);
const behind = (...rows: readonly Resource[]) => ({ origin: [...commonWorld, ...good, ...rows] });

test.for(Object.keys(plants))(
  "%s throws: the row is hidden on each kind of page, all else is answered, and the record counts it",
  async (place, { expect }) => {
    plants[place]?.(faults[place] ?? Error);
    const by = await worlds.by("patient", { jti: place });
    const asked = place === "the search's own check" ? pages.filter(({ isRead }) => isRead !== true) : pages;
    const { one, other, differences } = await worlds.compare(
      behind(),
      behind(faulty),
      asked.map((page) => asQuestion(by, page)),
    );
    expect(linesOf(beyond(differences, onRecord), asked)).toEqual([]);
    expect(one.map(({ status }) => status)).toEqual(asked.map(({ status }) => status));
    expect(one.map(unjudgedIn)).toEqual(asked.map(() => 0));
    expect(other.filter((seen) => unjudgedIn(seen) === 1).length).toBeGreaterThan(8);
    expect(JSON.stringify(other.map(({ body }) => body.toString()))).not.toContain(marker);
  },
);

test("a read, a history and a change of a row that cannot be judged are those of an absent row, with a reason of their own on record", async ({
  expect,
}) => {
  plants["the reading of its facts"]?.(() => new TypeError(marker));
  const by = await worlds.by("patient", { jti: "alone" });
  const asked = alone.map((each) => asQuestion(by, each));
  const { other, differences } = await worlds.compare(behind(), behind(faulty), asked);
  expect(differences.filter(({ aspect }) => !["records", "questions", "waits"].includes(aspect))).toEqual([]);
  expect(other.map(({ status }) => status)).toEqual(alone.map(() => 404));
  for (const [index, { records }] of other.entries())
    expect(records[0]?.event.outcome?.reason, asked[index]?.path).toBe("row_unjudged");
});

test("another patient's row whose judgement throws is as a row that does not exist", async ({ expect }) => {
  for (const plant of Object.values(plants)) {
    plant(() => new RowShareSpent(marker));
    const by = await worlds.by("patient", { jti: "hidden" });
    const { differences } = await worlds.compare(
      behind(),
      behind(hiddenFaulty),
      [...pages, ...alone].map((page) => asQuestion(by, page)),
    );
    const questions = /^\/\d/u; // a row that exists has a body to read
    expect(linesOf(beyond(differences, { ...onRecord, questions }), [...pages, ...alone])).toEqual([]);
    restore();
  }
});

test("A1: a row of 140,000 dates ends no search by date", async ({ expect }) => {
  const event = Array.from({ length: 140_000 }, (_, n) => String(1_000 + (n % 9_000)));
  const { effectiveDateTime: _, ...rest } = observation("x", "ann") as Resource & {
    effectiveDateTime?: string;
  };
  const by = await worlds.by("user", { jti: "a1" });
  const { other } = await worlds.compare(
    behind(),
    behind({ ...rest, effectiveTiming: { event } } as Resource),
    [
      { by, path: "Observation?date=ge2020" },
      { by, path: "Observation?patient=ann&_sort=date" },
    ],
  );
  for (const { status, body } of other) {
    expect(status).toBe(200);
    expect(body.toString()).toContain('"id":"good"');
  }
});

/** An origin that answers each question with all rows of the type: it spends no time on 140,000 dates. */
const served =
  (rows: readonly Resource[]): Handler =>
  (request) => {
    const [type, id, operation] = new URL(request.url).pathname.replace("/fhir/", "").split("/");
    const isPage = id === undefined || id === "_search";
    const found = rows.filter(
      (row) => operation !== undefined || (row.resourceType === type && (isPage || row.id === id)),
    );
    const entry = found.map((resource) => ({ resource, search: { mode: "match" } }));
    const answer =
      isPage || operation !== undefined ? { resourceType: "Bundle", type: "searchset", entry } : found[0];
    const headers = { "content-type": "application/fhir+json" };
    return Response.json(answer ?? {}, { status: answer === undefined ? 404 : 200, headers });
  };

// More values than a call has arguments. The fast lane has the other test of as many.
const datesOfService = inLane({ fast: 2_000, slow: 140_000, long: 140_000 });

test("A1: under a policy with dates of service a row of many dates ends no answer: it is shown by its last date, or as absent as another row of former years", async ({
  expect,
}) => {
  const registry = worlds.under({ dataPeriod: { since: "2020-01-01" } });
  const dated = (last: number): Resource => {
    const event = Array.from({ length: datesOfService }, (_, n) => String(1_000 + (n % (last - 999))));
    return observation("x", "ann", { effectiveDateTime: undefined, effectiveTiming: { event } });
  };
  const by = await worlds.by("user", { jti: "a1-dated" });
  const asked = [
    { by, path: "Observation" },
    { by, path: "Patient/ann/$everything" },
    { by, path: "Observation/good" },
    { by, path: "Observation/x" },
  ];
  const behindIt = (...more: readonly Resource[]) => ({
    origin: served([...commonWorld, ...good, ...more]),
    registry,
  });
  const shown = await worlds.compare(behindIt(), behindIt(dated(9_999)), asked);
  expect(shown.other.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(shown.other.map(unjudgedIn)).toEqual([0, 0, 0, 0]);
  const has = (id: string) => shown.other.map(({ body }) => body.toString().includes(`"id":"${id}"`));
  expect(has("good")).toEqual([true, true, true, false]);
  expect(has("x")).toEqual([true, true, false, true]);
  const former = await worlds.compare(behindIt(), behindIt(dated(2_019)), asked);
  expect(linesOf(beyond(former.differences, onRecord), asked)).toEqual([]);
  const before = { origin: [], registry: worlds.under({}) };
  await worlds.compare(before, before, []);
});

test("a fault outside of any row is 503 with Retry-After, on record under the client's name, and shows nothing", async ({
  expect,
}) => {
  const finish = vi.spyOn(Page.prototype, "finish").mockImplementation(() => {
    throw new TypeError(marker);
  });
  planted.push(finish);
  const by = await worlds.by("patient", { jti: "fault" });
  const { one, differences } = await worlds.compare(behind(), behind(), [{ by, path: "Observation" }]);
  expect(differences).toEqual([]);
  const [{ status, headers, body, records, leaves } = {} as Seen] = one;
  expect([status, headers["retry-after"], headers["phylax-receipt"]]).toEqual([503, "2", "present"]);
  expect(body.toString()).not.toMatch(/good|a-row-that/u);
  expect(leaves.length).toBeGreaterThanOrEqual(1);
  expect(records.map(({ event }) => event)).toMatchObject([
    {
      kind: "refusal",
      outcome: { status: 503, reason: "fault" },
      who: { client: "patient-asker", patient: "ann" },
      what: { interaction: "search-type", type: "Observation" },
    },
  ]);
});

test("the rows that cannot be judged change the public size of no record, however many they are", async ({
  expect,
}) => {
  plants["the reading of its facts"]?.(() => new RowShareSpent());
  const many = (count: number) =>
    Array.from({ length: count }, (_, n): Resource => observation(`f${n}`, "ann", marked("ann")));
  for (let longer = 0; longer < 256; longer += 32) {
    const by = await worlds.by("patient", { jti: `size-${"x".repeat(longer)}` });
    const { other, differences } = await worlds.compare(behind(), behind(...many(30)), [
      { by, path: "Observation" },
    ]);
    expect(differences.filter(({ aspect }) => aspect === "leaves")).toEqual([]);
    expect(unjudgedIn(other[0] as Seen)).toBe(30);
  }
});
