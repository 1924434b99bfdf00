import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { commonWorld, concernedPolicy, condition, observation } from "../support/concerned-world.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import type { Handler } from "../support/in-process/network.ts";
import type { PlainQuestion, Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { entryOf, fhirJson } from "../support/fhir-parts.ts";

// The meaning of an origin's answer to a write. A write is done only if the answer says so. An unknown
// result is answered and recorded as unknown.

const worlds = worldsUnder(concernedPolicy);

const stored = [...commonWorld, observation("o1", "ann"), observation("o2", "ann")];

/** An origin with these rows that gives this answer to a write. */
function writing(
  answer: (request: Request) => Response | undefined,
  world: readonly Resource[] = stored,
): Handler {
  const server = memoryOrigin(worlds.originBase);
  server.load(world);
  const real = handlerOf(server);
  return (request) => {
    const isRead = request.method === "GET" || request.url.includes("_search");
    return (isRead ? undefined : answer(request)) ?? real(request);
  };
}

async function ask(
  origin: Handler,
  { path, method = "POST", body }: PlainQuestion,
  registry?: object,
): Promise<Seen> {
  const question = {
    by: await worlds.by("system"),
    path,
    method,
    headers: fhirJson,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  const world = { origin, ...(registry && { registry }) };
  const { one } = await worlds.compare(world, world, [question]);
  const [seen] = one;
  if (seen === undefined) throw new Error("there was a question");
  return seen;
}

const ended = ({ records }: Seen) =>
  records.flatMap(({ event: { kind, outcome } }) =>
    kind === "write" ? [[outcome?.status, outcome?.reason]] : [],
  );
const sent = ({ questions }: Seen) =>
  questions.filter(({ method, path }) => method !== "GET" && !path.includes("_search"));

const put = { path: "Observation/o1", method: "PUT", body: observation("o1", "ann", { valueInteger: 1 }) };
const create = { path: "Condition", body: condition("new", "ann") };
const remove = { path: "Observation/o1", method: "DELETE" };
const transaction = {
  path: "",
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      entryOf("POST", "Condition", condition("new", "ann")),
      entryOf("PUT", "Observation/o1", observation("o1", "ann", { valueInteger: 1 })),
      entryOf("GET", "Patient/ann"),
    ],
  },
};
const single = { path: "", body: { ...transaction.body, entry: transaction.body.entry.slice(0, 1) } };
const answered = (...entries: readonly (object | string)[]) =>
  Response.json(
    {
      resourceType: "Bundle",
      type: "batch-response",
      entry: entries.map((response) => ({
        response: typeof response === "string" ? { status: response } : response,
      })),
    },
    { headers: fhirJson },
  );
const login = () =>
  new Response("<html>Sign in</html>", { status: 200, headers: { "content-type": "text/html" } });

test("a login page makes no write done: 504, and recorded as unknown", async ({ expect }) => {
  for (const asked of [put, create, remove, transaction]) {
    const seen = await ask(writing(login), asked);
    expect([seen.status, new Set(ended(seen).map(([, reason]) => reason))], asked.path).toEqual([
      504,
      new Set(["write_answer_unfit"]),
    ]);
  }
});

test("an answer that does not fit the write makes it not done: a foreign type or id, no Location of a created resource, no JSON", async ({
  expect,
}) => {
  const other =
    (body: object, status = 200) =>
    () =>
      Response.json(body, { status, headers: fhirJson });
  for (const [asked, answer] of [
    [put, other(observation("o2", "ann"))],
    [put, other({ resourceType: "Patient", id: "o1" })],
    [create, () => new Response(null, { status: 200 })],
    [create, () => new Response(null, { status: 204 })],
    [create, other({ resourceType: "OperationOutcome", issue: [] })],
    [create, other(observation("o2", "ann"), 201)],
    [put, () => new Response("{", { status: 200, headers: fhirJson })],
  ] as const)
    expect((await ask(writing(answer), asked)).status).toBe(504);
  const place = { location: "4_0_1/Condition/7" };
  const placed = await ask(
    writing(() => new Response(null, { status: 201, headers: place })),
    create,
  );
  expect([placed.status, placed.headers["location"]]).toEqual([201, `${worlds.base}/Condition/7`]);
});

