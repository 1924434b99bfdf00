import { afterAll, beforeAll, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { parseReceipt } from "#ledger/read-receipt";
import { commandIn } from "../support/in-process/command.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { startPagingOrigin, type PagingOrigin, type Row } from "../support/paging-origin.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";

let phylax: Door;
let origin: PagingOrigin;
beforeAll(async () => {
  origin = await startPagingOrigin();
  phylax = await startDoor({ origin: origin.url });
}, 60_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

/** A row of about `bytes` bytes, about these patients. */
const document = (id: string, bytes: number, patients: readonly string[]): Row => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "a long note" },
  subject: { reference: `Patient/${patients[0] ?? ""}` },
  performer: patients.slice(1).map((patient) => ({ reference: `Patient/${patient}` })),
  note: [{ text: "n".repeat(bytes) }],
});
const names = (event: AuditEvent | undefined) =>
  event?.patients.map(({ patient }) => patient.replace("main/Patient/", ""));

/** Asks as telehealth, and returns at the head of the answer. */
async function ask(path: string): Promise<Response> {
  const { clientCa, fhir } = phylax.dev;
  const headers = { authorization: `Bearer ${await phylax.token("telehealth")}` };
  return phylax.within(() =>
    phylax.fetch(requestOf(clientCa.cert, phylax.client("telehealth").cert, `${fhir}/${path}`, { headers })),
  );
}

/** Reads an answer until it ends or breaks off. */
async function readAsFarAsItComes({
  body,
}: Response): Promise<{ readonly text: string; readonly end: "whole" | "broken" }> {
  let text = "";
  try {
    for await (const chunk of body ?? []) text += Buffer.from(chunk).toString();
    return { text, end: "whole" };
  } catch {
    return { text, end: "broken" };
  }
}

test("an answer over 1 MiB leaves in windows, each on record with its own patients before its bytes; the receipt names the intent", async ({
  expect,
}) => {
  origin.rows = Array.from({ length: 12 }, (_, n) => document(`o${n}`, 300_000, [`p${n}`]));
  const reply = await phylax.ask("telehealth", "Observation?_count=50");
  expect(reply.status, reply.text.slice(0, 300)).toBe(200);
  expect(reply.headers).not.toHaveProperty("content-length");
  const { total, entry }: { total: number; entry: { resource: { id: string } }[] } = JSON.parse(reply.text);
  expect({ total, ids: entry.map(({ resource }) => resource.id) }).toEqual({
    total: 12,
    ids: origin.rows.map(({ id }) => id),
  });

  const [intent, ...windows] = await eventsOf(phylax.dev, reply.headers["x-request-id"]);
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
  const keys = Object.values(phylax.dev.logs).flatMap((key) => ["--key", key]);
  expect(
    await commandIn(phylax.home, "ledger", "verify", phylax.dev.ledger, ...keys, "--receipt", receipt),
  ).toMatchObject({ code: 0 });
});

test("a single resource over 1 MiB is one window, complete, with its intent; up to 1 MiB there is one record", async ({
  expect,
}) => {
  origin.rows = [document("large", 5_000_000, ["p"]), document("small", 1_000_000, ["p"])];
  const large = await phylax.ask("telehealth", "Observation/large");
  expect({ status: large.status, length: large.text.length > 5_000_000 }).toEqual({
    status: 200,
    length: true,
  });
  expect(
    (await eventsOf(phylax.dev, large.headers["x-request-id"])).map(({ kind, window }) => ({ kind, window })),
  ).toEqual([
    { kind: "intent", window: undefined },
    { kind: "disclosure", window: { number: 1, complete: true } },
  ]);
  const small = await phylax.ask("telehealth", "Observation/small");
  expect(
    (await eventsOf(phylax.dev, small.headers["x-request-id"])).map(({ kind, window }) => ({ kind, window })),
  ).toEqual([{ kind: "disclosure", window: undefined }]);
});

