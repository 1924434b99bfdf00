import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { accountingLines, subjectKey } from "#audit/accounting/line";
import { readLineConsents, writeLineConsents } from "#audit/accounting/line-consents";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import { intakeNameOf } from "#platform/ledger/object/accounting/accounting-intake";
import { shelfNameOf, type ProvableLine } from "#platform/ledger/object/accounting/accounting-shelf";
import { type LineReceivers, LedgerDrain } from "#platform/ledger/object/accounting/drain";
import { config, disclosureOf, failure, ledger, newId, positionOf, ownLog, shard } from "./worker.ts";

vi.setConfig({ testTimeout: 60_000 }); // a look-up asks 64 shards, and a busy machine takes its time

const desk = new AccountingDesk(ledger, () => instant(Date.now()));
const found = async (patient: string, toldTo: "individual" | "officer" = "officer") => {
  const caller = {
    id: newId(),
    at: instant(Date.now()),
    who: { client: "privacy-officer" },
    why: { purposes: ["HOPERAT"] },
  };
  return desk.linesOf({
    patients: [patient],
    from: instant(0),
    to: instant(Date.now()),
    toldTo,
    count: 9,
    caller,
  });
};
const patientOf = (event: AuditEvent, i = 0): string => event.patients[i]?.patient ?? "";
const rowsOf = (log: string) =>
  runInDurableObject(
    shard(log),
    (_, state) => state.storage.sql.exec("SELECT frame FROM lines").toArray().length,
  );
const shelfName = (patient: string) => shelfNameOf(subjectKey(config.subjectKeys[0], patient));
const shelf = (name: string) => ledger.ACCOUNTING_SHELF.getByName(name);
const intake = (name: string) => ledger.ACCOUNTING_INTAKE.getByName(name);

/** The real receivers, with a list of the calls. */
function counted(): {
  readonly keepers: LineReceivers;
  readonly shelves: string[];
  readonly intakes: string[];
} {
  const [shelves, intakes]: [string[], string[]] = [[], []];
  const keepers = {
    shelves: (name: string) => (shelves.push(name), shelf(name)),
    intakes: (name: string) => (intakes.push(name), intake(name)),
  };
  return { keepers, shelves, intakes };
}
const drain = (log: string, keepers: LineReceivers, callsMax?: number) =>
  runInDurableObject(shard(log), async (_, { storage }) => {
    const ends: string[] = [];
    const one = new LedgerDrain(storage, config, log, keepers, callsMax);
    while (ends.length < 50 && (ends.length === 0 || ends.at(-1) === "more")) ends.push(await one.run());
    return ends;
  });

/** Lines of made-up patients of one shelf, as a shard brings them. */
function linesFor(name: string, log: string, count: number, client = "telehealth"): ProvableLine[] {
  const lines: ProvableLine[] = [];
  for (let i = 0; lines.length < count; i++) {
    const patient = `main/Patient/${log}-${client}-${i}`;
    const subject = subjectKey(config.subjectKeys[0], patient);
    if (shelfNameOf(subject) !== name) continue;
    const event = { ...disclosureOf(1), who: { client }, patients: [{ patient, counts: { Patient: 1 } }] };
    const [content = new Uint8Array()] = accountingLines(event, config.subjectKeys[0]);
    lines.push({
      subject,
      log,
      index: lines.length,
      line: 0,
      lines: 1,
      content,
      salt: new Uint8Array(32),
      path: [],
    });
  }
  return lines;
}
const consentOf = (digest: string) => ({
  consent: "c".repeat(43),
  digest,
  given: "2026-10-01",
  filedAt: 1_790_000_000_000,
  purposes: ["TREAT"],
});
const linesOn = async ({ subject }: ProvableLine) => {
  const filter = { from: instant(0), to: instant(Date.now()) };
  const query = { subject, after: undefined, filter, without: [] };
  return (await shelf(shelfNameOf(subject)).linesAfter(query, { rows: 99, withheld: 99 })).lines;
};
const batchesIn = (name: string) =>
  runInDurableObject(intake(name), (_, { storage: { sql } }) =>
    sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'batches'").toArray().length === 0
      ? 0
      : sql.exec<{ n: number }>("SELECT count(*) AS n FROM batches").one().n,
  );

