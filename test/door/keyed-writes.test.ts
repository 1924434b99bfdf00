import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import {
  heldWith,
  newKey,
  noted,
  observation,
  originKinds,
  startKeyedWorld,
  type OriginKind,
  type Trouble,
} from "../support/keyed-world.ts";
import { inLane } from "../support/lane.ts";

// Writes under an Idempotency-Key: done once, however often the request comes.

let world: Awaited<ReturnType<typeof startKeyedWorld>>;
beforeAll(async () => {
  world = await startKeyedWorld();
}, 60_000);
afterAll(() => world.close());

const keysStored = () =>
  (
    JSON.parse(world.door.keyRows()) as readonly (readonly {
      readonly key_hash: string;
      readonly state: string;
      readonly content: string | null;
    }[])[]
  ).flat();
/** What a key stores of a create while its outcome is unknown. */
const waysOfUnknown: Readonly<Record<OriginKind, object>> = {
  "update-as-create": { way: "id", type: "Observation" },
  "if-none-exist": { way: "identifier" },
  plain: { way: "once" },
};
const reasons = async (reply: { readonly headers: Readonly<Record<string, unknown>> }) =>
  (await eventsOf(world.door.dev, reply.headers["x-request-id"] as string)).map(({ kind, outcome }) => [
    kind,
    outcome?.status,
    outcome?.reason,
  ]);

test.for(originKinds)(
  "%s: a repeat of a keyed create is answered with the resource as it is now, sends nothing, and is on record as a repeat",
  async (kind, { expect }) => {
    const [key, text] = [newKey(), newKey()];
    const first = await world.ask(kind, "Observation", { key, body: noted(text) });
    expect([first.status, await reasons(first)]).toEqual([
      201,
      [
        ["intent", undefined, undefined],
        ["write", 201, undefined],
        ["disclosure", 201, undefined],
      ],
    ]);
    const sent = world.written.get(kind)?.length;
    // the same JSON in another form, and another preference
    const again = await world.ask(kind, "Observation", {
      key,
      body: ` ${JSON.stringify(Object.fromEntries(Object.entries(noted(text)).reverse()))}`,
    });
    expect([again.status, again.headers["location"], JSON.parse(again.text)]).toEqual([
      201,
      first.headers["location"],
      JSON.parse(first.text),
    ]);
    expect(await reasons(again)).toEqual([
      ["notice", 201, "write_repeated"],
      ["disclosure", 201, undefined],
    ]);
    expect(world.written.get(kind)?.length).toBe(sent);
    expect(await heldWith(world, kind, text)).toHaveLength(1);
  },
);

test.for(originKinds)(
  "%s: the store of keys has hashes, the way of the write, and its status, type, id and version: nothing of a body or a key",
  async (kind, { expect }) => {
    const [key, lostKey, text] = [newKey(), newKey(), newKey()];
    const before = new Set(keysStored().map(({ key_hash: hash }) => hash));
    const first = await world.ask(kind, "Observation", { key, body: noted(text) });
    world.trouble.set(kind, answerLost);
    expect((await world.ask(kind, "Observation", { key: lostKey, body: noted(text) })).status).toBe(504);
    world.trouble.delete(kind);
    const { id } = JSON.parse(first.text) as { readonly id: string };
    const rows = keysStored().filter(({ key_hash: hash }) => !before.has(hash));
    expect(rows.map(({ state }) => state).toSorted()).toEqual(["done", "unknown"]);
    const contentOf = (state: string) =>
      JSON.parse(rows.find((row) => row.state === state)?.content ?? "") as unknown;
    expect(contentOf("done")).toEqual([
      { way: "done", status: "201", type: "Observation", id, version: "1" },
    ]);
    expect(contentOf("unknown")).toEqual([waysOfUnknown[kind]]);
    const all = world.door.keyRows();
    for (const secret of [key, lostKey, text, "amara", "pulse"]) expect(all).not.toContain(secret);
  },
);

