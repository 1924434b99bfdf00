import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
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

// Batches and transactions under one key as a whole: each of their writes is done once.

let world: Awaited<ReturnType<typeof startKeyedWorld>>;
beforeAll(async () => {
  world = await startKeyedWorld();
}, 60_000);
afterAll(() => world.close());

const entry = (method: string, url: string, resource?: object) => ({
  ...(resource && { resource }),
  request: { method, url },
});
const bundle = (type: "batch" | "transaction", ...entries: readonly object[]) => ({
  resourceType: "Bundle",
  type,
  entry: entries,
});

interface Answer {
  readonly entry: readonly {
    readonly response: { readonly status: string; readonly location?: string };
    readonly resource?: object;
  }[];
}
const said = ({ text }: { readonly text: string }) =>
  (JSON.parse(text) as Answer).entry.map(({ response: { status, location } }) => [status, location]);
const statuses = (reply: { readonly text: string }) => said(reply).map(([status]) => status);

const created = async (kind: OriginKind) => {
  const reply = await world.ask(kind, "Observation", { body: observation() });
  return JSON.parse(reply.text) as { readonly id: string };
};

/** The origin does the write, and its answer does not come. */
const answerLost: Trouble = async (request, act) => {
  const answer = await act();
  if (request.method === "GET" || request.url.endsWith("_search")) return answer;
  throw new TypeError("the connection broke");
};

for (const type of ["batch", "transaction"] as const)
  test.for(originKinds)(
    `a repeated ${type} at %s sends nothing, and answers the same writes and new reads`,
    async (kind, { expect }) => {
      const [key, text] = [newKey(), newKey()];
      const { id } = await created(kind);
      const body = bundle(
        type,
        entry("POST", "Observation", noted(text)),
        entry("PUT", `Observation/${id}`, { ...observation(), id, status: "amended" }),
        entry("GET", `Observation/${id}`),
      );
      const first = await world.ask(kind, "", { key, body });
      expect([first.status, statuses(first)], first.text).toEqual([200, ["201", "200", "200"]]);
      const sent = world.written.get(kind)?.length;
      const again = await world.ask(kind, "", { key, body });
      expect(statuses(again), again.text).toEqual(["201", "200", "200"]);
      const idIn = (reply: { readonly text: string }) =>
        String(said(reply)[0]?.[1]).replace(/\/_history.*/u, "");
      expect(idIn(again)).toBe(idIn(first));
      expect(world.written.get(kind)?.length).toBe(sent);
      expect(await heldWith(world, kind, text)).toHaveLength(1);
      const events = await eventsOf(world.door.dev, again.headers["x-request-id"]);
      expect(events.map(({ kind, outcome }) => `${kind} ${outcome?.reason}`).toSorted()).toEqual([
        "disclosure undefined",
        "notice write_repeated",
        "notice write_repeated",
      ]);
      const other = await world.ask(kind, "", {
        key,
        body: bundle(type, entry("GET", "Patient/amara"), ...body.entry),
      });
      expect(other.status).toBe(422);
    },
  );

test("a batch whose answers are lost: its repeat finds what was done, does the rest, and leaves each resource once", async ({
  expect,
}) => {
  for (const kind of ["update-as-create", "if-none-exist"] as const) {
    const [key, text] = [newKey(), newKey()];
    const { id } = await created(kind);
    const body = bundle(
      "batch",
      entry("POST", "Observation", noted(`${text}-1`)),
      entry("POST", "Observation", noted(`${text}-2`)),
      entry("POST", "Observation", { ...observation(), unknown: 1 }),
      entry("PUT", `Observation/${id}`, { ...observation(), id, status: "amended" }),
    );
    // the first write is done and its answer lost; the second never comes to the origin
    let writes = 0;
    world.trouble.set(kind, async (request, act) => {
      if (request.method === "GET" || request.url.endsWith("_search")) return act();
      if (++writes === 1) return answerLost(request, act);
      if (writes === 2) throw new TypeError("the connection broke");
      return act();
    });
    const first = await world.ask(kind, "", { key, body });
    expect(statuses(first)).toEqual(["504", "504", "422", "200"]);
    world.trouble.delete(kind);
    const sent = world.written.get(kind)?.length ?? 0;
    const again = await world.ask(kind, "", { key, body });
    expect(statuses(again), again.text).toEqual(["201", "201", "422", "200"]);
    expect((world.written.get(kind)?.length ?? 0) - sent).toBe(kind === "update-as-create" ? 1 : 2);
    expect(await heldWith(world, kind, text)).toHaveLength(2);
    const third = await world.ask(kind, "", { key, body });
    expect(said(third).map(([, place]) => place?.replace(/\/_history.*/u, ""))).toEqual(
      said(again).map(([, place]) => place?.replace(/\/_history.*/u, "")),
    );
    expect(await heldWith(world, kind, text)).toHaveLength(2);
  }
});