test("a created resource is where the origin's Location says, in each form that servers use", async ({
  expect,
}) => {
  const base = worlds.originBase;
  const path = new URL(base).pathname;
  for (const [location, place] of [
    [`${base}/Condition/7`, "Condition/7"],
    [`${base}/Condition/7/_history/2`, "Condition/7/_history/2"],
    [`${base}/4_0_1/Condition/7`, "Condition/7"],
    ["Condition/7", "Condition/7"],
    ["Condition/7/_history/2", "Condition/7/_history/2"],
    [`${path}/Condition/7/_history/2`, "Condition/7/_history/2"],
    [`${path}x/Condition/7`, undefined],
    [`//elsewhere.example${path}/Condition/7`, undefined],
    ["https://elsewhere.example/fhir/Condition/7", undefined],
    [`${base}/Patient/7`, undefined],
  ] as const) {
    const placed = await ask(
      writing(() => new Response(null, { status: 201, headers: { location } })),
      create,
    );
    expect([placed.status, placed.headers["location"]], location).toEqual([
      201,
      place && `${worlds.base}/${place}`,
    ]);
    const whole = await ask(
      writing(() => answered({ status: "201", location })),
      single,
    );
    expect(whole.body.includes(`"location":"${worlds.base}/${place}"`), location).toBe(place !== undefined);
  }
});

test("408 and 5xx after sending are unknown, 429 is passed on as not done, and 503 stays the gateway's own", async ({
  expect,
}) => {
  const saying = (status: number) =>
    writing(() => new Response(null, { status, headers: { "retry-after": "1" } }));
  for (const asked of [put, create, remove, transaction]) {
    for (const status of [408, 500, 502, 503, 504, 202, 302]) {
      const seen = await ask(saying(status), asked);
      expect(
        [seen.status, new Set(ended(seen).map(([, reason]) => reason))],
        `${asked.path} ${status}`,
      ).toEqual([504, new Set(["write_outcome_unknown"])]);
      await ask(
        writing(() => undefined),
        { path: "Patient/ann", method: "GET" },
      ); // so that the circuit breaker stays closed
    }
    const throttled = await ask(saying(429), asked);
    expect([throttled.status, throttled.headers["retry-after"], ended(throttled)[0]]).toEqual([
      429,
      "1",
      [429, "origin_throttled"],
    ]);
  }
});

test("a read passes on the origin's 429 and 503 with its Retry-After; until then the client is told the rest of the time, and the origin is not asked", async ({
  expect,
}) => {
  // Two seconds pass between two questions.
  for (const [status, said, told, then] of [
    [503, "0", "1", "1"],
    [429, undefined, "10", "10"],
    [429, "soon", "10", "10"],
    [429, "4", "4", "2"],
  ] as const) {
    const refuses: Handler = () =>
      new Response(null, { status, headers: said === undefined ? {} : { "retry-after": said } });
    for (const [path, seconds] of [
      ["Patient/ann", told],
      ["Observation?patient=ann", then],
    ] as const) {
      const seen = await ask(refuses, { path, method: "GET" });
      expect(
        [seen.status, seen.headers["retry-after"], seen.records.at(-1)?.event.outcome?.status],
        path,
      ).toEqual([status, seconds, status]);
      expect(seen.questions.length === 0, path).toBe(seconds === "2");
    }
  }
});

test("an entry that tells of a different resource makes its write not done, and its id does not leave", async ({
  expect,
}) => {
  const created = { status: "201 Created", location: "Condition/9/_history/1" };
  for (const other of [
    { status: "200 OK", location: "Observation/o2/_history/4" },
    { status: "201 Created", location: "Observation/o2" },
  ]) {
    const seen = await ask(
      writing(() => answered(created, other)),
      transaction,
    );
    expect([seen.status, seen.body.includes("o2")], other.location).toEqual([502, false]);
    expect(ended(seen)).toEqual([
      [201, undefined],
      [504, "write_answer_unfit"],
    ]);
  }
  const own = { status: "200 OK", location: "Observation/o1/_history/2" };
  expect(
    (
      await ask(
        writing(() => answered(created, own)),
        transaction,
      )
    ).status,
  ).toBe(200);
});

