import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import { setTimeout } from "node:timers/promises";
import { eventsOf } from "../support/auditor.ts";
import { newKey, observation, startKeyedWorld, type Trouble } from "../support/keyed-world.ts";
import { lane } from "../support/lane.ts";
import { breakLedger } from "../support/shards.ts";

/*
 * Every part that a request depends on fails in every way that it can. For each: the promised answer, nothing of
 * the origin in it, nothing of a write lost or done twice, and the same answers as before once the part works
 * again, without a restart.
 */

type Fault = "down" | "slow";
let broken: { readonly part: string; readonly how: Fault } | undefined;
let world: Awaited<ReturnType<typeof startKeyedWorld>>;

beforeAll(async () => {
  world = await startKeyedWorld({
    remote: async (to, act) => {
      if (broken?.part !== to) return act();
      if (broken.how === "down") throw new TypeError(`${to} is down`);
      await setTimeout(300); // the gateway waits for two seconds
      return act();
    },
  });
}, 60_000);
afterAll(() => world.close());
afterEach(() => {
  broken = undefined;
  world.trouble.clear();
  vi.useRealTimers();
});

const kind = "update-as-create";
const read = () => world.ask(kind, "Patient/amara", { method: "GET" });
const search = () => world.ask(kind, "Patient?_id=amara", { method: "GET" });
const json = (body: unknown, status = 200) =>
  Response.json(body, { status, headers: { "content-type": "application/fhir+json" } });
const canary = { resourceType: "Patient", id: "canary", name: [{ family: "canary" }] };

/** The trouble of an origin, and the status and the reason on record of a read and of a search. */
const originFaults: readonly (readonly [
  name: string,
  trouble: Trouble,
  read: readonly [number, string?],
  search: readonly [number, string?],
])[] = [
  [
    "resets the connection",
    async () => {
      throw new TypeError("reset");
    },
    [502, "origin_unreachable"],
    [502, "origin_unreachable"],
  ],
  [
    "answers 429",
    async () => new Response("canary", { status: 429 }),
    [429, "origin_throttled"],
    [429, "origin_throttled"],
  ],
  [
    "answers 503",
    async () => new Response("canary", { status: 503 }),
    [503, "origin_unavailable"],
    [503, "origin_unavailable"],
  ],
  [
    "answers 500",
    async () => new Response("canary", { status: 500 }),
    [502, "origin_refused"],
    [502, "origin_refused"],
  ],
  ["answers garbage", async () => json("canary"), [502], [502]],
  ["answers no JSON", async () => new Response("<html>canary</html>"), [502], [502]],
  ["answers with the wrong type", async () => json({ ...canary, resourceType: "Observation" }), [502], [502]],
  [
    "answers with an entry that is no resource",
    async () => json({ resourceType: "Bundle", type: "searchset", entry: [{ resource: "canary" }] }),
    [502],
    [502],
  ],
  ["answers with another resource of the type", async () => json(canary), [502], [502]],
  [
    "breaks its JSON off",
    async () => new Response('{"resourceType":"Patient","id":"amara","name":[{"family":"canary'),
    [502],
    [502],
  ],
  [
    "redirects",
    async () => new Response("canary", { status: 302, headers: { location: "https://canary.example/" } }),
    [502, "origin_refused"],
    [502, "origin_refused"],
  ],
  [
    "breaks the connection in the middle",
    async (_request, act) => {
      const bytes = await (await act()).bytes();
      return new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes.subarray(0, 20));
            controller.error(new TypeError("canary"));
          },
        }),
        { headers: { "content-type": "application/fhir+json" } },
      );
    },
    [502, "origin_unreachable"],
    [502, "origin_unreachable"],
  ],
];