test("the Consents beside a line come with it to the individual alone, and to no line of a further patient", async ({
  expect,
}) => {
  const event = disclosureOf(3);
  const permits = [
    { ...consentOf("a".repeat(64)), patient: patientOf(event, 0) },
    { ...consentOf("b".repeat(64)), given: undefined, patient: patientOf(event, 2) },
  ];
  await shard(ownLog()).append([{ ...event, permits }]);
  const beside = async (i: number, toldTo: "individual" | "officer") => {
    const [line] = (await found(patientOf(event, i), toldTo)).lines;
    return line?.consents === undefined || line.consents.length === 0 ? [] : readLineConsents(line.consents);
  };
  expect(await beside(0, "individual")).toEqual([consentOf("a".repeat(64))]);
  expect(await beside(1, "individual")).toEqual([]);
  expect(await beside(2, "individual")).toEqual([{ ...consentOf("b".repeat(64)), given: undefined }]);
  expect(await beside(0, "officer")).toEqual([]);
});

test("a disclosure is never refused for the Consents beside its lines: a Consent of bad form is left out", async ({
  expect,
}) => {
  const event = disclosureOf(2);
  const good = consentOf("a".repeat(64));
  const permits = [
    { ...good, patient: patientOf(event, 0), given: "+010000-01-01T13:59:59.000Z" },
    { ...good, patient: patientOf(event, 0), more: 1 },
    ...Array.from({ length: 1_001 }, () => ({ ...good, patient: patientOf(event, 1) })),
  ];
  for (const each of [permits, "none"])
    expect(positionOf(await shard(ownLog()).append([{ ...event, permits: each as never }])).count).toBe(1);
  const consentsOf = async (i: number) => (await found(patientOf(event, i), "individual")).lines[0]?.consents;
  expect((await consentsOf(0))?.length ?? 0).toBe(0);
  expect(readLineConsents((await consentsOf(1)) ?? new Uint8Array())).toEqual(
    Array.from({ length: 8 }, () => good),
  );
});

test("a look at an intake that nothing was put into leaves no trace", async ({ expect }) => {
  await intake("3f").shelve(["fff"]);
  const tables = await runInDurableObject(intake("3f"), (_, { storage: { sql } }) =>
    sql.exec("SELECT name FROM sqlite_master WHERE name = 'batches'").toArray(),
  );
  expect(tables).toEqual([]);
  expect(positionOf(await shard(ownLog()).append([disclosureOf(1)])).count).toBe(1);
});

test("an intake passes lines on once there are many, each once, also when it fails before it forgets them", async ({
  expect,
}) => {
  const name = "0a7";
  const [first, ...rest] = linesFor(name, ownLog(), 3) as [ProvableLine, ...ProvableLine[]];
  const lines = [{ ...first, consents: writeLineConsents([consentOf("0".repeat(64))]) }, ...rest];
  await intake(intakeNameOf(name)).put(lines);
  expect(await linesOn(lines[0] as ProvableLine)).toEqual([]);
  await runInDurableObject(intake(intakeNameOf(name)), async (instance, { storage }) => {
    storage.sql.exec("CREATE TRIGGER kept BEFORE DELETE ON batches BEGIN SELECT RAISE(ABORT, 'crash'); END");
    expect(await failure(() => instance.alarm())).toContain("crash");
    storage.sql.exec("DROP TRIGGER kept");
  });
  await evictDurableObject(intake(intakeNameOf(name)));
  expect(await batchesIn(intakeNameOf(name))).toBe(1);
  expect(await runDurableObjectAlarm(intake(intakeNameOf(name))), "it was to come, though late").toBe(true);
  expect(await batchesIn(intakeNameOf(name))).toBe(0);
  for (const line of lines) expect(await linesOn(line)).toEqual([line]);
});

test("a repeated line in an intake is on its shelf once, and two different lines of one place are a contradiction", async ({
  expect,
}) => {
  const name = "5e9";
  const [line] = linesFor(name, ownLog(), 1) as [ProvableLine];
  for (let i = 0; i < 2; i++) await intake(intakeNameOf(name)).put([line]);
  await intake(intakeNameOf(name)).shelve([name]);
  expect(await linesOn(line)).toEqual([line]);
  const [fresh] = linesFor(name, ownLog(), 1) as [ProvableLine];
  expect(await shelf(name).put([fresh, { ...fresh, salt: new Uint8Array(32).fill(1) }])).toBe("other");
  expect(await linesOn(fresh), "nothing was stored").toEqual([]);
});