test("each entry's own status decides: a transaction that was done in part is 502, with an issue for each entry, and recorded so", async ({
  expect,
}) => {
  const done = { status: "201 Created", location: "Condition/9/_history/1" };
  const part = await ask(
    writing(() => answered(done, "400 Bad Request")),
    transaction,
  );
  expect(part.status).toBe(502);
  const outcome = JSON.parse(part.body.toString("utf8")) as {
    issue: { severity: string; code: string; expression: string[] }[];
  };
  expect(outcome.issue.map(({ severity, expression }) => [severity, expression[0]])).toEqual([
    ["information", "Bundle.entry[0]"],
    ["error", "Bundle.entry[1]"],
    ["information", "Bundle.entry[2]"],
  ]);
  expect(ended(part)).toEqual([
    [201, undefined],
    [422, "write_rejected"],
  ]);
  const unknown = await ask(
    writing(() => answered(done, {})),
    transaction,
  );
  expect([unknown.status, ended(unknown)]).toEqual([
    502,
    [
      [201, undefined],
      [504, "write_answer_unfit"],
    ],
  ]);
  const none = await ask(
    writing(() => answered("409 Conflict", "409 Conflict")),
    transaction,
  );
  expect([none.status, ended(none)]).toEqual([
    409,
    [
      [409, "write_conflict"],
      [409, "write_conflict"],
    ],
  ]);
  const short = await ask(
    writing(() => answered(done)),
    transaction,
  );
  expect(short.status).toBe(504);
  const whole = await ask(
    writing(() => answered(done, { status: "200 OK" })),
    transaction,
  );
  expect([whole.status, ended(whole)]).toEqual([
    200,
    [
      [201, undefined],
      [200, undefined],
    ],
  ]);
});

const main = (traits: object) => ({
  origins: [{ name: "main", url: worlds.originBase, credentials: { kind: "none" }, ...traits }],
});

test("if the registry does not state the server's write behaviour, neither transactions of several writes nor deletes are sent", async ({
  expect,
}) => {
  const unsaid = main({});
  const refused = await ask(
    writing(() => undefined),
    transaction,
    unsaid,
  );
  expect([refused.status, sent(refused)]).toEqual([422, []]);
  expect(refused.records.map(({ event }) => [event.kind, event.outcome?.reason])).toContainEqual([
    "refusal",
    "transaction_not_atomic",
  ]);
  const single = { ...transaction, body: { ...transaction.body, entry: transaction.body.entry.slice(1) } };
  expect(
    (
      await ask(
        writing(() => undefined),
        single,
      )
    ).status,
  ).toBe(200);
  for (const path of ["Observation/o1", "Observation/nothing", "Observation?identifier=urn:i|1"]) {
    const kept = await ask(
      writing(() => undefined),
      { ...remove, path },
    );
    expect([kept.status, kept.questions], path).toEqual([422, []]);
  }
  const metadata = await ask(
    writing(() => undefined),
    { path: "metadata", method: "GET" },
  );
  expect(metadata.status).toBe(200);
  expect(metadata.body.toString("utf8")).toContain('"code":"update"');
  expect(metadata.body.toString("utf8")).not.toContain('"code":"delete"');
  const batch = {
    path: "",
    body: { resourceType: "Bundle", type: "batch", entry: [entryOf("DELETE", "Observation/o1")] },
  };
  expect(
    JSON.parse(
      (
        await ask(
          writing(() => undefined),
          batch,
        )
      ).body.toString("utf8"),
    ),
  ).toMatchObject({
    entry: [{ response: { status: "422" } }],
  });
  const partial = await ask(
    writing(() => undefined),
    transaction,
    main({ transactions: "partial", honoursIfMatchOnDelete: true }),
  );
  expect(partial.status).toBe(200);
  expect(
    (
      await ask(
        writing(() => undefined),
        remove,
      )
    ).status,
  ).toBe(204);
});
