import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import { addTraffic, trafficOf } from "#audit/traffic/count";
import { endsRemembered, RecentEnds } from "#audit/traffic/ends";
import type { Traffic } from "#audit/traffic/instruments";
import { type AuditorSource, eventsOf } from "#auditing/ledger-events";
import { TRAFFIC_BOOK, type TrafficPart } from "#platform/ledger/object/traffic/traffic-book";
import { TrafficRows } from "#platform/ledger/object/traffic/traffic-rows";
import { failure, ledger, ownLog, positionOf, publicReader, shard, verifierOf } from "./worker.ts";

const book = () => ledger.TRAFFIC_BOOK.getByName(TRAFFIC_BOOK);
const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;

const id = () => crypto.randomUUID().replaceAll("-", "");
const nobody = { patients: [], unnamed: [], counts: {} };
const request = (event: Partial<AuditEvent>): AuditEvent => ({
  id: id(),
  at: Date.now() as AuditEvent["at"],
  kind: "refusal",
  ...nobody,
  ...event,
});
/** A client's disclosure about a patient; its fields have canaries wherever patient data may stand. */
const disclosure = (event: Partial<AuditEvent> = {}): AuditEvent =>
  request({
    kind: "disclosure",
    who: {
      client: "clinic",
      subject: "canary-subject",
      patient: "canary-context",
      user: "Patient/canary-user",
    },
    what: {
      interaction: "search-type",
      origin: "main",
      type: "Patient",
      parameters: [["family", "Canary-Family"]],
      path: "Patient?family=Canary-Family",
    },
    why: { purposes: ["TREAT"] },
    outcome: { status: 200 },
    patients: [{ patient: "main/Patient/canary-patient", counts: { Patient: 1 } }],
    counts: { Patient: 1 },
    ...event,
  });

/**
 * Opens a log as an auditor and answers what the records of an hour, or of all hours, count. The hour of a record is
 * its frame's: the log counts in the commit that stores it.
 */
async function audited(log: string): Promise<(hour?: number) => Traffic> {
  const found: { readonly hour: number; readonly event: AuditEvent }[] = [];
  const source: AuditorSource = {
    keys: [verifierOf(log)],
    auditors: [auditor],
    only: [],
    readerOf: publicReader,
    nowSeconds: Math.ceil(Date.now() / 1000),
    wait: (milliseconds) => scheduler.wait(milliseconds),
    onDeleted: () => undefined, // never: a log is deleted six years after its end
  };
  for await (const one of eventsOf(source)) {
    if (!("event" in one)) throw new Error("a record did not open");
    found.push({ hour: Math.floor(one.frame.seconds / 3_600), event: one.event });
  }
  return (hour) => {
    const sum = new Map<string, number>();
    for (const one of found)
      if (hour === undefined || one.hour === hour) addTraffic(sum, trafficOf([one.event]));
    return sum;
  };
}

const minus = (after: Traffic, before: Traffic): Record<string, number> =>
  Object.fromEntries(
    [...after].flatMap(([series, n]) =>
      n > (before.get(series) ?? 0) ? [[series, n - (before.get(series) ?? 0)]] : [],
    ),
  );

test("the totals are what an auditor counts in the opened records, whatever restarts in between", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([request({ outcome: { reason: "token_missing" } })]); // and the ledger's configuration
  await runDurableObjectAlarm(shard(log));
  const [before, auditedBefore] = [await book().totals(), (await audited(log))()];
  for (let i = 0; i < 5; i++) await shard(log).append([disclosure()]);
  const write = { id: id(), what: { interaction: "update", type: "Patient", id: "canary-row" } };
  await shard(log).append([disclosure({ ...write, kind: "intent", step: 0, counts: {} })]);
  await failure(() => runInDurableObject(shard(log), (_, state) => state.abort("a restart amid a minute")));
  await shard(log).append([disclosure({ ...write, kind: "write", step: 1, counts: {}, patients: [] })]);
  await shard(log).append([disclosure({ ...write, step: 2 })]);
  const refused = request({ who: { client: "claimed" }, outcome: { status: 401, reason: "token_invalid" } });
  await shard(log).append([refused]);
  await shard(log).append([refused]); // a repeat has the first position
  await runDurableObjectAlarm(shard(log));
  await runDurableObjectAlarm(shard(log));
  const added = minus(await book().totals(), before);
  await scheduler.wait(1_001); // a checkpoint is signed once a second at most
  expect(added).toEqual(minus((await audited(log))(), auditedBefore));
  expect(added).toEqual({
    "phylax_requests search-type": 5,
    "phylax_requests update": 1,
    "phylax_requests none": 1,
    "phylax_outcomes search-type disclosed": 5,
    "phylax_outcomes update written": 1,
    "phylax_outcomes none refused": 1,
    "phylax_client_outcomes clinic TREAT disclosed": 5,
    "phylax_client_outcomes clinic TREAT written": 1,
    "phylax_refusals token_invalid": 1,
  });
  const rows = await runInDurableObject(shard(log), (_, { storage }) =>
    storage.sql.exec("SELECT * FROM traffic").toArray(),
  );
  expect(rows, "the log keeps no row that the book has").toEqual([]);
});

