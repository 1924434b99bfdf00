import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import { recordsOf } from "#audit/split";
import { decodeRecord, encodeRecord } from "#audit/record";
import { instant } from "#kernel/clock";
import { chooseLog } from "#ledger/shard-choice";
import { measurementsOf, type ElementCounts } from "#platform/elements/object/element-counts";
import { paddedLength, sizeClasses } from "#ledger/leaf/padding";
import { config, failure, ledger, openAll, shard } from "./worker.ts";

const counts = (grant: string) =>
  (ledger as unknown as { ELEMENT_COUNTS: DurableObjectNamespace<ElementCounts> }).ELEMENT_COUNTS.getByName(
    grant,
  );
const stored = (stub: DurableObjectStub<ElementCounts>) =>
  runInDurableObject(stub, (_, { storage }) => ({
    answers: storage.sql.exec<{ answers: number }>("SELECT answers FROM days").toArray()[0]?.answers,
    elements: storage.sql
      .exec<{ path: string; count: number }>("SELECT path, count FROM elements ORDER BY path")
      .toArray()
      .map(({ path, count }) => [path, count] as const),
  }));
const today = () => Math.floor(Date.now() / 86_400_000);

test("batches of a day are added up, and its sums go on record once the day has ended", async ({
  expect,
}) => {
  const grant = "measured/main/TREAT";
  const stub = counts(grant);
  const batch = {
    day: today(),
    answers: 2,
    elements: [
      ["Patient.gender", 2],
      ["Patient.name.family", 3],
    ],
  } as const;
  await stub.add(batch);
  await stub.add(batch);
  await stub.add({ ...batch, day: today() - 3 }); // it is on record
  await stub.add({ ...batch, day: today() + 2 });
  expect(await runDurableObjectAlarm(stub), "the day has not ended").toBe(true);
  // three days pass
  await runInDurableObject(stub, (_, { storage }) => {
    storage.sql.exec("UPDATE days SET day = day - 3");
    storage.sql.exec("UPDATE elements SET day = day - 3");
  });
  await runDurableObjectAlarm(stub);
  const [{ id } = { id: "" }] = measurementsOf(grant, { day: today() - 3, answers: 4 }, [
    { path: "Patient.id", count: 1 },
  ]);
  const log = chooseLog(
    { kind: "client", client: "measured", turn: id, spread: 1 },
    config.layout,
    instant(Date.now()),
  );
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const found = (await openAll(log, auditor)).flatMap((record) =>
    record?.event.kind === "measurement" ? [record] : [],
  );
  expect(
    found.map(({ event }) => [event.id, event.why?.grant, event.measured?.answers, event.measured?.elements]),
  ).toEqual([[id, grant, 4, { "Patient.gender": 4, "Patient.name.family": 6 }]]);
  const rest = await runInDurableObject(stub, (_, { storage }) => [
    storage.sql.exec("SELECT * FROM days").toArray(),
    storage.sql.exec("SELECT * FROM elements").toArray(),
  ]);
  expect(rest).toEqual([[], []]);
});

test("a path that is no element path does not count, alone; a negative number is refused", async ({
  expect,
}) => {
  const stub = counts("refused/main/TREAT");
  await stub.add({
    day: today(),
    answers: 1,
    elements: [
      ["Patient/amara", 1],
      ["Patient.gender", 1],
    ],
  });
  const refused = await runInDurableObject(stub, (object) =>
    failure(() => object.add({ day: today(), answers: 1, elements: [["Patient.gender", -1]] })),
  );
  expect([refused, await stored(stub)]).toEqual([
    "no batch of element counts",
    { answers: 1, elements: [["Patient.gender", 1]] },
  ]);
});

test("beyond the limit, new paths and the answers of their batch do not count; known paths do", async ({
  expect,
}) => {
  const stub = counts("many/main/TREAT");
  const elements = Array.from({ length: 5_000 }, (_, i) => [`Patient.element${i}`, 1] as const);
  await stub.add({ day: today(), answers: 1, elements });
  await stub.add({ day: today(), answers: 2, elements: [["Patient.element7", 4]] });
  await stub.add({
    day: today(),
    answers: 3,
    elements: [
      ["Patient.element8", 6],
      ["Patient.more", 1],
    ],
  });
  const { answers, elements: found } = await stored(stub);
  const countOf = new Map(found);
  expect([answers, found.length]).toEqual([3, 5_000]);
  expect([countOf.get("Patient.element7"), countOf.get("Patient.element8")]).toEqual([5, 7]);
});

test("a repeated attempt appends the same events, and none that is on record", async ({ expect }) => {
  const grant = "repeated/main/TREAT";
  const stub = counts(grant);
  const day = today() - 3;
  const elements = [{ path: "Patient.gender", count: 4 }];
  const [event = expect.fail()] = measurementsOf(grant, { day, answers: 4 }, elements);
  const log = chooseLog(
    { kind: "client", client: "repeated", turn: event.id, spread: 1 },
    config.layout,
    instant(Date.now()),
  );
  await shard(log).append([event]); // its answer was lost
  for (const isKnown of [0, 1]) {
    await stub.add({ day: today(), answers: 4, elements: [["Patient.gender", 4]] });
    await runInDurableObject(stub, (_, { storage }) => {
      storage.sql.exec("UPDATE days SET day = ?", day);
      storage.sql.exec("UPDATE elements SET day = ?, count = count + ?", day, isKnown);
      if (isKnown === 1) storage.sql.exec("INSERT INTO recorded VALUES (?, 1)", day);
    });
    await runDurableObjectAlarm(stub);
  }
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const found = (await openAll(log, auditor)).filter((record) => record?.event.id === event.id);
  expect(found.map((record) => record?.event.measured?.elements)).toEqual([{ "Patient.gender": 4 }]);
  expect(await stored(stub)).toEqual({ answers: undefined, elements: [] });
});

test("the record of a day has one length, however many elements left", ({ expect }) => {
  const lengths = [1, 400, 900].map((many) => {
    const elements = Array.from({ length: many }, (_, i) => ({
      path: `Patient.element${i}`,
      count: 10 ** (i % 7),
    }));
    const events = measurementsOf("a/main/TREAT", { day: 20_000, answers: 9 }, elements);
    expect(events).toHaveLength(1);
    const records = events.flatMap((event) => {
      const made = recordsOf(event);
      if (!made.ok) throw new Error(made.error);
      return made.value;
    });
    const [event = expect.fail()] = events;
    const read = decodeRecord(encodeRecord(event, 1, 1, new Uint8Array(32)));
    expect(read.ok && read.value.event.measured).toEqual(event.measured);
    return records.map(({ plaintext }) => paddedLength(plaintext.length));
  });
  expect(lengths, "each is of the largest size class").toEqual(lengths.map(() => [sizeClasses.at(-1)]));
});
