import { readFileSync } from "node:fs";
import { request } from "node:https";
import { afterAll, beforeAll, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { parseReceipt } from "#ledger/receipt";
import { openLedger } from "../support/auditor.ts";
import { startPagingOrigin, type PagingOrigin, type Row } from "../support/paging-origin.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

let phylax: TestStack;
let origin: PagingOrigin;
beforeAll(async () => {
  origin = await startPagingOrigin();
  phylax = await startTestStack({ origin: origin.url });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

/** A row of about `bytes`, about these patients. */
const document = (id: string, bytes: number, patients: readonly string[]): Row => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "a long note" },
  subject: { reference: `Patient/${patients[0] ?? ""}` },
  performer: patients.slice(1).map((patient) => ({ reference: `Patient/${patient}` })),
  note: [{ text: "n".repeat(bytes) }],
});
const eventsOf = async (requestId: unknown): Promise<readonly AuditEvent[]> =>
  (await openLedger(phylax.dev))
    .map(({ event }) => event)
    .filter(({ id }) => id === requestId)
    .sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
const names = (event: AuditEvent | undefined) => event?.patients.map(({ patient }) => patient.replace("main/Patient/", ""));

/** Runs SQL inside every shard that has frames. */
async function inEachShard(sql: string): Promise<void> {
  for (const name of Object.keys(phylax.dev.logs)) {
    const storage = await phylax.stack.runtime.miniflare.unsafeGetDurableObjectStorage("phylax-ledger", "LedgerShard", { name });
    const [frames] = await storage.exec("SELECT count(*) AS n FROM sqlite_master WHERE name = 'frames'");
    if (frames?.["n"] === 1) await storage.exec(sql);
  }
}

const asTelehealth = () => {
  const { cert, key } = phylax.client("telehealth");
  return { ca: readFileSync(phylax.dev.ca), cert: readFileSync(cert), key: readFileSync(key), agent: false } as const;
};