test.for(originFaults)(
  "an origin that %s: the promised answer without a word of it, on record; then the origin's answers again",
  async ([, trouble, ...expected], { expect }) => {
    world.trouble.set(kind, trouble);
    for (const [index, ask] of [read, search].entries()) {
      const reply = await ask();
      const [status, reason] = expected[index] ?? [0];
      expect(reply.status, reply.text).toBe(status);
      expect(reply.text).toContain('"OperationOutcome"');
      expect(reply.text + JSON.stringify(reply.headers)).not.toMatch(/canary/u);
      const events = await eventsOf(world.door.dev, reply.headers["x-request-id"]);
      expect(events.map((event) => event.kind)).toEqual(["refusal"]);
      if (reason !== undefined) expect(events[0]?.outcome?.reason).toBe(reason);
    }
    world.trouble.clear();
    expect((await read()).status).toBe(200);
    expect((await search()).status).toBe(200);
  },
);

test("duplicates of a row in a page are shown once, and a row of another type is not shown", async ({
  expect,
}) => {
  const amara = { resourceType: "Patient", id: "amara" };
  world.trouble.set(kind, async () =>
    json({
      resourceType: "Bundle",
      type: "searchset",
      entry: [amara, amara, { ...canary, resourceType: "Practitioner" }].map((resource) => ({
        resource,
        search: { mode: "match" },
      })),
    }),
  );
  const reply = await search();
  expect(reply.text).not.toMatch(/canary/u);
  expect([reply.status, reply.text.split('"id":"amara"').length - 1], reply.text).toEqual([200, 1]);
});

test(
  "an origin that hangs, or drips, is given up after ten seconds: 504, and a write is unknown and settled by its repeat",
  { timeout: 60_000 },
  async ({ expect }) => {
    const [text, key] = [newKey(), newKey()];
    const create = () =>
      world.ask(kind, "Observation", { key, body: observation("amara", { note: [{ text }] }) });
    world.trouble.set(kind, async (request, act) => {
      if (request.method === "POST" || request.method === "PUT") await act();
      await setTimeout(30_000, undefined, { ref: false });
      return new Response();
    });
    world.trouble.set(
      "plain",
      async () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              await setTimeout(400);
              controller.enqueue(new TextEncoder().encode(" "));
            },
          }),
          { headers: { "content-type": "application/fhir+json" } },
        ),
    );
    const drip = world.ask("plain", "Patient/amara", { method: "GET" });
    const [hung, written, dripped] = await Promise.all([read(), create(), drip]);
    expect([hung.status, written.status, dripped.status]).toEqual([504, 504, 504]);
    world.trouble.clear();
    expect((await create()).status).toBe(201);
    expect(JSON.stringify(await world.held(kind, "Observation")).split(text)).toHaveLength(2);
    expect((await world.ask("plain", "Patient/amara", { method: "GET" })).status).toBe(200);
  },
);

test("a storm of 503 opens the circuit: the origin is left alone, then asked again, and answers", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  let asked = 0;
  world.trouble.set(kind, async () => {
    asked += 1;
    return new Response("canary", { status: 503 });
  });
  const statuses = new Set<number>();
  for (let request = 0; request < 30; request++) statuses.add((await read()).status);
  expect([...statuses]).toEqual([503]);
  expect(asked, "an open circuit asks no more").toBeLessThan(30);
  world.trouble.clear();
  vi.setSystemTime(Date.now() + 61_000);
  expect((await read()).status).toBe(200);
});

test("the registry down: copies serve for ten seconds, then requests are 503; slow: requests wait", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(Date.now() + 120_000); // later than the clock of any test above
  expect((await read()).status).toBe(200);
  broken = { part: "registry", how: "down" };
  expect((await read()).status).toBe(200);
  vi.setSystemTime(Date.now() + 11_000);
  expect((await read()).status).toBe(503);
  broken = { part: "registry", how: "slow" };
  expect((await read()).status).toBe(200);
  broken = undefined;
  expect((await read()).status).toBe(200);
});