test("a stored hour has what an auditor counts in the records of that hour, whatever restarts amid a minute", async ({
  expect,
}) => {
  const hour = Math.floor(Date.now() / 3_600_000) - 8; // no other test counts in it
  const log = ownLog();
  const append = (...events: readonly AuditEvent[]) => shard(log).append(events);
  const restart = (part: DurableObjectStub) =>
    failure(() => runInDurableObject(part, (_, state) => state.abort("a restart amid a minute")));
  const stored = async (at: number) => (await book().span({ by: "hour", from: at, to: at }))[0]?.counts;
  const clock = (seconds: number) => vi.setSystemTime((hour * 3_600 + seconds) * 1_000);
  const refused = (reason: string) =>
    request({ who: { client: "claimed" }, outcome: { status: 401, reason } });
  vi.useFakeTimers({ toFake: ["Date"] });
  try {
    clock(-5);
    const write = { id: id(), what: { interaction: "update", type: "Patient", id: "canary-row" } };
    const begunBefore = disclosure(); // its record is stored in the hour
    await append(disclosure({ ...write, kind: "intent", step: 0, counts: {} }));
    await append(refused("token_missing"));
    clock(0);
    await append(disclosure({ ...write, kind: "write", step: 1, counts: {}, patients: [] }));
    await append(begunBefore);
    await runDurableObjectAlarm(shard(log));
    clock(1_800);
    for (let i = 0; i < 3; i++) await append(disclosure());
    await restart(shard(log)); // no alarm has handed these numbers over
    await append(disclosure({ why: { purposes: ["HPAYMT"] } }));
    await runDurableObjectAlarm(shard(log));
    await restart(book());
    clock(1_820); // the minute goes on
    await append(refused("token_invalid"));
    await append(disclosure({ what: { interaction: "read", type: "Patient", id: "canary-row" } }));
    await restart(shard(log));
    await runDurableObjectAlarm(shard(log));
    clock(3_599);
    const repeated = refused("token_invalid");
    await append(repeated);
    clock(3_600);
    await append(repeated); // after a lost answer: it has the first position
    await append(disclosure());
    await runDurableObjectAlarm(shard(log));
    await runDurableObjectAlarm(shard(log));
    const counted = await audited(log);
    for (const each of [hour - 1, hour, hour + 1]) expect(await stored(each)).toEqual(counted(each));
    expect(Object.fromEntries(counted(hour))).toEqual({
      "phylax_requests read": 1,
      "phylax_requests search-type": 5,
      "phylax_requests none": 2,
      "phylax_outcomes read disclosed": 1,
      "phylax_outcomes search-type disclosed": 5,
      "phylax_outcomes update written": 1,
      "phylax_outcomes none refused": 2,
      "phylax_client_outcomes clinic TREAT disclosed": 5,
      "phylax_client_outcomes clinic TREAT written": 1,
      "phylax_client_outcomes clinic HPAYMT disclosed": 1,
      "phylax_refusals token_invalid": 2,
    });
  } finally {
    vi.useRealTimers();
  }
});

test("a part whose answer was lost is added once, also if further frames came meanwhile", async ({
  expect,
}) => {
  const log = ownLog();
  const part = (first: number, last: number, n: number) => ({
    first,
    last,
    minutes: [
      { minute: Math.floor(Date.now() / 60_000), counts: [["phylax_refusals lost_answer", n]] as const },
    ],
  });
  const total = async () => (await book().totals()).get("phylax_refusals lost_answer");
  expect(await book().take(log, part(0, 4, 5))).toBe(4);
  expect(await book().take(log, part(0, 6, 7)), "frames 0 to 4 are known: nothing is added").toBe(4);
  expect(await total()).toBe(5);
  expect(await book().take(log, part(5, 6, 2))).toBe(6);
  expect(await total()).toBe(7);
});

