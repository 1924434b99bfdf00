import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, test, vi } from "vitest";
import type { ListedExport } from "#limits/listed-export";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import {
  heldWith,
  newKey,
  noted,
  observation,
  originKinds,
  startKeyedWorld,
  type Asking,
  type OriginKind,
  type Trouble,
} from "../support/keyed-world.ts";

// Batches and transactions with `Prefer: respond-async`: each is done as a job, once, under a stored authority.

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

interface Answered {
  readonly type: string;
  readonly entry: readonly {
    readonly resource?: Answered;
    readonly response: { readonly status: string; readonly location?: string; readonly outcome?: object };
  }[];
}

const kickOff = (kind: OriginKind, { headers, ...asking }: Asking) =>
  world.ask(kind, "", { ...asking, headers: { ...headers, prefer: headers?.["prefer"] ?? "respond-async" } });

/** The path of a job's status, below the base. */
function statusOf(reply: Reply): string {
  if (reply.status !== 202) throw new Error(`${reply.status} ${reply.text}`);
  const [, path] = String(reply.headers["content-location"]).split(/\/v1\/fhir\/[^/]+\//u);
  return path ?? "";
}
const poll = (kind: OriginKind, path: string, asking: Asking = {}) =>
  world.ask(kind, path, { ...asking, method: "GET" });

async function doneAt(kind: OriginKind, path: string): Promise<Answered> {
  const until = Date.now() + 20_000;
  for (;;) {
    const reply = await poll(kind, path);
    if (reply.status === 200) return JSON.parse(reply.text);
    if (![202, 429].includes(reply.status) || Date.now() > until)
      throw new Error(`${reply.status} ${reply.text}`);
    await wait(200);
  }
}
const done = async (kind: OriginKind, asking: Asking) => doneAt(kind, statusOf(await kickOff(kind, asking)));

/** An answer without the ids and texts that differ between two requests. */
const alike = (answer: unknown) =>
  JSON.stringify(answer)
    .replaceAll(/Request [0-9a-f]{32}/gu, "Request")
    .replaceAll(/"(https:[^"]*\/Observation)\/[^"]*"/gu, '"$1"');

const eventsSince = async (from: number) =>
  (await world.door.records()).slice(from).flatMap(({ event }) => event ?? []);
const recorded = async () => (await world.door.records()).length;