test(
  "a full intake passes on its fullest part within seconds, and calls no further shelf",
  { timeout: 120_000 },
  async ({ expect }) => {
    const [full, other] = ["14b", "158"]; // two parts of the same intake
    expect(intakeNameOf(full)).toBe(intakeNameOf(other));
    const [[line], [quiet]] = [linesFor(full, ownLog(), 1), linesFor(other, ownLog(), 1)] as [
      [ProvableLine],
      [ProvableLine],
    ];
    const target = intake(intakeNameOf(full));
    const at = () => runInDurableObject(target, (_, { storage }) => storage.getAlarm());
    await target.put([quiet]);
    expect((await at()) ?? 0, "few lines wait").toBeGreaterThan(Date.now() + 86_400_000);
    const path = Array.from({ length: 20 }, () => new Uint8Array(32));
    const wide = Array.from({ length: 500 }, (_, index) => ({ ...line, path, index }));
    for (let i = 0; i < 22; i++)
      await target.put(wide.map((one) => Object.assign({}, one, { index: i * 1_000 + one.index })));
    expect((await at()) ?? 0).toBeLessThan(Date.now() + 10_000);
    await runDurableObjectAlarm(target);
    expect((await linesOn(line)).length).toBe(99);
    expect(await linesOn(quiet)).toEqual([]);
    expect(await batchesIn(intakeNameOf(full))).toBe(1);
  },
);

test("a contradicting line is found when it is passed on: it stays, its log stops, and different logs' lines go on", async ({
  expect,
}) => {
  const [log, other, name] = [ownLog(), ownLog(), "2c3"];
  const [there] = linesFor(name, log, 1, "payer") as [ProvableLine];
  const [line, innocent] = [
    { ...(linesFor(name, log, 1)[0] as ProvableLine), subject: there.subject },
    linesFor(name, other, 1)[0] as ProvableLine,
  ];
  expect(await shelf(name).put([there])).toBe("kept");
  const forged = {
    ...line,
    content: Uint8Array.from([
      ...line.content.subarray(0, 4),
      ...there.subject,
      ...line.content.subarray(36),
    ]),
  };
  const target = intake(intakeNameOf(name));
  expect(await target.put([forged])).toBe("kept");
  expect(await target.put([innocent])).toBe("kept");
  await runDurableObjectAlarm(target);
  expect(await linesOn(innocent)).toHaveLength(1);
  expect(await batchesIn(intakeNameOf(name)), "neither is lost").toBe(1);
  expect(await target.put([line]), "its shard gets the error at the next put").toBe("other");
  expect(await target.put([innocent])).toBe("kept");
  expect(
    await failure(() => target.shelve([name])),
    "nobody gets an accounting that would lack it",
  ).toContain("not on their accounting shelves");
});

test("an intake whose alarm failed until the runtime gave it up sets it again with the next lines", async ({
  expect,
}) => {
  const name = "d41";
  const [line, next] = linesFor(name, ownLog(), 2) as [ProvableLine, ProvableLine];
  const target = intake(intakeNameOf(name));
  await target.put([line]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 100 * 86_400_000 });
  try {
    await runInDurableObject(target, async (instance, { storage }) => {
      storage.sql.exec(
        "CREATE TRIGGER held BEFORE DELETE ON batches BEGIN SELECT RAISE(ABORT, 'crash'); END",
      );
      expect(await failure(() => instance.alarm())).toContain("crash");
      storage.sql.exec("DROP TRIGGER held");
      await storage.deleteAlarm();
      await instance.put([next]);
      expect(await storage.getAlarm()).not.toBeNull();
    });
  } finally {
    vi.useRealTimers();
  }
  await target.shelve([name]);
  expect(await linesOn(next)).toEqual([next]);
});

test("lines that their shelf does not take stay in rows of a single call's size, each once", async ({
  expect,
}) => {
  const name = "f01";
  const [line] = linesFor(name, ownLog(), 1) as [ProvableLine];
  const target = intake(intakeNameOf(name));
  const path = Array.from({ length: 28 }, () => new Uint8Array(32));
  for (let i = 0; i < 4; i++)
    await target.put(Array.from({ length: 480 }, (_, at) => ({ ...line, path, index: i * 1_000 + at })));
  await shelf(name).put(linesFor(name, ownLog(), 1));
  await runInDurableObject(shelf(name), (_, { storage: { sql } }) => {
    sql.exec("CREATE TRIGGER down BEFORE INSERT ON lines BEGIN SELECT RAISE(ABORT, 'down'); END");
  });
  const rows = () =>
    runInDurableObject(target, (_, { storage: { sql } }) =>
      sql
        .exec<{ bytes: number }>("SELECT bytes FROM batches")
        .toArray()
        .map(({ bytes }) => bytes),
    );
  const before = await rows();
  await runDurableObjectAlarm(target);
  for (const bytes of await rows()) expect(bytes).toBeLessThanOrEqual(1_048_576);
  const sum = (all: readonly number[]) => all.reduce((total, bytes) => total + bytes, 0);
  expect(Math.abs(sum(await rows()) - sum(before))).toBeLessThan(200);
  await runInDurableObject(shelf(name), (_, { storage: { sql } }) => void sql.exec("DROP TRIGGER down"));
  await target.shelve([name]);
  expect(
    await runInDurableObject(
      shelf(name),
      (_, { storage: { sql } }) =>
        sql.exec<{ n: number }>("SELECT count(*) AS n FROM lines WHERE subject = ?", line.subject).one().n,
    ),
  ).toBe(1_920);
});