test("no text of a request stands in a number, a total or a row, whatever its labels hold", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([
    disclosure({ what: { interaction: "$Canary-Name", type: "Patient" }, who: { client: 'Canary Quoted"' } }),
  ]);
  await shard(log).append([disclosure()]);
  const rows = await runInDurableObject(shard(log), (_, { storage }) =>
    JSON.stringify(storage.sql.exec("SELECT * FROM traffic").toArray()),
  );
  expect(rows).toContain("search-type");
  expect(rows).not.toMatch(/canary/iu);
  await runDurableObjectAlarm(shard(log));
  const stored = await runInDurableObject(book(), (_, { storage }) =>
    JSON.stringify(storage.sql.exec("SELECT * FROM series").toArray()),
  );
  expect(stored).toContain("search-type");
  expect(stored).not.toMatch(/canary/iu);
});

test("a reader behind a frame sees each later end of a request, and no text of a request", async ({
  expect,
}) => {
  const log = ownLog();
  const began = await shard(log).endsSince(undefined);
  expect(began).toMatchObject({ frame: -1, ends: [], isIncomplete: false });
  await shard(log).append([disclosure()]);
  const write = { id: id(), what: { interaction: "update", type: "Patient", id: "canary-row" } };
  await shard(log).append([disclosure({ ...write, kind: "intent", step: 0 })]);
  await shard(log).append([disclosure({ ...write, kind: "write", step: 1, patients: [], counts: {} })]);
  const claimed = { who: { client: "claimed" }, from: { address: "canary-address" } };
  await shard(log).append([request({ ...claimed, outcome: { status: 401, reason: "token_invalid" } })]);
  const seen = await shard(log).endsSince(began.frame);
  const time = { recordedAt: expect.any(Number), milliseconds: expect.any(Number), count: 1 };
  const proven = { client: "clinic", purpose: "TREAT" };
  expect(seen.ends).toEqual([
    { ...time, ...proven, interaction: "search-type", outcome: "disclosed" },
    { ...time, ...proven, interaction: "update", outcome: "written" },
    { ...time, interaction: "none", outcome: "refused", reason: "token_invalid" },
  ]);
  expect(JSON.stringify(seen)).not.toMatch(/canary|claimed/iu);
  expect(await shard(log).endsSince(seen.frame)).toMatchObject({ ends: [], isIncomplete: false });
});

test("a log that restarts says that ends are missing to a reader who has not seen them, and to no other", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([disclosure()]);
  const { frame: seen } = await shard(log).endsSince(undefined);
  await shard(log).append([disclosure()]);
  const restart = () => failure(() => runInDurableObject(shard(log), (_, state) => state.abort("a restart")));
  await restart();
  const late = await shard(log).endsSince(seen);
  expect(late).toMatchObject({ frame: seen + 1, ends: [], isIncomplete: true });
  await restart();
  expect(await shard(log).endsSince(late.frame)).toMatchObject({ ends: [], isIncomplete: false });
});

test("a flood leaves the newest ends in memory, and says that earlier ones are missing", ({ expect }) => {
  const recent = new RecentEnds(-1);
  const end = { at: 0 as AuditEvent["at"], count: 1, outcome: "refused", reason: "token_missing" };
  for (let frame = 0; frame < 40; frame++)
    recent.add(
      frame,
      end.at,
      Array.from({ length: 100 }, () => end),
    );
  expect(recent.since(-1, 39)).toMatchObject({ frame: 39, isIncomplete: true });
  expect(recent.since(-1, 39).ends).toHaveLength(endsRemembered);
  expect(recent.since(34, 39)).toMatchObject({ isIncomplete: false });
  expect(recent.since(34, 39).ends).toHaveLength(endsRemembered);
  recent.add(40, end.at, [end]);
  expect(recent.since(34, 40), "a part of frame 35 is forgotten").toMatchObject({ isIncomplete: true });
  expect(recent.since(35, 40)).toMatchObject({ isIncomplete: false });
});