test("above 8 MiB a resource is absent, whatever its patient, and the remaining rows are answered", async ({
  expect,
}) => {
  origin.rows = [document("huge", 8_400_000, ["p"]), document("small", 1_000, ["p"])];
  const [huge, none] = [
    await phylax.ask("telehealth", "Observation/huge"),
    await phylax.ask("telehealth", "Observation/none"),
  ];
  expect(huge.status).toBe(404);
  const issueOf = ({ text }: { text: string }): unknown => {
    const { issue } = JSON.parse(text) as { issue: { severity: string; code: string; details: object }[] };
    return issue.map(({ severity, code, details }) => ({ severity, code, details }));
  };
  expect(issueOf(huge)).toEqual(issueOf(none));
  const page = await phylax.ask("telehealth", "Observation?patient=p");
  expect(page.status).toBe(200);
  expect(JSON.parse(page.text)).toMatchObject({ total: 1, entry: [{ resource: { id: "small" } }] });
});

test("a page of more than 8 MiB ends early, and its next link continues where it ended", async ({
  expect,
}) => {
  origin.rows = Array.from({ length: 7 }, (_, n) => document(`o${n}`, 2_000_000, [`p${n}`]));
  const first: { entry: { resource: { id: string } }[]; link: { relation: string; url: string }[] } =
    JSON.parse((await phylax.ask("telehealth", "Observation")).text);
  const next = first.link.find(({ relation }) => relation === "next")?.url ?? "";
  const second: typeof first = JSON.parse((await phylax.ask("telehealth", next)).text);
  expect([first, second].map(({ entry }) => entry.map(({ resource }) => resource.id))).toEqual([
    ["o0", "o1", "o2", "o3"],
    ["o4", "o5", "o6"],
  ]);
});

// Through sockets, the buffers of the machine decide how many windows the client takes:
// test/e2e/windows.test.ts.
test("when the client leaves at the first byte, the windows handed on are on record without a gap, and so is the end", async ({
  expect,
}) => {
  origin.rows = Array.from({ length: 26 }, (_, n) => document(`o${n}`, 300_000, [`p${n}`]));
  const response = await ask("Observation?_count=50");
  await response.body?.cancel();
  await expect
    .poll(
      async () => (await eventsOf(phylax.dev, response.headers.get("x-request-id"))).at(-1)?.kind,
      patience,
    )
    .toBe("aborted");
  const events = await eventsOf(phylax.dev, response.headers.get("x-request-id"));
  const windows = events.flatMap(({ window }) => window?.number ?? []);
  expect(events[0]?.kind).toBe("intent");
  expect(windows).toEqual(windows.map((_, index) => index + 1));
  expect(windows.length).toBeLessThan(7); // all 26 rows take seven windows
  expect(events.filter(({ kind }) => kind === "aborted").map(({ outcome }) => outcome?.reason)).toEqual([
    "client_disconnected",
  ]);
});

test("when the ledger fails at the third window the transfer breaks, two windows are on record, and so is the break", async ({
  expect,
}) => {
  // The third window alone names so many people that its frame is over 30 KB: the trigger below meets no
  // further append of this request.
  const crowd = Array.from({ length: 400 }, (_, n) => `third-window-${"x".repeat(20)}-${n}`);
  origin.rows = Array.from({ length: 16 }, (_, n) => document(`o${n}`, 300_000, n === 9 ? crowd : [`p${n}`]));
  phylax.inEachShard(
    "CREATE TRIGGER broken BEFORE INSERT ON frames WHEN length(NEW.body) > 16000 BEGIN SELECT RAISE(ABORT, 'broken by the test'); END",
  );
  const response = await ask("Observation?_count=50");
  expect(response.status).toBe(200);
  const started = await readAsFarAsItComes(response);
  expect(started.end, "a broken transfer never looks like a whole one").toBe("broken");
  const received = [...started.text.matchAll(/"id":"o(\d+)"/gu)].map(([, n]) => Number(n));
  // The windows on record arrive, and no byte of the third.
  expect(received).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(started.text).not.toContain("third-window");
  phylax.inEachShard("DROP TRIGGER broken");

  const requestId = response.headers.get("x-request-id");
  await expect.poll(async () => (await eventsOf(phylax.dev, requestId)).length, patience).toBe(4);
  const events = await eventsOf(phylax.dev, requestId);
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