const operator = async (path: string, document: object) => {
  const reply = await world.door.within(() =>
    send(world.door.dev, world.door.dev.operators[0], `${world.door.dev.ops}/api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
    }),
  );
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
  return reply.text;
};
const listed = async (): Promise<readonly ListedExport[]> =>
  (JSON.parse(await operator("exports", {})) as { readonly exports: readonly ListedExport[] }).exports;
const authorities = async () =>
  (JSON.parse(await operator("authorities", {})) as { readonly authorities: readonly object[] }).authorities;

const isWrite = (request: Request) => request.method !== "GET" && !request.url.endsWith("_search");
/** The origin is busy: it does no write. */
const resting: Trouble = async (request, act) =>
  isWrite(request) ? new Response(null, { status: 429, headers: { "retry-after": "1" } }) : act();
/** The origin does the write, and its answer does not come. */
const answerLost: Trouble = async (request, act) => {
  const answer = await act();
  if (!isWrite(request)) return answer;
  throw new TypeError("the connection broke");
};

for (const type of ["batch", "transaction"] as const)
  test.for(originKinds)(
    `a ${type} at %s has the answer of the same request without a job`,
    async (kind, { expect }) => {
      const made = await world.ask(kind, "Observation", { body: observation() });
      const { id } = JSON.parse(made.text) as { readonly id: string };
      const body = bundle(
        type,
        entry("POST", "Observation", noted(newKey())),
        entry("PUT", `Observation/${id}`, { ...observation(), id, status: "amended" }),
        ...(type === "batch" ? [entry("POST", "Observation", { ...observation(), unknown: 1 })] : []),
      );
      const answer = await done(kind, { body });
      const plain = await world.ask(kind, "", { body, key: newKey() });
      expect(answer.type).toBe("batch-response");
      expect(answer.entry).toHaveLength(1);
      expect(answer.entry[0]?.response).toEqual({ status: "200" });
      expect(alike(answer.entry[0]?.resource)).toBe(alike(JSON.parse(plain.text)));
    },
  );

test("a job that is refused has the refusal of the same request without a job", async ({ expect }) => {
  const body = bundle("transaction", entry("POST", "Observation", { ...observation(), unknown: 1 }));
  const plain = await world.ask("plain", "", { body, key: newKey() });
  const answer = await done("plain", { body });
  expect(answer.entry).toHaveLength(1);
  expect(answer.entry[0]?.response.status).toBe(String(plain.status));
  expect(alike(answer.entry[0]?.response.outcome)).toBe(alike(JSON.parse(plain.text)));
});

test("a job says how far it is, shows no resource, and ends its authority", async ({ expect }) => {
  const text = newKey();
  const body = bundle("batch", entry("POST", "Observation", noted(text)));
  world.trouble.set("plain", resting);
  const from = await recorded();
  const begun = await kickOff("plain", {
    body,
    headers: { prefer: "respond-async, return=representation" },
  });
  expect(begun.text).toBe("");
  const path = statusOf(begun);
  await vi.waitFor(async () =>
    expect((await listed())[0]?.facts).toMatchObject({
      level: "bundle",
      types: [],
      run: { state: "waits", reason: "origin_throttled" },
    }),
  );
  expect(JSON.stringify(await listed())).not.toContain(text);
  expect(await authorities()).toMatchObject([{ client: "keyed-app", task: "bundle" }]);
  const waits = await poll("plain", path);
  expect([waits.status, waits.headers["retry-after"], waits.headers["x-progress"]]).toEqual([
    202,
    "2",
    expect.stringMatching(/^try \d$/u),
  ]);
  const early = await poll("plain", path);
  expect([early.status, early.headers["retry-after"]]).toEqual([429, "1"]);
  world.trouble.delete("plain");
  const answer = await doneAt("plain", path);
  const [made] = answer.entry[0]?.resource?.entry ?? [];
  expect([made?.response.status, made?.resource]).toEqual(["201", undefined]);
  expect(await heldWith(world, "plain", text)).toHaveLength(1);
  expect((await listed())[0]?.facts?.run).toMatchObject({ state: "done", reason: null });
  expect(await authorities()).toEqual([]);
  const events = await eventsSince(from);
  const tried = events.filter(({ authority }) => authority !== undefined);
  expect(tried.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["intent", "write"]));
  expect(tried.flatMap(({ patients }) => patients.map(({ patient }) => patient))).toContain(
    "plain/Patient/amara",
  );
  expect(events.map(({ what }) => what?.interaction)).toEqual(
    expect.arrayContaining(["$async", "$export-status"]),
  );
  expect(events.map(({ outcome }) => outcome?.reason)).toContain("polled_too_fast");
});

test("an answer that was lost is settled by the next try, and the resource is there once", async ({
  expect,
}) => {
  const text = newKey();
  world.trouble.set("update-as-create", async (request, act) => {
    if (isWrite(request)) world.trouble.delete("update-as-create");
    return answerLost(request, act);
  });
  const body = bundle("transaction", entry("POST", "Observation", noted(text)));
  const answer = await done("update-as-create", { body });
  expect(answer.entry[0]?.resource?.entry[0]?.response.status).toBe("201");
  expect(await heldWith(world, "update-as-create", text)).toHaveLength(1);
});

test("an outcome that nobody can settle is final", async ({ expect }) => {
  const text = newKey();
  world.trouble.set("plain", answerLost);
  try {
    const answer = await done("plain", {
      body: bundle("transaction", entry("POST", "Observation", noted(text))),
    });
    expect(answer.entry[0]?.response.status).toBe("409");
    expect(await heldWith(world, "plain", text)).toHaveLength(1);
  } finally {
    world.trouble.delete("plain");
  }
});

test("a job and a request with its key do the writes once", async ({ expect }) => {
  const [key, text] = [newKey(), newKey()];
  const body = bundle("batch", entry("POST", "Observation", noted(text)));
  const answers = await Promise.all([done("plain", { body, key }), done("plain", { body, key })]);
  const plain = await world.ask("plain", "", { body, key });
  for (const answer of answers)
    expect(answer.entry[0]?.resource?.entry[0]?.response).toEqual(
      (JSON.parse(plain.text) as Answered).entry[0]?.response,
    );
  expect(await heldWith(world, "plain", text)).toHaveLength(1);
  const other = await done("plain", { body: bundle("batch", entry("DELETE", "Observation/x")), key });
  expect(other.entry[0]?.response.status).toBe("422");
});

test("a job is unknown to another person, and gone once its own client deleted it", async ({ expect }) => {
  const body = bundle("batch", entry("POST", "Observation", noted(newKey())));
  const path = statusOf(await kickOff("plain", { body }));
  await doneAt("plain", path);
  const file = path.replace("$export-status", "$export-file");
  const absent = path.replace(/[0-9a-f]{32}$/u, "0".repeat(32));
  const without = (reply: Reply) => [reply.status, reply.text.replace(/Request [0-9a-f]+/u, "")];
  const strange = { subject: "another" };
  expect(without(await poll("plain", path, strange))).toEqual(without(await poll("plain", absent, strange)));
  expect((await world.ask("plain", path, { method: "DELETE", ...strange })).status).toBe(404);
  expect((await poll("if-none-exist", path)).status).toBe(404);
  expect((await poll("plain", `${file}/1`)).status).toBe(404);
  expect((await world.ask("plain", path, { method: "DELETE" })).status).toBe(202);
  expect((await poll("plain", path)).status).toBe(404);
});

test("a job that an operator cancels is not tried again", async ({ expect }) => {
  const text = newKey();
  world.trouble.set("plain", resting);
  const path = statusOf(
    await kickOff("plain", { body: bundle("batch", entry("POST", "Observation", noted(text))) }),
  );
  await vi.waitFor(async () => expect((await listed())[0]?.facts?.run?.tries).toBeGreaterThan(0));
  await operator("exports/cancel", { client: "keyed-app", export: path.split("/").at(-1), reason: "a test" });
  world.trouble.delete("plain");
  expect(await authorities()).toEqual([]);
  expect((await poll("plain", path)).status).toBe(404);
  await wait(2_500);
  expect(await heldWith(world, "plain", text)).toEqual([]);
});

test("P4: a denial ends a job that waits, and nothing of it is done", async ({ expect }) => {
  const text = newKey();
  world.trouble.set("plain", resting);
  const path = statusOf(
    await kickOff("plain", { body: bundle("batch", entry("POST", "Observation", noted(text))) }),
  );
  await vi.waitFor(async () => expect((await listed())[0]?.facts?.run?.tries).toBeGreaterThan(0));
  await operator("revocations", { kind: "client", client: "keyed-app" });
  // in force within ten seconds, and the next try comes within eight
  await vi.waitFor(async () => expect((await listed())[0]?.facts?.run?.state).toBe("done"), 20_000);
  world.trouble.delete("plain");
  await operator("revocations/lift", { kind: "client", client: "keyed-app" });
  await vi.waitUntil(async () => (await poll("plain", path)).status === 200, {
    timeout: 12_000,
    interval: 500,
  });
  const answer = await doneAt("plain", path);
  expect(answer.entry[0]?.response.status).toBe("401");
  expect(await heldWith(world, "plain", text)).toEqual([]);
}, 60_000);

test("a request with respond-async that is no bundle is answered as without", async ({ expect }) => {
  const headers = { prefer: "respond-async" };
  expect((await world.ask("plain", "Observation", { body: observation(), headers })).status).toBe(201);
  expect((await world.ask("plain", "Patient/amara", { method: "GET", headers })).status).toBe(200);
  const body = bundle("batch", entry("POST", "Observation", observation()));
  const plainly = { prefer: "return=respond-async" };
  expect((await world.ask("plain", "", { body, headers: plainly })).status).toBe(200);
  const refused = await world.ask("plain", "?_count=1", { body, headers });
  expect([refused.status, refused.text]).toEqual([400, expect.stringContaining("OperationOutcome")]);
});

test.for([
  [
    "a read",
    bundle("batch", entry("POST", "Observation", observation()), entry("GET", "Patient/amara")),
    422,
  ],
  ["a transaction with a HEAD", bundle("transaction", entry("HEAD", "Patient/amara")), 422],
  ["no bundle", observation(), 400],
  ["no JSON", "{", 400],
] as const)("%s is refused at once", async ([, body, status], { expect }) => {
  const from = await recorded();
  const reply = await kickOff("plain", { body });
  const events = await eventsSince(from);
  expect([reply.status, events.map(({ outcome }) => outcome?.status)]).toEqual([status, [status]]);
  if (status === 422) expect(events[0]?.outcome?.reason).toBe("job_with_read");
});

test("a client has 200 jobs and exports at most, and a refused job leaves no authority", async ({
  expect,
}) => {
  const started = await Promise.all(
    Array.from({ length: 200 }, () =>
      world.ask("if-none-exist", "$export?_type=Observation", { method: "GET", subject: "many" }),
    ),
  );
  expect(started.some(({ status }) => status === 429)).toBe(true);
  const reply = await kickOff("if-none-exist", {
    body: bundle("batch", entry("POST", "Observation", observation())),
  });
  expect([reply.status, reply.text]).toEqual([429, expect.stringContaining("too many")]);
  expect(await authorities()).toEqual([]);
  const begun = started.filter(({ status }) => status === 202).slice(0, 2);
  for (const each of begun)
    await world.ask("if-none-exist", statusOf(each), { method: "DELETE", subject: "many" });
  const body = bundle("batch", entry("POST", "Observation", observation()));
  expect((await done("if-none-exist", { body })).entry).toHaveLength(1);
}, 60_000);