test("another body, address, condition or purpose under the same key is 422, and nothing is sent", async ({
  expect,
}) => {
  const [key, text] = [newKey(), newKey()];
  await world.ask("plain", "Observation", { key, body: noted(text) });
  const sent = world.written.get("plain")?.length;
  for (const asking of [
    { key, body: noted(`${text}-2`) },
    { key, body: noted(text), headers: { "if-none-exist": "identifier=a|b" } },
    { key, body: noted(text), headers: { "phylax-purpose": "PATRQT" } },
  ])
    expect((await world.ask("plain", "Observation", asking)).status).toBe(422);
  expect((await world.ask("plain", "Patient", { key, body: { resourceType: "Patient" } })).status).toBe(422);
  expect(world.written.get("plain")?.length).toBe(sent);
});

test("a key is its caller's own: the same key of another person of the same app is a new request", async ({
  expect,
}) => {
  const [key, text] = [newKey(), newKey()];
  const asking = { key, body: noted(text) };
  expect((await world.ask("plain", "Observation", asking)).status).toBe(201);
  expect((await world.ask("plain", "Observation", { ...asking, subject: "another" })).status).toBe(201);
  expect(await heldWith(world, "plain", text)).toHaveLength(2);
});

test("L42: a repeat shows what its caller may read now: by the token of now, and of the row as it is now", async ({
  expect,
}) => {
  const [key, text] = [newKey(), newKey()];
  const asking = { key, body: noted(text) };
  const first = await world.ask("plain", "Observation", asking);
  expect(first.text).toContain(text);
  const narrower = await world.ask("plain", "Observation", { ...asking, scope: "system/Observation.c" });
  expect([narrower.status, narrower.text]).toEqual([201, ""]);
  const { id } = JSON.parse(first.text) as { readonly id: string };
  const removed = await world.ask("plain", `Observation/${id}`, { method: "DELETE" });
  expect(removed.status).toBe(204);
  const later = await world.ask("plain", "Observation", asking);
  expect([later.status, later.text]).toEqual([201, ""]);
  const stranger = await world.ask("plain", "Observation", { ...asking, subject: "stranger" });
  expect(stranger.headers["location"], "no key leads to another person's write").not.toBe(
    first.headers["location"],
  );
});

test("a key that is no string of 1 to 255 characters is 400, and a read ignores it", async ({ expect }) => {
  for (const header of ["abc", '""', '"a", "b"', `"${"x".repeat(256)}"`, '"a";b=1', "?1", '"é"'])
    expect(
      (
        await world.ask("plain", "Observation", {
          body: observation(),
          headers: { "idempotency-key": header },
        })
      ).status,
      header,
    ).toBe(400);
  const read = { method: "GET", headers: { "idempotency-key": "abc" } };
  expect((await world.ask("plain", "Patient/amara", read)).status).toBe(200);
});

test("a request that was refused before anything was sent may be repeated under its key, corrected or not", async ({
  expect,
}) => {
  const key = newKey();
  const wrong = { key, body: { ...observation(), unknown: true } };
  expect((await world.ask("plain", "Observation", wrong)).status).toBe(422);
  expect((await world.ask("plain", "Observation", wrong)).status).toBe(422);
  expect((await world.ask("plain", "Observation", { key, body: observation() })).status).toBe(201);
});

test("repeats of an update, a patch and a delete are answered with their first result, though the resource changed in between", async ({
  expect,
}) => {
  const created = await world.ask("plain", "Observation", { body: observation() });
  const resource = JSON.parse(created.text) as { id: string };
  const path = `Observation/${resource.id}`;
  const put = { method: "PUT", key: newKey(), body: { ...resource, status: "amended" } };
  const patch = {
    method: "PATCH",
    key: newKey(),
    body: [
      { op: "test", path: "/status", value: "amended" },
      { op: "replace", path: "/status", value: "corrected" },
    ],
  };
  const remove = { method: "DELETE", key: newKey() };
  expect((await world.ask("plain", path, put)).status).toBe(200);
  expect((await world.ask("plain", path, patch)).status).toBe(200);
  const sent = world.written.get("plain")?.length;
  const again = await world.ask("plain", path, put);
  expect([again.status, JSON.parse(again.text)]).toEqual([
    200,
    expect.objectContaining({ status: "corrected" }),
  ]);
  expect((await world.ask("plain", path, patch)).status).toBe(200);
  expect(world.written.get("plain")?.length).toBe(sent);
  expect((await world.ask("plain", path, remove)).status).toBe(204);
  expect((await world.ask("plain", path, remove)).status).toBe(204);
  expect((await world.ask("plain", path, put)).status).toBe(200);
  expect(world.written.get("plain")?.length).toBe((sent ?? 0) + 1);
});

