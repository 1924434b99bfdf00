import { test } from "vitest";
import { workerRateLimits, workerVariables } from "../support/in-process/worker-variables.ts";
import { ObjectNamespace } from "../support/in-process/durable-objects.ts";
import { DurableObject } from "../support/in-process/cloudflare-workers.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { among } from "../support/in-process/network.ts";
import { send } from "../../cli/connection/mutual-tls.ts";

// The door in the test's own process: it must do the same as sandbox/stack.ts, and its watches must see each
// leak.

test("T46: a door is watched from its start: a door that printed a token fails when it closes", async ({
  expect,
}) => {
  const door = await startDoor({ resources: [] });
  const token = await door.token("telehealth");
  const reply = await send(door.dev, undefined, `${door.dev.fhir}/Patient/x`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(reply.status).toBe(401);
  console.error(`refused: ${token}`); // no line of the project may do this
  await expect(door.close()).rejects.toThrow("a token, an assertion, a proof or a key was printed");
});

test("the watch sees an answer that names the origin, and a token in an error", async ({ expect }) => {
  for (const [spoil, complaint] of [
    [(door: Door) => new Response(`see ${door.dev.origin}`), "stands in the answers to: GET https://door-"],
    [
      (_door: Door, token: string) => new Response(token, { status: 400 }),
      "was in the answer to GET https://door-",
    ],
  ] as const) {
    const door = await startDoor({ resources: [] });
    const token = await door.token("telehealth");
    const sending = { headers: { authorization: `Bearer ${token}` } };
    const gateway = new Map([[new URL(door.dev.gateway).host, () => spoil(door, token)]]);
    await among(gateway, () => send(door.dev, undefined, `${door.dev.fhir}/Patient/x`, sending));
    await expect(door.close()).rejects.toThrow(complaint);
  }
});

test("each door is its own isolate, with its own registry, ledger and audiences", async ({ expect }) => {
  const [one, other] = [await startDoor({ resources: [] }), await startDoor({ resources: [] })];
  const before = (await other.records()).length;
  expect((await one.ask("telehealth", "Patient/x")).status).toBe(404);
  expect((await other.records()).length).toBe(before);
  const foreign = { authorization: `Bearer ${await one.token("telehealth")}` };
  expect((await other.ask("telehealth", "Patient/x", { headers: foreign })).status).toBe(401);
  await one.close();
  await other.close();
});

test("a durable object that was torn down starts again from its storage, and its calls in flight fail", async ({
  expect,
}) => {
  let starts = 0;
  class Counter extends DurableObject {
    constructor(ctx: DurableObjectState, env: unknown) {
      super(ctx, env);
      starts += 1;
      ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS counts (n INTEGER)");
    }
    count(n: number) {
      this.ctx.storage.sql.exec("INSERT INTO counts VALUES (?)", n);
      return this.ctx.storage.sql.exec("SELECT sum(n) AS sum FROM counts").one();
    }
    undone(n: number) {
      this.ctx.storage.transactionSync(() => {
        this.count(n);
        throw new RangeError("not this");
      });
    }
    async end() {
      this.ctx.abort("broken");
      return new Promise(() => {});
    }
    wrong() {
      return () => {};
    }
  }
  const counters = new ObjectNamespace(Counter, () => ({}));
  const stub = () =>
    counters.getByName("a") as Record<"count" | "end" | "undone" | "wrong", (n?: number) => Promise<unknown>>;
  expect(await stub().count(2)).toEqual({ sum: 2 });
  await expect(stub().undone(5)).rejects.toThrow(new RangeError("not this"));
  await expect(stub().end()).rejects.toMatchObject({ message: "broken", durableObjectReset: true });
  expect(await stub().count(3)).toEqual({ sum: 5 });
  expect(starts).toBe(2);
  await expect(stub().wrong()).rejects.toThrow(); // a function cannot be copied
  counters.close();
});

test("the variables and limits of a door are the values of the wrangler configurations", ({ expect }) => {
  expect(workerVariables("wrangler.toml")).toMatchObject({
    LEDGER_SPREAD: "4",
    TOKEN_VERIFICATION_KEYS: "",
    MTLS_URL: "",
  });
  expect(workerVariables("workers/ledger/wrangler.toml")).toMatchObject({ LEDGER_KEEP_MIB: "256" });
  expect([...workerRateLimits("wrangler.toml").keys()]).toEqual([
    "ANONYMOUS_CALLS",
    "UNPROVEN_CALLS",
    "PROVEN_CALLS",
  ]);
  expect([...workerRateLimits("workers/ledger/wrangler.toml").keys()]).toEqual([
    "PUBLIC_READS",
    "OBJECT_READS",
  ]);
});