test("a flood of clients and series stays within its limits, and no sum loses a number", async ({
  expect,
}) => {
  const log = ownLog();
  const sumOf = (traffic: Traffic, instrument: string) =>
    [...traffic].reduce((sum, [series, n]) => (series.startsWith(`${instrument} `) ? sum + n : sum), 0);
  const before = await book().totals();
  const minute = Math.floor(Date.now() / 60_000) - 3; // no other test counts in it
  const counts = Array.from(
    { length: 5_000 },
    (_, i) => [`phylax_client_outcomes c${i % 2_500} TREAT o${i % 40}`, 1] as const,
  );
  await book().take(log, { first: 0, last: 0, minutes: [{ minute, counts }] });
  const after = await book().totals();
  const clients = new Set(
    [...after.keys()]
      .filter((series) => series.startsWith("phylax_client"))
      .map((series) => series.split(" ")[1]),
  );
  expect(clients.size).toBeLessThanOrEqual(201);
  expect(after.size).toBeLessThanOrEqual(2_000);
  expect(sumOf(after, "phylax_client_outcomes") - sumOf(before, "phylax_client_outcomes")).toBe(5_000);
  const [{ counts: inMinute } = { counts: new Map<string, number>() }] = await book().span({
    by: "minute",
    from: minute,
    to: minute,
  });
  expect(inMinute.size).toBeLessThanOrEqual(300);
  expect(sumOf(inMinute, "phylax_client_outcomes")).toBe(5_000);
});

test("minutes leave the book after 35 days, hours after 13 months, and totals stay", async ({ expect }) => {
  const log = ownLog();
  const now = Math.floor(Date.now() / 60_000);
  const counts = [["phylax_refusals retained", 1]] as const;
  await book().take(log, {
    first: 0,
    last: 0,
    minutes: [
      { minute: now - 36 * 1_440, counts },
      { minute: now - 400 * 1_440, counts },
      { minute: now, counts },
    ],
  });
  const at = async (by: "minute" | "hour", from: number, to: number) =>
    (await book().span({ by, from, to })).filter(({ counts: numbers }) =>
      numbers.has("phylax_refusals retained"),
    ).length;
  expect(await at("minute", 0, now + 1)).toBe(1);
  expect(await at("hour", 0, now)).toBe(2);
  expect((await book().totals()).get("phylax_refusals retained")).toBe(3);
  expect(positionOf(await shard(log).append([disclosure()])).frame).toBe(0);
});

test("an isolate's numbers count in the commit of their append, once, and change no exact number", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([disclosure()]);
  await runDurableObjectAlarm(shard(log));
  const before = await book().totals();
  const numbers = JSON.stringify([
    ["phylax_wait_seconds origin 50", 2],
    ["phylax_refusals token_missing", 9],
    ["phylax_rows canary", 9],
  ]);
  const event = disclosure();
  const send = (sent?: string, events: readonly AuditEvent[] = [event]) =>
    shard(log).appendText(JSON.stringify(events), undefined, undefined, undefined, undefined, sent);
  await send(numbers);
  await failure(() => runInDurableObject(shard(log), (_, state) => state.abort("a restart amid a minute")));
  await send(); // the repeat of an append whose answer was lost
  expect(await send(numbers), "a repeat with numbers adds none").toMatch(/^recorded/u);
  expect(await failure(() => send(numbers, [])), "an append that fails").toMatch(/1 to 254 events/u);
  await send("no numbers", [disclosure()]);
  await runDurableObjectAlarm(shard(log));
  await failure(() => runInDurableObject(book(), (_, state) => state.abort("a restart of the book")));
  await runDurableObjectAlarm(shard(log));
  expect(minus(await book().totals(), before)).toEqual({
    "phylax_wait_seconds origin 50": 2,
    "phylax_requests search-type": 2,
    "phylax_outcomes search-type disclosed": 2,
    "phylax_client_outcomes clinic TREAT disclosed": 2,
  });
});

test("a part that fails amid its storing, or whose book restarts, is added once", async ({ expect }) => {
  const log = ownLog();
  const minute = Math.floor(Date.now() / 60_000);
  const part = { first: 0, last: 0, minutes: [{ minute, counts: [["phylax_refusals torn", 3]] as const }] };
  await failure(() =>
    runInDurableObject(book(), (object, { storage }) => {
      storage.sql.exec("CREATE TRIGGER torn BEFORE INSERT ON logs BEGIN SELECT RAISE(ABORT, 'torn'); END");
      object.take(log, part);
    }),
  );
  await runInDurableObject(book(), (_, { storage }) => storage.sql.exec("DROP TRIGGER torn"));
  expect((await book().totals()).get("phylax_refusals torn")).toBeUndefined();
  expect(await book().take(log, part)).toBe(0);
  await failure(() => runInDurableObject(book(), (_, state) => state.abort("its answer was lost")));
  expect(await book().take(log, part)).toBe(0);
  expect((await book().totals()).get("phylax_refusals torn")).toBe(3);
});