/** The origin does the write, and its answer does not come. */
const answerLost: Trouble = async (request, act) => {
  const answer = await act();
  if (request.method === "GET") return answer;
  throw new TypeError("the connection broke");
};

test.for(["update-as-create", "if-none-exist"] as const)(
  "%s: a create whose answer is lost is 504, and its repeat finds the resource: it is there once",
  async (kind, { expect }) => {
    const [key, text] = [newKey(), newKey()];
    world.trouble.set(kind, answerLost);
    const asking = { key, body: noted(text) };
    expect((await world.ask(kind, "Observation", asking)).status).toBe(504);
    world.trouble.delete(kind);
    const again = await world.ask(kind, "Observation", asking);
    expect([again.status, again.text.includes(text)]).toEqual([201, true]);
    expect((await world.ask(kind, "Observation", asking)).headers["location"]).toBe(
      again.headers["location"],
    );
    expect(await heldWith(world, kind, text)).toHaveLength(1);
  },
);

test("plain: a create whose answer is lost is 504, each repeat is 409 and sends nothing, and the follow-up finds the resource", async ({
  expect,
}) => {
  const [key, text] = [newKey(), newKey()];
  const own = { identifier: [{ system: "urn:app", value: text }] };
  world.trouble.set("plain", answerLost);
  const asking = { key, body: { ...noted(text), ...own } };
  expect((await world.ask("plain", "Observation", asking)).status).toBe(504);
  world.trouble.delete("plain");
  const repeats = await Promise.all(
    Array.from({ length: 6 }, () => world.ask("plain", "Observation", asking)),
  );
  for (const again of repeats) {
    expect(again.headers["retry-after"], "no repeat waits for another").toBeUndefined();
    expect([again.status, (await reasons(again)).at(-1)]).toEqual([409, ["refusal", 409, "outcome_unknown"]]);
  }
  const found = await world.ask("plain", `Observation?identifier=urn:app|${text}`, { method: "GET" });
  expect(JSON.parse(found.text).entry).toHaveLength(1);
  expect(await heldWith(world, "plain", text)).toHaveLength(1);
});

test.for(originKinds)(
  "%s: a create that never came to the origin is done by its repeat, or stays unknown where a second create could be one too many",
  async (kind, { expect }) => {
    const [key, text] = [newKey(), newKey()];
    world.trouble.set(kind, async (request, act) => {
      if (request.method === "GET") return act();
      throw new TypeError("the connection broke");
    });
    const asking = { key, body: noted(text) };
    expect((await world.ask(kind, "Observation", asking)).status).toBe(504);
    world.trouble.delete(kind);
    const again = await world.ask(kind, "Observation", asking);
    expect(again.status).toBe(kind === "plain" ? 409 : 201);
    expect(await heldWith(world, kind, text)).toHaveLength(kind === "plain" ? 0 : 1);
  },
);

test("an update or a patch whose answer is lost is settled by the stored version: done if the row says what was sent, unknown after another's change", async ({
  expect,
}) => {
  const noting = (text: string) => ({ op: "add", path: "/note/-", value: { text } });
  for (const changed of [false, true])
    for (const method of ["PUT", "PATCH", "tested PATCH"]) {
      const created = await world.ask("plain", "Observation", { body: noted("first") });
      const resource = JSON.parse(created.text) as { id: string; note: object[] };
      const path = `Observation/${resource.id}`;
      const sending =
        method === "PUT"
          ? { method, body: { ...resource, status: "amended" } }
          : {
              method: "PATCH",
              body: [
                ...(method === "PATCH" ? [] : [{ op: "test", path: "/status", value: "final" }]),
                noting("second"),
                { op: "replace", path: "/status", value: "amended" },
              ],
            };
      const asking = { ...sending, key: newKey(), headers: { "if-match": created.headers["etag"] ?? "" } };
      world.trouble.set("plain", answerLost);
      expect((await world.ask("plain", path, asking)).status).toBe(504);
      world.trouble.delete("plain");
      if (changed) {
        const other = { method: "PATCH", body: [noting("third")] };
        expect((await world.ask("plain", path, other)).status).toBe(200);
      }
      const sent = world.written.get("plain")?.length;
      for (const repeat of ["first", "second"]) {
        const again = await world.ask("plain", path, asking);
        expect(again.status, `${method} ${changed} ${repeat}`).toBe(changed ? 409 : 200);
      }
      expect(world.written.get("plain")?.length, "a repeat sends nothing").toBe(sent);
    }
});