/** Asks, and reads nothing but the head of the answer. */
function hold(path: string, token: string): Promise<{ readonly requestId: unknown; readonly leave: () => void }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${phylax.dev.fhir}/${path}`, { ...asTelehealth(), headers: { authorization: `Bearer ${token}` } });
    asked.on("response", (incoming) => {
      incoming.pause().on("error", () => {});
      resolve({ requestId: incoming.headers["x-request-id"], leave: () => asked.destroy() });
    });
    asked.on("error", reject).end();
  });
}

/** Reads an answer as far as it comes. */
function readAsFarAsItComes(
  path: string,
  token: string,
): Promise<{ status: number; requestId: unknown; text: string; end: "whole" | "broken" }> {
  return new Promise((resolve, reject) => {
    const asked = request(`${phylax.dev.fhir}/${path}`, { ...asTelehealth(), headers: { authorization: `Bearer ${token}` } });
    asked.on("response", (incoming) => {
      let text = "";
      const ended = () =>
        resolve({
          status: incoming.statusCode ?? 0,
          requestId: incoming.headers["x-request-id"],
          text,
          end: incoming.complete ? "whole" : "broken",
        });
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      incoming.on("close", ended).on("error", () => {});
    });
    asked.on("error", reject).end();
  });
}

test("an answer over 1 MiB leaves in windows, each on record with its own patients before its bytes; the receipt names the intent", async ({
  expect,
}) => {
  origin.rows = Array.from({ length: 12 }, (_, n) => document(`o${n}`, 300_000, [`p${n}`]));
  const reply = await phylax.ask("telehealth", "Observation?_count=50");
  expect(reply.status, reply.text.slice(0, 300)).toBe(200);
  expect(reply.headers).not.toHaveProperty("content-length");
  const { total, entry }: { total: number; entry: { resource: { id: string } }[] } = JSON.parse(reply.text);
  expect({ total, ids: entry.map(({ resource }) => resource.id) }).toEqual({ total: 12, ids: origin.rows.map(({ id }) => id) });

  const [intent, ...windows] = await eventsOf(reply.headers["x-request-id"]);
  expect(intent).toMatchObject({ kind: "intent", who: { client: "telehealth" }, patients: [] });
  expect(windows.map(({ kind, step, window, counts }) => ({ kind, step, window, counts }))).toEqual(
    [1, 2, 3].map((number) => ({
      kind: "disclosure",
      step: number,
      window: { number, complete: number === 3 },
      counts: { Observation: 4 },
    })),
  );
  expect(windows.map(names)).toEqual([0, 4, 8].map((from) => [0, 1, 2, 3].map((n) => `p${from + n}`)));

  const receipt = String(reply.headers["phylax-receipt"]);
  expect(parseReceipt(receipt).ok).toBe(true);
  expect(await verifyLedger(phylax.dev, ["--receipt", receipt])).toMatchObject({ code: 0 });
});

test("a single resource over 1 MiB is one window, complete, with its intent; up to 1 MiB there is one record", async ({ expect }) => {
  origin.rows = [document("large", 5_000_000, ["p"]), document("small", 1_000_000, ["p"])];
  const large = await phylax.ask("telehealth", "Observation/large");
  expect({ status: large.status, length: large.text.length > 5_000_000 }).toEqual({ status: 200, length: true });
  expect((await eventsOf(large.headers["x-request-id"])).map(({ kind, window }) => ({ kind, window }))).toEqual([
    { kind: "intent", window: undefined },
    { kind: "disclosure", window: { number: 1, complete: true } },
  ]);
  const small = await phylax.ask("telehealth", "Observation/small");
  expect((await eventsOf(small.headers["x-request-id"])).map(({ kind, window }) => ({ kind, window }))).toEqual([
    { kind: "disclosure", window: undefined },
  ]);
});

test("above 8 MiB a resource is told to be too large, and none of it leaves", async ({ expect }) => {
  origin.rows = [document("huge", 8_400_000, ["p"])];
  for (const path of ["Observation/huge", "Observation?_id=huge"]) {
    const reply = await phylax.ask("telehealth", path);
    expect(reply.status).toBe(502);
    expect(JSON.parse(reply.text)).toMatchObject({ issue: [{ code: "too-costly" }] });
  }
});

test("a page of more than 8 MiB ends early, and its next link goes on where it ended", async ({ expect }) => {
  origin.rows = Array.from({ length: 7 }, (_, n) => document(`o${n}`, 2_000_000, [`p${n}`]));
  const first: { entry: { resource: { id: string } }[]; link: { relation: string; url: string }[] } = JSON.parse(
    (await phylax.ask("telehealth", "Observation")).text,
  );
  const next = first.link.find(({ relation }) => relation === "next")?.url ?? "";
  const second: typeof first = JSON.parse((await phylax.ask("telehealth", next)).text);
  expect([first, second].map(({ entry }) => entry.map(({ resource }) => resource.id))).toEqual([
    ["o0", "o1", "o2", "o3"],
    ["o4", "o5", "o6"],
  ]);
});

// How many windows the buffers between here and the client take is the machine's; test/gateway/windows.test.ts has the break without them.
test("when the client leaves at the first byte, the windows handed on are on record without a gap, and so is how it ended", async ({
  expect,
}) => {
  origin.rows = Array.from({ length: 26 }, (_, n) => document(`o${n}`, 300_000, [`p${n}`]));
  const token = await phylax.token("telehealth");
  const { requestId, leave } = await hold("Observation?_count=50", token);
  leave();
  const whole = ({ window }: AuditEvent) => window?.complete === true;
  let events: readonly AuditEvent[] = [];
  for (let i = 0; i < 40 && !events.some((event) => event.kind === "aborted" || whole(event)); i++) {
    await new Promise((later) => setTimeout(later, 250));
    events = await eventsOf(requestId);
  }
  const windows = events.flatMap(({ window }) => window?.number ?? []);
  expect(events[0]?.kind).toBe("intent");
  expect(windows).toEqual(windows.map((_, index) => index + 1));
  const aborted = events.filter(({ kind }) => kind === "aborted");
  for (const { outcome } of aborted) expect(outcome?.reason).toBe("client_disconnected");
  expect(aborted.length === 1 || events.some(whole)).toBe(true);
});

test("when the ledger fails at the third window the transfer breaks, two windows are on record, and the break is", async ({ expect }) => {
  await Promise.all(Array.from({ length: 20 }, () => phylax.ask("telehealth", "Patient/nobody"))); // every shard that this client uses has frames
  // The third window alone names so many people that its frame is over 30 KB: the trigger below meets no other append of this request.
  const crowd = Array.from({ length: 400 }, (_, n) => `third-window-${"x".repeat(20)}-${n}`);
  origin.rows = Array.from({ length: 16 }, (_, n) => document(`o${n}`, 300_000, n === 9 ? crowd : [`p${n}`]));
  await inEachShard(
    "CREATE TRIGGER broken BEFORE INSERT ON frames WHEN length(NEW.body) > 16000 BEGIN SELECT RAISE(ABORT, 'broken by the test'); END",
  );
  const token = await phylax.token("telehealth");
  const started = await readAsFarAsItComes("Observation?_count=50", token);
  expect(started.status).toBe(200);
  expect(started.end, "a broken transfer never looks like a whole one").toBe("broken");
  const received = [...started.text.matchAll(/"id":"o(\d+)"/gu)].map(([, n]) => Number(n));
  // What was on its way when it broke may be lost: never more arrives than is on record.
  expect(received.length).toBeGreaterThanOrEqual(4);
  expect(received).toEqual([0, 1, 2, 3, 4, 5, 6, 7].slice(0, received.length));
  expect(started.text).not.toContain("third-window");
  await inEachShard("DROP TRIGGER broken");

  let events: readonly AuditEvent[] = [];
  for (let i = 0; i < 40 && events.length < 4; i++) {
    await new Promise((later) => setTimeout(later, 250));
    events = await eventsOf(started.requestId);
  }
  expect(events.map(({ kind, step, window }) => ({ kind, step, window }))).toEqual([
    { kind: "intent", step: undefined, window: undefined },
    { kind: "disclosure", step: 1, window: { number: 1, complete: false } },
    { kind: "disclosure", step: 2, window: { number: 2, complete: false } },
    { kind: "aborted", step: 5, window: undefined },
  ]);
  expect(events.at(-1)?.outcome).toEqual({ reason: "window_not_recorded" });
  expect(events.slice(1, 3).map(names)).toEqual([
    ["p0", "p1", "p2", "p3"],
    ["p4", "p5", "p6", "p7"],
  ]);
});
