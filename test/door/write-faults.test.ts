import { afterAll, afterEach, beforeAll, test, vi } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { startMoodyOrigin, type Mood } from "../support/moody-origin.ts";
import { type AskAs, outsideApps, registerMain } from "../support/outside-apps.ts";
import { breakLedger } from "../support/shards.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";
import { jsonPatch } from "../support/fhir-parts.ts";
import { policyEntry, rule } from "../policy/granting.ts";

// Writes to an origin that fails, lies, or answers with more than the requested row.
const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  meta: { versionId: "7" },
  status: "final",
  code: { text: "pulse" },
  identifier: [{ system: "urn:lab", value: `lab-of-${id}` }],
  subject: { reference: `Patient/${patient}` },
  note: [{ text: "canary-note" }],
  ...more,
});
const shown = ["identifier", "status", "code", "component.code", "value[x]", "dataAbsentReason", "subject"];
const policy = policyEntry(
  "writer",
  [
    rule(["Observation"], shown, {
      interactions: ["read", "search", "create", "update", "delete"],
      deletes: "unseen",
    }),
  ],
  { purposes: ["PATRQT"] },
);

let origin: Awaited<ReturnType<typeof startMoodyOrigin>>;
let phylax: Door;
let ask: AskAs<"app">;
beforeAll(async () => {
  origin = await startMoodyOrigin([
    observation("a", "amara"),
    observation("b", "bela"),
    observation("c", "amara"),
    observation("unversioned", "amara", { meta: {} }),
    observation("strange", "amara", { meta: { versionId: '7" or "8' } }),
  ]);
  phylax = await startDoor({ origin: origin.url });
  const app = { policy: "writer", scopes: "patient/*.cruds", claims: { patient: "amara" } };
  ask = await outsideApps(phylax, { app }, [policy]);
  await registerMain(phylax, { honoursIfMatchOnDelete: true });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});
afterEach(() => void vi.useRealTimers());

const send = (
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Reply> =>
  ask("app", path, {
    method,
    headers: {
      "content-type": method === "PATCH" ? "application/json-patch+json" : "application/fhir+json",
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const change = [{ op: "replace", path: "/status", value: "amended" }];

test("the origin gets the whole new resource, with the judged version in If-Match", async ({ expect }) => {
  origin.moods.set("Observation/a", 204);
  const reply = await send("PATCH", "Observation/a", change);
  expect(reply.status).toBe(200);
  const { method, path, ifMatch, body } = origin.written.at(-1) ?? { body: "{}" };
  expect({ method, path, ifMatch }).toEqual({ method: "PUT", path: "Observation/a", ifMatch: 'W/"7"' });
  expect(JSON.parse(body)).toEqual(observation("a", "amara", { status: "amended" }));
  expect((await send("DELETE", "Observation/a")).status).toBe(204);
  expect(origin.written.at(-1)).toMatchObject({ method: "DELETE", path: "Observation/a", ifMatch: 'W/"7"' });
});

const faults: readonly (readonly [string, Mood, number, string])[] = [
  ["somebody else's change in between", 412, 412, "write_precondition_failed"],
  ["a conflict", 409, 409, "write_conflict"],
  ["rules of its own", 422, 422, "write_rejected"],
  ["a body that it does not take", 400, 422, "write_rejected"],
  ["a credential of the gateway's that it refuses", 403, 502, "origin_refused"],
  ["a fault of its own", 500, 504, "write_outcome_unknown"],
  ["a redirect", 302, 504, "write_outcome_unknown"],
  ["that it is gone meanwhile", 404, 404, "absent"],
  ["a connection that breaks", "hangs up", 504, "write_outcome_unknown"],
];
test.for(faults)(
  "%s has a status of the gateway's own, on record after the intent, and is not tried again",
  async ([, mood, status, reason], { expect }) => {
    origin.moods.set("Observation/a", mood);
    const from = origin.written.length;
    const reply = await send("PATCH", "Observation/a", change);
    expect(reply.status).toBe(status);
    expect(reply.text).toContain('"OperationOutcome"');
    expect(reply.text + JSON.stringify(reply.headers)).not.toMatch(/canary|origin-tag/u);
    expect(origin.written.length - from).toBe(1);
    const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["intent", undefined],
      ["write", reason],
      ["disclosure", undefined], // the row exists, with its status
    ]);
    expect(events[1]?.patients).toEqual([{ patient: "main/Patient/amara", counts: {} }]);
    expect(events[2]?.patients).toEqual([{ patient: "main/Patient/amara", counts: { Observation: 1 } }]);
  },
);

test(
  "no answer is 504, and the record says that the result is unknown",
  { timeout: 60_000 },
  async ({ expect }) => {
    origin.moods.set("Observation/c", "silent");
    const from = origin.written.length;
    const reply = await send("PATCH", "Observation/c", change);
    expect(reply.status).toBe(504);
    expect(origin.written.length - from).toBe(1);
    expect(
      (await eventsOf(phylax.dev, reply.headers["x-request-id"])).find(({ kind }) => kind === "write")
        ?.outcome,
    ).toEqual({
      status: 504,
      reason: "write_outcome_unknown",
    });
  },
);

test(
  "a client whose token ends while the origin writes learns that the write is done, and no more",
  { timeout: 60_000 },
  async ({ expect }) => {
    origin.moods.set("Observation/a", "waits for release");
    vi.useFakeTimers({ toFake: ["Date"] });
    const exp = Math.floor(Date.now() / 1_000) + 60;
    const from = origin.written.length;
    const patch = { method: "PATCH", headers: jsonPatch, body: JSON.stringify(change) };
    const answer = ask("app", "Observation/a", patch, { exp });
    await expect.poll(() => origin.written.length, patience).toBe(from + 1);
    vi.setSystemTime(Date.now() + 61_000);
    origin.release();
    const reply = await answer;
    expect([reply.status, reply.text]).toEqual([200, ""]);
    expect(reply.headers).not.toHaveProperty("etag");
    const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["intent", undefined],
      ["write", "token_expired"],
      ["disclosure", undefined],
    ]);
  },
);