test("the registry's nearby copy behind: a change counts within ten seconds, though the copy does not have it", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(Date.now() + 240_000); // later than the clock of any test above
  const pass = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);
  const statuses = async () => [(await read()).status, (await search()).status];
  expect(await statuses()).toEqual([200, 200]);
  world.door.nearCopy.leaveCopyBehind();
  try {
    await world.grant("system/Observation.cruds");
    pass(10_000);
    for (let time = 0; time < 12; time++) {
      expect(await statuses(), `${time} seconds later`).toEqual([403, 403]);
      pass(1_000);
    }
    await world.grant("system/*.cruds");
    pass(10_000);
    for (let time = 0; time < 12; time++) {
      expect(await statuses(), `${time} seconds later`).toEqual([200, 200]);
      pass(1_000);
    }
  } finally {
    world.door.nearCopy.catchCopyUp();
  }
  pass(10_000);
  expect(await statuses()).toEqual([200, 200]);
});

/** A part that is down, and what it means for a read, a keyed write and a write without a key. */
const downs = [
  ["ledger", 503, 503, 503],
  ["keys", 200, 503, 201],
  ["guard", 503, 503, 503],
] as const;

test.for(downs)(
  "%s down: the promised answers, no write is sent, and all is as before when it works again",
  async ([part, onRead, onKeyed, onWrite], { expect }) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    vi.setSystemTime(Date.now() + 20_000); // no lease of a quota is alive
    broken = { part, how: "down" };
    const key = newKey();
    const sent = world.written.get(kind)?.length ?? 0;
    const keyed = await world.ask(kind, "Observation", { key, body: observation() });
    expect([(await read()).status, keyed.status]).toEqual([onRead, onKeyed]);
    expect(world.written.get(kind)?.length, "no write is sent").toBe(sent);
    expect((await world.ask(kind, "Observation", { body: observation() })).status).toBe(onWrite);
    broken = undefined;
    vi.setSystemTime(Date.now() + 61_000);
    expect((await read()).status).toBe(200);
    expect((await world.ask(kind, "Observation", { key, body: observation() })).status).toBe(201);
  },
);

test(
  "a slow ledger, guard or key store delays an answer and changes nothing of it",
  { timeout: 60_000 },
  async ({ expect }) => {
    for (const part of ["ledger", "guard", "keys"]) {
      broken = { part, how: "slow" };
      const [key, text] = [newKey(), newKey()];
      const asking = { key, body: observation("amara", { note: [{ text }] }) };
      // the one that acts is held at the origin until the other is answered
      const first = Promise.withResolvers<void>();
      world.trouble.set(kind, async (request, act) => {
        if (request.method !== "GET") await first.promise;
        return act();
      });
      const ask = () => world.ask(kind, "Observation", asking).finally(first.resolve);
      const replies = await Promise.all([ask(), ask()]);
      expect(
        replies.map(({ status }) => status).toSorted((a, b) => a - b),
        part,
      ).toEqual([201, 409]);
    }
  },
);

test("a ledger that fails at its commit: 503, and a write whose outcome it could not take is repeated without harm", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const [key, text] = [newKey(), newKey()];
  const asking = { key, body: observation("amara", { note: [{ text }] }) };
  // the intent is taken, and the outcome is not
  world.trouble.set(kind, async (request, act) => {
    if (request.method === "PUT") world.door.inEachShard(breakLedger);
    return act();
  });
  expect((await world.ask(kind, "Observation", asking)).status).toBe(503);
  expect((await read()).status).toBe(503);
  world.door.inEachShard("DROP TRIGGER broken");
  world.trouble.clear();
  vi.setSystemTime(Date.now() + 61_000);
  expect((await world.ask(kind, "Observation", asking)).status).toBe(201);
  expect((await read()).status).toBe(200);
  expect(JSON.stringify(await world.held(kind, "Observation")).split(text)).toHaveLength(2);
});

