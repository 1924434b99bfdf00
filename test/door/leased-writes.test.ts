import { test } from "vitest";
import { newKey, observation, startKeyedWorld } from "../support/keyed-world.ts";

// Writes of rows at an origin that ignores If-Match.

type World = Awaited<ReturnType<typeof startKeyedWorld>>;

async function within(
  options: Parameters<typeof startKeyedWorld>[0],
  act: (world: World) => Promise<void>,
): Promise<void> {
  const world = await startKeyedWorld({ ignoresIfMatch: true, ...options });
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

async function created(world: World) {
  const reply = await world.ask("plain", "Observation", { body: observation() });
  return JSON.parse(reply.text) as { readonly id: string };
}

/** Many updates at once, each by its own reading of the row: the statuses, and the version that came of them. */
async function updatedAtOnce(world: World) {
  const row = await created(world);
  const path = `Observation/${row.id}`;
  const read = await world.ask("plain", path, { method: "GET" });
  const replies = await Promise.all(
    ["amended", "corrected", "cancelled", "preliminary"].map((status) =>
      world.ask("plain", path, {
        method: "PUT",
        body: { ...row, status },
        headers: { "if-match": String(read.headers["etag"]) },
      }),
    ),
  );
  const now = await world.ask("plain", path, { method: "GET" });
  const { meta } = JSON.parse(now.text) as { readonly meta: { readonly versionId: string } };
  return { statuses: replies.map(({ status }) => status).toSorted((a, b) => a - b), version: meta.versionId };
}

/** Holds requests of a method at the origin until this many of them are there. */
function together(world: World, method: string, many: number): void {
  const all = Promise.withResolvers<void>();
  world.trouble.set("plain", async (request, act) => {
    if (request.method !== method) return act();
    if (--many === 0) all.resolve();
    if (many >= 0) await all.promise;
    return act();
  });
}

test("without leases an update is lost at such an origin: the test can see it", async ({ expect }) => {
  await within({}, async (world) => {
    together(world, "PUT", 4);
    const { statuses, version } = await updatedAtOnce(world);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(1);
    expect(Number(version)).toBeGreaterThan(2);
  });
});

test("under leases one of many updates at once is done, and the others are 409 or 412", async ({
  expect,
}) => {
  await within({ more: { leasedWrites: ["update", "delete"] } }, async (world) => {
    const { statuses, version } = await updatedAtOnce(world);
    expect(statuses[0]).toBe(200);
    expect(statuses.slice(1).every((status) => status === 409 || status === 412)).toBe(true);
    expect(version).toBe("2");
  });
});

test("under leases a deletion deletes no version that it did not judge", async ({ expect }) => {
  await within({ more: { leasedWrites: ["delete"] } }, async (world) => {
    for (let round = 0; round < 5; round++) {
      const row = await created(world);
      const path = `Observation/${row.id}`;
      together(world, "GET", 2); // each of the two sees the row before the other changes it
      const [removed, put] = await Promise.all([
        world.ask("plain", path, { method: "DELETE" }),
        world.ask("plain", path, { method: "PUT", body: { ...row, status: "amended" } }),
      ]);
      const now = await world.ask("plain", path, { method: "GET" });
      expect([removed.status === 204, put.status === 200].filter(Boolean)).toHaveLength(1);
      expect(now.status).toBe(removed.status === 204 ? 404 : 200);
      const next = await world.ask("plain", path, { method: "DELETE", key: newKey() });
      expect(next.status, "the lease was given back").toBe(removed.status === 204 ? 404 : 204);
    }
  });
});

test("what the operator has not accepted by name stays refused before the origin is asked", async ({
  expect,
}) => {
  await within({ more: { capabilities: { honoursIfMatchOnUpdate: false } } }, async (world) => {
    const { id } = await created(world);
    const sent = world.written.get("plain")?.length;
    const asking = { method: "PUT", body: { ...observation(), id } };
    expect((await world.ask("plain", `Observation/${id}`, asking)).status).toBe(422);
    expect((await world.ask("plain", `Observation/${id}`, { method: "DELETE" })).status).toBe(422);
    expect(world.written.get("plain")?.length).toBe(sent);
  });
});

test(
  "a write of unknown outcome keeps its lease: the origin may do it later",
  { timeout: 60_000 },
  async ({ expect }) => {
    await within({ more: { leasedWrites: ["delete"] } }, async (world) => {
      const { id } = await created(world);
      world.trouble.set("plain", async (request, act) => {
        if (request.method !== "DELETE") return act();
        throw new TypeError("the connection broke");
      });
      expect((await world.ask("plain", `Observation/${id}`, { method: "DELETE" })).status).toBe(504);
      world.trouble.delete("plain");
      const put = { method: "PUT", body: { ...observation(), id } };
      expect((await world.ask("plain", `Observation/${id}`, put)).status).toBe(409);
    });
  },
);