test("a look-up finds a line that the alarm moved meanwhile, because its shelf did not answer", async ({
  expect,
}) => {
  const name = "b3c";
  const [line, last] = linesFor(name, ownLog(), 2) as [ProvableLine, ProvableLine];
  const path = Array.from({ length: 28 }, () => new Uint8Array(32));
  // more than an intake has in memory at once, and then the last line
  const wide = Array.from({ length: 2_400 }, (_, index) => ({ ...line, path, index: index + 10 }));
  const stored: ProvableLine[] = [];
  let [isFirst, isDown] = [true, true];
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const put = async (lines: readonly ProvableLine[]) => {
    if (isFirst) {
      [isFirst] = [false, ask()];
      await answered;
    }
    if (isDown && lines.some(({ index }) => index === last.index)) throw new Error("down");
    stored.push(...lines);
    return "kept";
  };
  await runInDurableObject(intake(intakeNameOf(name)), async (instance) => {
    const env = { ...Reflect.get(instance, "env"), ACCOUNTING_SHELF: { getByName: () => ({ put }) } };
    Reflect.set(instance, "env", env);
    for (let at = 0; at < wide.length; at += 480) await instance.put(wide.slice(at, at + 480));
    await instance.put([last]);
    const look = instance.shelve([name]);
    await asked;
    await instance.alarm();
    expect(stored.some(({ index }) => index === last.index)).toBe(false);
    isDown = false;
    answer();
    await look;
    expect(stored.some(({ index }) => index === last.index)).toBe(true);
  });
  await evictDurableObject(intake(intakeNameOf(name)));
});

test("an intake's row of a line shows neither patient nor recipient, and a batch in a different place does not open", async ({
  expect,
}) => {
  const name = "3d5";
  await intake(intakeNameOf(name)).put(linesFor(name, ownLog(), 2));
  const failures = await runInDurableObject(
    intake(intakeNameOf(name)),
    async (instance, { storage: { sql } }) => {
      const rows = sql.exec<Record<string, string | number | ArrayBuffer>>("SELECT * FROM batches").toArray();
      const text = rows.flatMap((row) =>
        Object.values(row).map((value) =>
          value instanceof ArrayBuffer ? Buffer.from(value).toString("latin1") : String(value),
        ),
      );
      expect(text.join()).not.toMatch(/telehealth|TREAT|baa-1|Patient/u);
      sql.exec("UPDATE batches SET id = 77");
      const message = await failure(() => instance.shelve([name]));
      sql.exec("UPDATE batches SET id = 1");
      return message;
    },
  );
  expect(failures).toContain("does not open");
});

test("each shelf has one intake, named by its first six bits", ({ expect }) => {
  const shelves = Array.from({ length: 4_096 }, (_, i) => i.toString(16).padStart(3, "0"));
  const byIntake = Map.groupBy(shelves, intakeNameOf);
  expect(byIntake.size).toBe(64);
  expect([...byIntake.values()].every((names) => names.length === 64)).toBe(true);
});

// The tests from here on leave lines in every intake.
test(
  "4,000 made-up patients in an append start no shelf: 64 calls bring their lines to intakes, together with real lines",
  {
    timeout: 120_000,
  },
  async ({ expect }) => {
    const log = ownLog();
    const [flood, bela] = [disclosureOf(4_000), disclosureOf(1)];
    await shard(log).append([flood]);
    await shard(log).append([bela]);
    const { keepers, shelves, intakes } = counted();
    expect(await drain(log, keepers)).toEqual(["done"]);
    expect(shelves).toEqual([]);
    expect(intakes.length).toBeLessThanOrEqual(64);
    expect(await rowsOf(log)).toBe(0);
    for (const patient of [patientOf(bela), patientOf(flood, 0), patientOf(flood, 3_999)]) {
      const { lines } = await found(patient);
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatchObject({ log, patient });
      expect(lines[0]?.proven).toBeDefined();
    }
  },
);