test("an update whose answer is lost is not done over a later change: it is sent again only over the version that was judged", async ({
  expect,
}) => {
  for (const lost of [true, false]) {
    const created = await world.ask("plain", "Observation", { body: observation() });
    const resource = JSON.parse(created.text) as { id: string };
    const path = `Observation/${resource.id}`;
    const put = { method: "PUT", key: newKey(), body: { ...resource, status: "amended" } };
    world.trouble.set("plain", async (request, act) => {
      if (request.method === "GET") return act();
      if (lost) await act();
      throw new TypeError("the connection broke");
    });
    expect((await world.ask("plain", path, put)).status).toBe(504);
    world.trouble.delete("plain");
    const again = await world.ask("plain", path, put);
    expect(again.status, `lost: ${lost}`).toBe(200);
    const now = await world.ask("plain", path, { method: "GET" });
    expect(JSON.parse(now.text)).toMatchObject({ status: "amended", meta: { versionId: "2" } });
  }
});

test.for(originKinds)(
  "%s: of many concurrent repeats one is done, and the others are 409 until it is, and then get its result",
  { timeout: 120_000 },
  async (kind, { expect }) => {
    const many = inLane({ fast: 40, slow: 1_000, long: 1_000 });
    const [key, text] = [newKey(), newKey()];
    const asking = { key, body: noted(text) };
    const answered = Promise.withResolvers<void>();
    world.trouble.set(kind, async (request, act) => {
      if (request.method !== "GET") await answered.promise;
      return act();
    });
    let waiting = many;
    const ask = async () => {
      const reply = await world.ask(kind, "Observation", asking);
      if (--waiting === 1) answered.resolve();
      return reply;
    };
    const replies = await Promise.all(Array.from({ length: many }, ask));
    world.trouble.delete(kind);
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      201,
      ...Array(many - 1).fill(409),
    ]);
    const places = replies.flatMap(({ headers }) => headers["location"] ?? []);
    expect(new Set(places).size).toBe(1);
    const waits = replies.filter(({ status }) => status === 409).map(({ headers }) => headers["retry-after"]);
    // the attempt that they met ends soon: its whole lease would make all of them meet again
    expect(waits.filter((seconds) => !(Number(seconds) >= 1 && Number(seconds) <= 5))).toEqual([]);
    expect((await world.ask(kind, "Observation", asking)).headers["location"]).toBe(places[0]);
    expect(await heldWith(world, kind, text)).toHaveLength(1);
  },
);

test("an operator's action under a key is done once: a repeat gets the first result, and another document is 422", async ({
  expect,
}) => {
  const { dev } = world.door;
  const [operator] = dev.operators;
  const key = newKey();
  const lift = (client: string, header = `"${key}"`) =>
    world.door.within(() =>
      send(dev, operator, `${dev.ops}/api/revocations/lift`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": header },
        body: JSON.stringify({ kind: "client", client }),
      }),
    );
  const revoked = await world.door.within(() =>
    send(dev, operator, `${dev.ops}/api/revocations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ kind: "client", client: "payer" }),
    }),
  );
  expect(revoked.status, revoked.text).toBe(200);
  const first = await lift("payer");
  expect([first.status, JSON.parse(first.text)]).toEqual([200, { lifted: true }]);
  const again = await lift("payer");
  expect([again.status, JSON.parse(again.text)]).toEqual([200, { lifted: true }]);
  expect((await reasons(again)).at(-1)).toEqual(["administration", 200, "write_repeated"]);
  expect((await lift("keyed-app")).status).toBe(422);
  expect((await lift("payer", "abc")).status).toBe(400);
  const fresh = await lift("payer", `"${newKey()}"`);
  expect(JSON.parse(fresh.text), "an action under a new key is a new action").toEqual({ lifted: false });
});