test("clocks that jump: a token is refused outside of its time, and accepted when the clock is right again", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const now = Date.now();
  for (const jump of [2 * 3_600_000, -2 * 3_600_000]) {
    vi.setSystemTime(now + jump);
    await world.door.ringAlarms(); // the ledger copies to R2, or it takes no more records
    expect((await read()).status, `${jump}`).toBe(401);
    vi.setSystemTime(now + 120_000);
    expect((await read()).status, `after ${jump}`).toBe(200);
  }
});

test("a storm of 429: the origin is asked once in the time that it says, and answers after it", async ({
  expect,
}) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  let asked = 0;
  world.trouble.set(kind, async () => {
    asked += 1;
    return new Response("canary", { status: 429, headers: { "retry-after": "20" } });
  });
  for (let request = 0; request < 30; request++) {
    const reply = await read();
    expect([reply.status, reply.headers["retry-after"], reply.text.includes("canary")]).toEqual([
      429,
      "20",
      false,
    ]);
  }
  expect(asked).toBe(1);
  world.trouble.clear();
  vi.setSystemTime(Date.now() + 21_000);
  expect((await read()).status).toBe(200);
});

test.skipIf(lane === "fast")(
  "R2 down for an hour: for half an hour requests are answered and on record, then refused, and the copy follows when R2 works again",
  async ({ expect }) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { door } = world;
    const pass = async (minutes: number) => {
      vi.setSystemTime(Date.now() + minutes * 60_000);
      await door.ringAlarms();
    };
    const logStates = async () => {
      vi.setSystemTime(Date.now() + 2_000); // readiness is kept for a second
      const answer = await door.fetch(new Request(`${new URL(door.dev.fhir).origin}/readyz`));
      const { logs }: { logs: Readonly<Record<string, string>> } = await answer.json();
      return new Set(Object.values(logs));
    };
    const fresh = { method: "GET", isFresh: true };
    await pass(3); // later than the clock of any test above
    const text = newKey();
    const create = () =>
      world.ask(kind, "Observation", { key: newKey(), body: observation("amara", { note: [{ text }] }) });
    // A log compares itself with its copy when its object starts, so each log starts before.
    for (let time = 0; time < 40; time++) {
      await pass(0.1);
      expect((await world.ask(kind, "Patient/amara", fresh)).status).toBe(200);
    }
    broken = { part: "bucket", how: "down" };
    // Reads a third of a second apart meet each of the four logs (ADR 72).
    const reads = async () => {
      const statuses: number[] = [];
      for (let time = 0; time < 12; time++) {
        vi.setSystemTime(Date.now() + 333);
        const seen = await world.ask(kind, "Patient/amara", fresh);
        statuses.push(seen.status);
        expect(seen.status === 200 || !seen.text.includes("Patient/amara")).toBe(true);
      }
      return new Set(statuses);
    };
    for (let time = 0; time < 5; time++) {
      await pass(5);
      expect([...(await reads()), (await create()).status], `after ${time * 5} minutes`).toEqual([200, 201]);
    }
    expect(await logStates()).toContain("degraded");
    await pass(40);
    expect(await logStates(), "the loss of an object would lose more than half an hour").toContain(
      "refusing",
    );
    const written = world.written.get(kind)?.length;
    // A log without a record of the last half an hour takes the records of the logs that refuse.
    for (let log = 0; log < 4; log++) {
      await reads();
      await pass(40);
    }
    expect(await logStates()).toEqual(new Set(["refusing"]));
    expect(await reads()).toEqual(new Set([503]));
    expect(world.written.get(kind)?.length).toBe(written);
    broken = undefined;
    for (let time = 0; time < 3; time++) await pass(1.1);
    expect(await logStates()).toEqual(new Set(["good"]));
    expect((await world.ask(kind, "Patient/amara", fresh)).status).toBe(200);
    expect((await create()).status).toBe(201);
    expect(JSON.stringify(await world.held(kind, "Observation")).split(text), "six creates").toHaveLength(7);
  },
);