test(
  "a flood of one client delays no further client's line in the shard: as many calls as needed take all of it away",
  { timeout: 300_000 },
  async ({ expect }) => {
    const log = ownLog();
    const floods = ledger.LANE === "fast" ? 2 : 5;
    for (let i = 0; i < floods; i++) await shard(log).append([disclosureOf(4_000)]);
    const bela = disclosureOf(1);
    await shard(log).append([bela]);
    const { keepers, intakes } = counted();
    const started = Date.now();
    expect((await drain(log, keepers)).at(-1)).toBe("done");
    expect(intakes.length).toBeLessThanOrEqual(3 * 64);
    expect(await rowsOf(log)).toBe(0);
    expect(Date.now() - started).toBeLessThan(120_000);
    expect((await found(patientOf(bela))).lines).toHaveLength(1);
  },
);

test("a drain that failed midway brings nothing twice to the intakes that have it, and all of it in the end", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(300);
  await shard(log).append([event]);
  const { keepers, intakes } = counted();
  let isDown = true;
  const flaky = (name: string) =>
    isDown && name > "20" ? { put: () => Promise.reject(new Error("down")) } : keepers.intakes(name);
  await runInDurableObject(shard(log), async (_, { storage }) => {
    const one = new LedgerDrain(storage, config, log, { ...keepers, intakes: flaky });
    expect(await one.run()).toBe("failed");
    isDown = false;
    expect(await one.run()).toBe("done");
  });
  expect(new Set(intakes).size).toBe(intakes.length);
  for (const i of [0, 100, 299]) expect((await found(patientOf(event, i))).lines).toHaveLength(1);
});

test("a drain takes the lines that waited when it began, and later lines wait for the next drain", async ({
  expect,
}) => {
  const log = ownLog();
  const [event, later] = [disclosureOf(1), disclosureOf(1)];
  await shard(log).append([event]);
  const { keepers } = counted();
  const shelves = (name: string) => ({
    put: async (lines: readonly ProvableLine[]) => {
      await shard(log).append([later]);
      return keepers.shelves(name).put(lines);
    },
  });
  expect(await drain(log, { ...keepers, shelves: shelves as never })).toEqual(["done"]);
  expect(await rowsOf(log)).toBe(1);
  for (const { patients } of [event, later])
    expect((await found(patients[0]?.patient ?? "")).lines).toHaveLength(1);
});

test("a put that fails halfway stores nothing, and the next put succeeds", async ({ expect }) => {
  const name = "7c1";
  const [line] = linesFor(name, ownLog(), 1) as [ProvableLine];
  const target = intake(intakeNameOf(name));
  expect(await target.put([line])).toBe("kept");
  const before = await batchesIn(intakeNameOf(name));
  const rows = new Uint8Array([0x80]);
  await runInDurableObject(target, async (instance, { storage }) => {
    storage.sql.exec(
      "CREATE TRIGGER full BEFORE INSERT ON batches WHEN new.part = 7 BEGIN SELECT RAISE(ABORT, 'crash'); END",
    );
    const parts = [0, 7].map((part) => ({ part, rows }));
    expect(await failure(() => instance.put({ log: line.log, parts }))).toContain("crash");
    storage.sql.exec("DROP TRIGGER full");
  });
  expect(await batchesIn(intakeNameOf(name))).toBe(before);
  expect(await target.put([line])).toBe("kept");
  await target.shelve([name]);
  expect(await linesOn(line)).toEqual([line]);
});

test("lines of a shelf that does not answer wait in its intake, and delay no different shelf's lines", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(12);
  await shard(log).append([event]);
  const ill = shelfName(patientOf(event));
  const { keepers } = counted();
  const shelves = (name: string) =>
    (name === ill ? { put: () => Promise.reject(new Error("down")) } : shelf(name)) as never;
  expect(await drain(log, { ...keepers, shelves })).toEqual(["done"]);
  expect(await batchesIn(intakeNameOf(ill))).toBeGreaterThan(0);
  for (let i = 0; i < 12; i++)
    expect((await found(patientOf(event, i))).lines, `patient ${i}`).toHaveLength(1);
});