test("plain: an entry of unknown outcome stays 409 in each repeat of its batch, and is sent once", async ({
  expect,
}) => {
  const [key, text] = [newKey(), newKey()];
  const body = bundle("batch", entry("POST", "Observation", noted(text)), entry("GET", "Patient/amara"));
  world.trouble.set("plain", answerLost);
  expect(statuses(await world.ask("plain", "", { key, body }))).toEqual(["504", "200"]);
  world.trouble.delete("plain");
  for (let repeat = 0; repeat < 2; repeat++)
    expect(statuses(await world.ask("plain", "", { key, body }))).toEqual(["409", "200"]);
  expect(await heldWith(world, "plain", text)).toHaveLength(1);
});

test.for(originKinds)(
  "%s: a transaction whose answer is lost is done once, or stays unknown",
  async (kind, { expect }) => {
    const [key, text] = [newKey(), newKey()];
    const body = bundle(
      "transaction",
      {
        fullUrl: "urn:uuid:8e03978e-40d5-43e8-bc93-6894a57f9324",
        ...entry("POST", "Observation", noted(`${text}-1`)),
      },
      entry("POST", "Observation", {
        ...noted(`${text}-2`),
        derivedFrom: [{ reference: "urn:uuid:8e03978e-40d5-43e8-bc93-6894a57f9324" }],
      }),
    );
    world.trouble.set(kind, answerLost);
    expect((await world.ask(kind, "", { key, body })).status).toBe(504);
    world.trouble.delete(kind);
    const again = await world.ask(kind, "", { key, body });
    expect(again.status, again.text).toBe(kind === "plain" ? 409 : 200);
    const rows = await heldWith(world, kind, text);
    expect(rows).toHaveLength(2);
    expect(JSON.stringify(rows), "the reference leads to the created resource").not.toContain("urn:uuid");
  },
);

test("a transaction that never came to the origin is done by its repeat", async ({ expect }) => {
  for (const kind of ["update-as-create", "if-none-exist"] as const) {
    const [key, text] = [newKey(), newKey()];
    const { id } = await created(kind);
    const body = bundle(
      "transaction",
      entry("POST", "Observation", noted(text)),
      entry("PUT", `Observation/${id}`, { ...observation(), id, status: "amended" }),
    );
    world.trouble.set(kind, async (request, act) => {
      if (request.method === "GET" || request.url.endsWith("_search")) return act();
      throw new TypeError("the connection broke");
    });
    expect((await world.ask(kind, "", { key, body })).status).toBe(504);
    world.trouble.delete(kind);
    const again = await world.ask(kind, "", { key, body });
    expect([again.status, statuses(again)], again.text).toEqual([200, ["201", "200"]]);
    expect(statuses(await world.ask(kind, "", { key, body }))).toEqual(["201", "200"]);
    expect(await heldWith(world, kind, text)).toHaveLength(1);
  }
});

test("under a grant that requires keys a batch with a write needs one, a batch of reads none", async ({
  expect,
}) => {
  const strict = await startKeyedWorld({ keyed: true });
  try {
    const reads = bundle("batch", entry("GET", "Patient/amara"));
    const writes = bundle("batch", entry("POST", "Observation", observation()));
    expect((await strict.ask("plain", "", { body: reads })).status).toBe(200);
    expect((await strict.ask("plain", "", { body: writes })).status).toBe(400);
    expect((await strict.ask("plain", "", { body: writes, key: newKey() })).status).toBe(200);
    for (const [method, path, body] of [
      ["POST", "Observation", observation()],
      ["PUT", "Observation/x", { ...observation(), id: "x" }],
      ["DELETE", "Observation/x", undefined],
    ] as const) {
      const refused = await strict.ask("plain", path, { method, ...(body && { body }) });
      expect([refused.status, refused.text.includes("Idempotency-Key")], method).toEqual([400, true]);
    }
    expect(strict.written.get("plain")).toHaveLength(1);
  } finally {
    await strict.close();
  }
});

test.for(originKinds)(
  "%s: a bundle of which an entry needed nothing and the rest was refused leaves its key free",
  async (kind, { expect }) => {
    const identified = (value: string) => ({
      ...observation("amara"),
      identifier: [{ system: "urn:x", value }],
    });
    for (const type of ["transaction", "batch"]) {
      const [key, value, text] = [newKey(), newKey(), newKey()];
      expect((await world.ask(kind, "Observation", { body: identified(value) })).status).toBe(201);
      const request = { method: "POST", url: "Observation" };
      const body = {
        resourceType: "Bundle",
        type,
        entry: [
          { resource: identified(value), request: { ...request, ifNoneExist: `identifier=urn:x|${value}` } },
          { resource: identified(text), request },
        ],
      };
      world.trouble.set(kind, async ({ method, url }, act) =>
        method === "GET" || url.endsWith("_search") ? act() : new Response(null, { status: 429 }),
      );
      const refused = await world.ask(kind, "", { key, body });
      world.trouble.delete(kind);
      expect(refused.status, refused.text).toBe(type === "batch" ? 200 : 429);
      const again = await world.ask(kind, "", { key, body });
      expect(again.status, again.text).toBe(200);
      expect(JSON.stringify(await world.held(kind, "Observation")).split(`"${text}"`).length - 1).toBe(1);
    }
  },
);