test(
  "when the ledger fails while the origin writes, the answer is 503, and the intent is on record",
  { timeout: 60_000 },
  async ({ expect }) => {
    origin.moods.set("Observation/a", "waits for release");
    const from = origin.written.length;
    const answer = send("PATCH", "Observation/a", change);
    await expect.poll(() => origin.written.length, patience).toBe(from + 1);
    phylax.inEachShard(breakLedger);
    origin.release();
    const reply = await answer;
    phylax.inEachShard("DROP TRIGGER broken");
    expect(reply.status).toBe(503);
    expect(reply.headers).not.toHaveProperty("phylax-receipt");
    const events = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
    expect(events.map(({ kind, patients }) => [kind, patients[0]?.patient])).toEqual([
      ["intent", "main/Patient/amara"],
    ]);
  },
);

test("the origin's answer to a write is judged and cut like any read: another patient's resource, no resource, or a too large resource is not shown", async ({
  expect,
}) => {
  const next = observation("a", "amara", { status: "amended", meta: { versionId: "8" } });
  const says = async (mood: Mood) => {
    origin.moods.set("Observation/a", mood);
    return send("PATCH", "Observation/a", change);
  };
  const shown = await says({ says: next });
  expect(JSON.parse(shown.text)).toMatchObject({ id: "a", status: "amended" });
  for (const mood of [{ says: observation("b", "bela") }, { says: "canary" }] as const) {
    const reply = await says(mood);
    expect(reply.status, "no answer to this write").toBe(504);
    expect(reply.text).not.toMatch(/canary|bela/u);
  }
  for (const mood of [
    { says: { ...next, subject: { reference: "Patient/bela" } } },
    { says: { resourceType: "OperationOutcome", text: "canary" } },
  ] as const) {
    const reply = await says(mood);
    expect(reply.status).toBe(200);
    expect(reply.text, "what it holds is read again, and may be shown").toContain('"final"');
    expect(reply.text).not.toMatch(/canary|bela/u);
  }
});

test("a Location leads below the gateway's own base or is absent", async ({ expect }) => {
  const fresh = {
    resourceType: "Observation",
    status: "final",
    code: { text: "x" },
    subject: { reference: "Patient/amara" },
  };
  const created = async (mood: Mood) => {
    origin.moods.set("Observation", mood);
    const reply = await send("POST", "Observation", fresh);
    expect(reply.status).toBe(201);
    return reply.headers["location"];
  };
  const at = `${phylax.dev.fhir}/Observation`;
  expect(await created({ says: "", location: `${origin.url}/Observation/new/_history/1` })).toBe(
    `${at}/new/_history/1`,
  );
  expect(await created({ says: "", location: "Observation/new" })).toBe(`${at}/new`);
  for (const location of [
    "https://elsewhere.example/fhir/Observation/new",
    `${origin.url}/Patient/new`,
    "Observation/../x",
    "//x/Observation/y",
  ])
    expect(await created({ says: "", location }), location).toBeUndefined();
});

test("a resource without a version is not written, because the write could not be conditional", async ({
  expect,
}) => {
  const from = origin.written.length;
  expect((await send("PATCH", "Observation/unversioned", change)).status).toBe(412);
  expect((await send("DELETE", "Observation/strange")).status).toBe(412);
  expect(origin.written.length).toBe(from);
});

test("an origin that answers a condition with all its rows: only the client's own rows that meet the condition are found", async ({
  expect,
}) => {
  const of = (value: string) => ({
    resourceType: "Observation",
    status: "final",
    code: { text: "x" },
    subject: { reference: "Patient/amara" },
    identifier: [{ system: "urn:lab", value }],
  });
  origin.moods.set("Observation/c", 204);
  const from = origin.written.length;
  expect((await send("DELETE", "Observation?identifier=urn:lab|lab-of-c")).status).toBe(204);
  expect((await send("DELETE", "Observation?identifier=urn:lab|lab-of-b")).status).toBe(204);
  expect(
    (await send("PUT", "Observation?identifier=urn:lab|lab-of-nobody", of("lab-of-nobody"))).status,
  ).toBe(201);
  expect(
    (await send("POST", "Observation", of("lab-of-c"), { "if-none-exist": "identifier=urn:lab|lab-of-c" }))
      .status,
  ).toBe(200);
  expect(origin.written.slice(from).map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE Observation/c",
    "POST Observation",
  ]);
  expect(origin.written.every(({ path }) => path !== "Observation/b")).toBe(true);
});