test("logs whose clocks are a minute apart from the book's count in their own minutes, and nothing is lost", async ({
  expect,
}) => {
  const now = Math.floor(Date.now() / 60_000);
  for (const minute of [now - 1, now, now + 1])
    await book().take(ownLog(), {
      first: 0,
      last: 0,
      minutes: [{ minute, counts: [["phylax_refusals apart", 1]] }],
    });
  const spans = await book().span({ by: "minute", from: now - 1, to: now + 1 });
  expect(spans.map(({ at, counts }) => [at, counts.get("phylax_refusals apart")])).toEqual([
    [now - 1, 1],
    [now, 1],
    [now + 1, 1],
  ]);
  expect((await book().totals()).get("phylax_refusals apart")).toBe(3);
});

test("35 days of full minutes and 13 months of full hours take less than 200 MB", async ({ expect }) => {
  const own = ledger.TRAFFIC_BOOK.getByName("full");
  const now = Math.floor(Date.now() / 60_000);
  const hours = 12;
  // a minute has 300 series of 2,000 and an hour 1,000; each number has 5 bytes, as 1,100 requests a second have
  const counts = (of: number) =>
    Array.from(
      { length: 250 },
      (_, i) => [`phylax_outcomes i${(i * 7 + of) % 1_900} refused`, 70_000] as const,
    );
  for (let hour = 0; hour < hours; hour++)
    await own.take("full", {
      first: hour,
      last: hour,
      minutes: Array.from({ length: 60 }, (_, i) => ({
        minute: (Math.floor(now / 60) - hour) * 60 + i,
        counts: counts(i * 250),
      })),
    });
  const [minuteBytes, hourBytes] = await runInDurableObject(own, (_, { storage }) => {
    const before = storage.sql.databaseSize;
    const [{ n } = { n: 0 }] = storage.sql.exec<{ n: number }>("SELECT count(*) n FROM hours").toArray();
    storage.sql.exec("DELETE FROM hours");
    const withoutHours = storage.sql.databaseSize; // free pages do not count
    return [withoutHours / (hours * 60), (before - withoutHours) / n];
  });
  expect(hourBytes).toBeGreaterThan(4_096);
  const all = minuteBytes * 35 * 1_440 + hourBytes * 396 * 24;
  console.log({ minuteBytes, hourBytes, megabytes: all / 1e6 });
  expect(all).toBeLessThan(200e6);
});

test("the bins of a span add the same numbers as its minutes and its hours", async ({ expect }) => {
  const first = Math.floor(Date.now() / 3_600_000) * 60 - 6_000; // an hour begins
  const counts = [["phylax_refusals binned", 1]] as const;
  await book().take(ownLog(), {
    first: 0,
    last: 0,
    minutes: [0, 14, 15, 59, 60].map((later) => ({ minute: first + later, counts })),
  });
  const bins = async (by: "minute" | "hour", from: number, to: number, step?: number) =>
    (await book().span({ by, from, to, ...(step !== undefined && { step }) })).map(
      ({ at, counts: numbers }) => [at - from, numbers.get("phylax_refusals binned")],
    );
  expect(await bins("minute", first, first + 60, 15)).toEqual([
    [0, 2],
    [15, 1],
    [45, 1],
    [60, 1],
  ]);
  expect(await bins("hour", first / 60, first / 60 + 1)).toEqual([
    [0, 4],
    [1, 1],
  ]);
});

test("the hand-over ends while commits go on, and when the book never answers", async ({ expect }) => {
  const seconds = Math.floor(Date.now() / 1000);
  await runInDurableObject(shard(ownLog()), async (_, { storage }) => {
    let frame = 0;
    const commit = () => rows.insert(frame++, seconds, [new Map([["phylax_refusals meanwhile", 1]])]);
    const busy = {
      async take(_log: string, { last }: TrafficPart) {
        if (frame < 10) commit();
        return last;
      },
    };
    const hanging = { take: () => new Promise<number>(() => {}) };
    let book: typeof busy | typeof hanging = busy;
    const rows = new TrafficRows(storage.sql, "own", () => book);
    commit();
    rows.created();
    expect(await rows.handOver()).toBe(true);
    expect(frame, "a row of the book's time waits for the next alarm").toBe(2);
    book = hanging;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const handed = rows.handOver();
    await vi.advanceTimersByTimeAsync(10_000);
    vi.useRealTimers();
    expect(await Promise.race([handed, scheduler.wait(100)])).toBe(false);
  });
});
