import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { commonWorld, concernedPolicy, encounter, observation } from "../support/concerned-world.ts";
import type { PlainQuestion, Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { entryOf, fhirJson } from "../support/fhir-parts.ts";
import { inLane, lane } from "../support/lane.ts";

// One request has one budget for all bytes that it holds in memory. Over the budget it is refused with 413
// or too-costly, on record, and nothing was sent.

const worlds = worldsUnder(concernedPolicy);

const large = (bytes: number) => ({ note: [{ text: "x".repeat(bytes) }] }); // the view hides it
const many = (count: number, row: (n: number) => Resource) => Array.from({ length: count }, (_, n) => row(n));

async function ask(
  world: readonly Resource[],
  { path, method = "GET", body, headers = fhirJson }: PlainQuestion,
): Promise<Seen> {
  const question = {
    by: await worlds.by("system"),
    path,
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  // the second world is not looked at: a small world is quickly asked
  const { one } = await worlds.compare({ origin: world }, { origin: commonWorld }, [question]);
  const [seen] = one;
  if (seen === undefined) throw new Error("there was a question");
  return seen;
}

const reasons = ({ records }: Seen) =>
  records.flatMap(({ event }) => (event.kind === "refusal" ? [event.outcome?.reason] : []));
const bundle = (type: string, ...entries: readonly object[]): PlainQuestion => ({
  path: "",
  method: "POST",
  body: { resourceType: "Bundle", type, entry: entries },
});

const fiveMiB = [
  ...commonWorld,
  ...many(20, (n) =>
    observation(`o${n}`, "ann", { ...large(260_000), encounter: { reference: "Encounter/v" } }),
  ),
];
const threeMiB = [...fiveMiB.slice(0, -8), encounter("v", "ann")];

test(
  "the rows that one decision reads take at most 4 MiB at a time, and the rows of a join take nothing",
  { timeout: 60_000 },
  async ({ expect }) => {
    for (const asked of [
      { path: "Observation/$lastn?patient=ann" },
      { path: "Encounter?_has:Observation:encounter:code=a" },
      { path: "Patient?_has:Observation:patient:code=a" },
      { path: "Observation?code=a", method: "DELETE" },
      {
        path: "Observation",
        method: "POST",
        headers: { ...fhirJson, "if-none-exist": "code=zzz" },
        body: observation("x", "ann"),
      },
    ]) {
      const over = await ask(fiveMiB, asked);
      const below = await ask(threeMiB, asked);
      if (asked.headers !== undefined) {
        // the origin finds no row: nothing is held
        expect([over.status, below.status], asked.path).toEqual([201, 201]);
        continue;
      }
      if (asked.path.includes("_has")) {
        expect([over.status, below.status], asked.path).toEqual([200, 200]);
        continue;
      }
      expect([over.status, reasons(over)], asked.path).toEqual([403, ["too_many_rows"]]);
      expect(over.body.toString("utf8")).toContain("too-costly");
      expect(below.status, asked.path).not.toBe(403);
      expect(
        over.records
          .flatMap(({ event }) => (event.kind === "disclosure" ? event.patients : []))
          .map(({ patient }) => patient),
      ).toEqual(["main/Patient/ann"]);
    }
  },
);

test.skipIf(lane === "fast")(
  "the plans of a transaction or a batch take at most 8 MiB, including the hidden elements: more is 413, and nothing is sent (slow lane)",
  {
    timeout: 60_000,
  },
  async ({ expect }) => {
    const world = [...commonWorld, ...many(10, (n) => observation(`o${n}`, "ann", large(1_000_000)))];
    const puts = many(10, (n) => observation(`o${n}`, "ann", { valueInteger: 2 })).map((row) =>
      entryOf("PUT", `Observation/${row.id}`, row),
    );
    const whole = await ask(world, bundle("transaction", ...puts));
    expect([whole.status, reasons(whole)]).toEqual([413, ["plan_too_large"]]);
    expect(whole.questions.filter(({ method }) => method !== "GET")).toEqual([]);
    const each = await ask(world, bundle("batch", ...puts));
    const { entry: answers } = JSON.parse(each.body.toString("utf8")) as {
      entry: { response: { status: string } }[];
    };
    expect(answers.map(({ response }) => response.status)).toEqual([...many8("200"), "413", "413"]);
    expect(reasons(each)).toEqual(["plan_too_large", "plan_too_large"]);
    const isRead = (id: string) => each.questions.some(({ path }) => path.endsWith(`/${id}`));
    expect([isRead("o8"), isRead("o9")], "a batch without room decides about no further row").toEqual([
      true,
      false,
    ]);
    const fewer = await ask(world, bundle("transaction", ...puts.slice(0, 8)));
    expect(fewer.status).toBe(200);
  },
);

// The bytes are the same in each lane.
const [updates, characters] = inLane({ fast: [200, 20_000], slow: [1_000, 4_000], long: [1_000, 4_000] });

test(
  "a transaction takes 1,000 updates (200 in the fast lane) of small rows, whose hidden parts have 4 MB together",
  { timeout: 60_000 },
  async ({ expect }) => {
    const rows = many(updates, (n) => observation(`o${n}`, "ann"));
    const hidden = { note: [{ text: "x".repeat(characters - 100) }] };
    const puts = rows.map((row) => entryOf("PUT", `Observation/${row.id}`, { ...row, valueInteger: 2 }));
    const world = [...commonWorld, ...rows.map((row) => Object.assign({}, row, hidden))];
    const done = await ask(world, bundle("transaction", ...puts));
    expect([done.status, reasons(done)]).toEqual([200, []]);
    expect(done.questions.filter(({ method }) => method !== "GET")).toHaveLength(1);
  },
);

const many8 = (status: string) => Array.from({ length: 8 }, () => status);

test(
  "the plan's bytes are returned when its answer is written: a batch reads as much after its writes",
  { timeout: 60_000 },
  async ({ expect }) => {
    const world = [
      ...commonWorld,
      ...many(7, (n) => observation(`o${n}`, "ann", { valueString: "x".repeat(1_000_000) })),
    ];
    const put = (n: number) =>
      entryOf("PUT", `Observation/o${n}`, observation(`o${n}`, "ann", { valueString: "y".repeat(400_000) }));
    const reads = many(6, (n) => observation(`o${n}`, "ann")).map(({ id }) =>
      entryOf("GET", `Observation/${id}`),
    );
    const both = await ask(world, bundle("batch", put(6), ...reads));
    const { entry: answers } = JSON.parse(both.body.toString("utf8")) as {
      entry: { response: { status: string } }[];
    };
    expect(answers.map(({ response }) => response.status)).toEqual(Array.from({ length: 7 }, () => "200"));
  },
);

test(
  "the size of a batch's body does not measure the hidden part of a row that decides an entry",
  { timeout: 60_000 },
  async ({ expect }) => {
    const by = await worlds.by("system");
    const world = (hidden: number) => [
      encounter("v", "ann"),
      observation("o", "ann", { ...large(hidden), encounter: { reference: "Encounter/v" } }),
    ];
    const hop = entryOf("GET", "Encounter?_has:Observation:encounter:status=final");
    const bodyOf = (characters: number) =>
      JSON.stringify(
        bundle("batch", hop, entryOf("POST", "Observation", { text: "x".repeat(characters) })).body,
      );
    const bytesMax = 4_194_304;
    for (const free of [100, 2_000, 9_000, 70_000]) {
      const body = bodyOf(bytesMax - bodyOf(0).length - free);
      const question = { by, path: "", method: "POST", headers: fhirJson, body };
      const [one, other] = [
        { origin: [...commonWorld, ...world(1)] },
        { origin: [...commonWorld, ...world(8_000)] },
      ];
      const { differences } = await worlds.compare(one, other, [question]);
      expect(differences, String(free)).toEqual([]);
    }
  },
);
