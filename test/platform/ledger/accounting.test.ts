import { regionlessStubs } from "#platform/ledger/client/stubs";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { test, vi } from "vitest";
import { accountingLines, readLine, subjectKey } from "#audit/accounting/line";
import { checkLine, readLineProof, writeLineProof } from "#audit/accounting/proof";
import type { LinesRequest, LinesPage } from "#audit/accounting/disclosures";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { sameBytes } from "#ledger/bytes/bytes";
import { toCbor } from "#ledger/bytes/cbor";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import { type AccountingShelf, shelfNameOf } from "#platform/ledger/object/accounting/accounting-shelf";
import { openRow, sealRow } from "#platform/ledger/object/accounting/box";
import { OwnCalls } from "#platform/ledger/object/append/own-calls";
import { LedgerDrain } from "#platform/ledger/object/accounting/drain";
import { startWith } from "./bucket.ts";
import {
  config,
  disclosureOf,
  failure,
  ledger,
  newId,
  openAll,
  positionOf,
  ownLog,
  shard,
  verifierOf,
} from "./worker.ts";

vi.setConfig({ testTimeout: 60_000 }); // a look-up asks 64 shards, and a busy machine takes its time

const clock = () => instant(Date.now());
const desk = new AccountingDesk(ledger, clock);
const patientOf = (event: AuditEvent, i = 0): string => event.patients[i]?.patient ?? "";
const asking = (patient: string, changes: Partial<LinesRequest> = {}): LinesRequest => ({
  patients: [patient],
  from: instant(0),
  to: clock(),
  toldTo: "officer",
  count: 1_000,
  caller: { id: newId(), at: clock(), who: { client: "privacy-officer" }, why: { purposes: ["HOPERAT"] } },
  ...changes,
});
const found = async (patient: string, changes: Partial<LinesRequest> = {}) => {
  const { lines, next } = await desk.linesOf(asking(patient, changes));
  if (next !== undefined) throw new Error("more than a page");
  return lines;
};
const keepers = {
  shelves: regionlessStubs(ledger.ACCOUNTING_SHELF, config),
  intakes: regionlessStubs(ledger.ACCOUNTING_INTAKE, config),
};
/** The lines on a patient's shelf. */
const onShelf = async (patient: string) => {
  const subject = subjectKey(config.subjectKeys[0], patient);
  const filter = { from: instant(0), to: clock() };
  const { lines } = await shelfFor(patient).linesAfter(
    { subject, after: undefined, filter, without: [] },
    { rows: 99, withheld: 99 },
  );
  return lines;
};
const rowsOf = (log: string) =>
  runInDurableObject(
    shard(log),
    (_, state) => state.storage.sql.exec("SELECT frame FROM lines").toArray().length,
  );
const shelfFor = (patient: string) =>
  ledger.ACCOUNTING_SHELF.getByName(shelfNameOf(subjectKey(config.subjectKeys[0], patient)));

test("lines are found while the shard still has them and after its alarm brought them to their shelves, each once", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(20);
  const { index } = positionOf(await shard(log).append([event]));
  for (const when of ["before", "after"]) {
    for (const i of [0, 7, 19]) {
      const lines = await found(patientOf(event, i));
      expect(lines, `${when} the alarm`).toHaveLength(1);
      expect(lines[0]).toMatchObject({ log, index, line: i, lines: 20, patient: patientOf(event, i) });
      expect(lines[0]?.content).toEqual(accountingLines(event, config.subjectKeys[0])[i]);
    }
    expect(await rowsOf(log)).toBe(when === "before" ? 1 : 0);
    await runDurableObjectAlarm(shard(log));
  }
  expect(await found("main/Patient/nobody")).toEqual([]);
});

test("a line proves itself with the log's public key alone, and whatever is changed in it is found", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(7);
  await shard(log).append([disclosureOf(1)]);
  await shard(log).append([event]);
  const [line] = await found(patientOf(event, 4));
  const text = (line && writeLineProof(line)) ?? "";
  const proof = readLineProof(text);
  if (!proof.ok) throw new Error(proof.error);
  const checked = checkLine(proof.value, verifierOf(log));
  expect(checked).toMatchObject({
    ok: true,
    value: { says: { recipient: "telehealth", purposes: ["TREAT"], agreement: "baa-1" } },
  });
  for (const field of ["content", "salt", "leaf", "note"] as const) {
    const bytes = proof.value[field];
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes, (byte, i) => (i === at ? byte ^ 1 : byte));
      expect(checkLine({ ...proof.value, [field]: changed }, verifierOf(log)).ok, `${field} at ${at}`).toBe(
        false,
      );
    }
  }
  for (const changes of [
    { line: 5 },
    { lines: 5 },
    { index: proof.value.index - 1 },
    { path: proof.value.path.slice(1) },
  ])
    expect(checkLine({ ...proof.value, ...changes }, verifierOf(log)).ok, JSON.stringify(changes)).toBe(
      false,
    );
  expect(readLineProof(text.replace('"log"', '"lag"')).ok).toBe(false);
});

test("a crash between shelf and shard brings the lines to the shelf again, where they are stored once", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(5);
  await shard(log).append([event]);
  await runInDurableObject(shard(log), async (_, state) => {
    state.storage.sql.exec(
      "CREATE TRIGGER kept BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'crash'); END",
    );
    expect(await new LedgerDrain(state.storage, config, log, keepers).run()).toBe("failed");
    state.storage.sql.exec("DROP TRIGGER kept");
  });
  await evictDurableObject(shard(log));
  expect(await rowsOf(log)).toBe(1);
  expect(await onShelf(patientOf(event))).toHaveLength(1);
  expect(await runDurableObjectAlarm(shard(log))).toBe(true);
  expect(await rowsOf(log)).toBe(0);
  expect(await found(patientOf(event))).toHaveLength(1);
});

test("while shelves do not answer the shard goes on, is degraded after two minutes, and catches up", async ({
  expect,
}) => {
  const log = ownLog();
  await shard(log).append([disclosureOf(3)]);
  await runInDurableObject(shard(log), async (_, state) => {
    const down = () => ({ put: () => Promise.reject(new Error("down")) }) as never;
    expect(await new LedgerDrain(state.storage, config, log, { shelves: down, intakes: down }).run()).toBe(
      "failed",
    );
    state.storage.sql.exec("UPDATE frames SET seconds = seconds - 140");
    const late = await startWith(state, ledger.LEDGER_BUCKET);
    expect(await late.status()).toMatchObject({ health: "degraded" });
  });
  await shard(log).append([disclosureOf(1)]);
  await runDurableObjectAlarm(shard(log));
  expect(await rowsOf(log)).toBe(0);
  expect(await shard(log).status()).toMatchObject({ health: "good" });
});

test("each look-up is recorded, with its caller and its patients, before it answers", async ({ expect }) => {
  const log = ownLog();
  const event = disclosureOf(1);
  await shard(log).append([event]);
  const query = asking(patientOf(event));
  await desk.linesOf(query);
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const logs = Array.from({ length: 64 }, (_, i) => `s${i}-${log.slice(log.indexOf("-") + 1)}`);
  const records = (await Promise.all(logs.map((one) => openAll(one, auditor)))).flat();
  const lookUps = records.filter((record) => record?.event.id === query.caller.id);
  expect(lookUps).toHaveLength(1);
  expect(lookUps[0]?.event).toMatchObject({
    kind: "accounting",
    who: { client: "privacy-officer" },
    why: { purposes: ["HOPERAT"] },
    what: { interaction: "linesOf", origin: "main", type: "Patient" },
    patients: [{ patient: patientOf(event), counts: {} }],
  });
});

test("an accounting that an intake cannot complete is none", async ({ expect }) => {
  const down = { getByName: () => ({ shelve: () => Promise.reject(new Error("down")) }) } as never;
  const without = new AccountingDesk({ ...ledger, ACCOUNTING_INTAKE: down }, clock);
  expect(await failure(() => without.linesOf(asking("main/Patient/1")))).toBe("down");
});

test("a look-up that cannot be recorded reads no line, and a look-up that a shard cannot complete answers nothing", async ({
  expect,
}) => {
  const reads: string[] = [];
  const shelf = {
    linesAfter: () => Promise.resolve(void reads.push("linesAfter")),
    holdsOf: () => Promise.resolve([]),
  };
  // the calls that a desk makes
  const shelves = { getByName: () => shelf } as unknown as typeof ledger.ACCOUNTING_SHELF;
  const deskWith = (answers: object) => {
    const shards = { getByName: () => answers } as unknown as typeof ledger.LEDGER_SHARD;
    return new AccountingDesk({ ...ledger, LEDGER_SHARD: shards, ACCOUNTING_SHELF: shelves }, clock);
  };
  const down = () => Promise.reject(new Error("down"));
  expect(await failure(() => deskWith({ appendText: down }).linesOf(asking("main/Patient/1")))).toBe("down");
  expect(
    await failure(() =>
      deskWith({ appendText: () => Promise.resolve("counted"), ownCall: down }).linesOf(
        asking("main/Patient/1"),
      ),
    ),
  ).toBe("down");
  expect(reads).toEqual([]);
});

test("a suspension withholds lines to its recipient only from the individual, and only while it lasts", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(1);
  const agency = {
    ...disclosureOf(1),
    patients: event.patients,
    who: { client: "agency" },
    why: { purposes: ["PUBHLTH"] },
  };
  await shard(log).append([event, agency]);
  const patient = patientOf(event);
  const recipients = async (toldTo: "individual" | "officer") =>
    (await found(patient, { toldTo }))
      .map(({ content }) => readLine(content)?.recipient)
      .toSorted((a = "", b = "") => a.localeCompare(b));
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const hold = {
    id: "h1",
    patient,
    recipient: "agency",
    from: at(-1),
    to: at(29),
    statement: "An inquiry would be impeded.",
    oral: false,
  };
  expect(await desk.hold(hold)).toEqual({ ok: true, value: undefined });
  expect(await recipients("individual")).toEqual(["telehealth"]);
  expect(await recipients("officer")).toEqual(["agency", "telehealth"]);
  await desk.hold({ ...hold, to: at(-0.5) });
  expect(await recipients("individual"), "it is over").toEqual(["agency", "telehealth"]);
  expect(await desk.hold({ ...hold, oral: true, to: at(40) }), "reported and not written: 30 days").toEqual({
    ok: false,
    error: { reason: "suspension_invalid", field: "to" },
  });
  for (const field of ["id", "patient", "recipient", "from", "to", "statement"])
    expect(await desk.hold({ ...hold, [field]: "" })).toEqual({
      ok: false,
      error: { reason: "suspension_invalid", field },
    });
});

test("lines that are held back neither cut an individual's page short nor count in it", async ({
  expect,
}) => {
  const [patient, united] = [`main/Patient/${newId()}`, `main/Patient/${newId()}`];
  const subject = subjectKey(config.subjectKeys[0], patient);
  const line = (index: number, client: string) => {
    const event = { ...disclosureOf(1), who: { client }, patients: [{ patient, counts: { Patient: 1 } }] };
    const [content = new Uint8Array()] = accountingLines(event, config.subjectKeys[0]);
    return {
      subject,
      log: "s0-2026h1",
      index,
      line: 0,
      lines: 1,
      content,
      salt: new Uint8Array(32),
      path: [],
    };
  };
  await shelfFor(patient).put(
    Array.from({ length: 90 }, (_, index) => line(index, index % 3 === 0 ? "agency" : "telehealth")),
  );
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const hold = {
    id: "h1",
    recipient: "agency",
    from: at(-1),
    to: at(29),
    statement: "An inquiry would be impeded.",
    oral: false,
  };
  const quick = new AccountingDesk(ledger, clock, { checkpointMs: 0 }); // these lines are in no log
  const pages = async (patients: readonly string[]) => {
    const sizes: number[] = [];
    for (let after, first = true; first || after !== undefined; first = false) {
      const page: LinesPage = await quick.linesOf(
        asking(patient, { toldTo: "individual", patients, count: 20, after }),
      );
      expect(page.lines.every(({ heldUntil }) => heldUntil === undefined)).toBe(true);
      sizes.push(page.lines.length);
      after = page.next;
    }
    return sizes;
  };
  await desk.hold({ ...hold, patient: united });
  expect(await pages([patient]), "of a different record").toEqual([20, 20, 20, 20, 10]);
  expect(await pages([patient, united]), "none is short, and none is empty behind the last").toEqual([
    20, 20, 20,
  ]);
});

test("an officer sees which lines are withheld from the individual, and until when", async ({ expect }) => {
  const log = ownLog();
  const event = disclosureOf(1);
  await shard(log).append([event]);
  const patient = patientOf(event);
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const hold = {
    patient,
    recipient: "telehealth",
    from: at(-1),
    statement: "An inquiry would be impeded.",
    oral: false,
  };
  await desk.hold({ ...hold, id: "h1", to: at(9) });
  await desk.hold({ ...hold, id: "h2", to: at(3) });
  await desk.hold({ ...hold, id: "h3", recipient: "agency", to: at(20) });
  await desk.hold({ ...hold, id: "h4", from: at(5), to: at(30) });
  expect(
    (await found(patient)).map(({ heldUntil }) => Math.round(((heldUntil ?? 0) - Date.now()) / 86_400_000)),
  ).toEqual([9]);
});

test("a shelf's row of a line shows neither recipient nor purpose, and a row that was moved to a different patient does not open", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(1);
  await shard(log).append([event]);
  await runDurableObjectAlarm(shard(log));
  const other = subjectKey(config.subjectKeys[0], "main/Patient/other");
  const message = await runInDurableObject(
    shelfFor(patientOf(event)),
    async (shelf: AccountingShelf, state) => {
      const rows = state.storage.sql
        .exec<Record<string, string | number | ArrayBuffer>>("SELECT * FROM lines")
        .toArray();
      const text = rows.flatMap((row) =>
        Object.values(row).map((value) =>
          value instanceof ArrayBuffer ? Buffer.from(value).toString("latin1") : String(value),
        ),
      );
      expect(text.join()).not.toMatch(/telehealth|TREAT|baa-1/u);
      state.storage.sql.exec("UPDATE lines SET subject = ?", other);
      const filter = { from: instant(0), to: clock() };
      return failure(() =>
        shelf.linesAfter({ subject: other, after: undefined, filter, without: [] }, { rows: 9, withheld: 9 }),
      );
    },
  );
  expect(message).toContain("does not open");
  expect(sameBytes(other, subjectKey(config.subjectKeys[0], patientOf(event)))).toBe(false);
});

test("a shelf lets go of lines once no accounting of six years can reach them", async ({ expect }) => {
  const patient = "main/Patient/long-ago";
  const subject = subjectKey(config.subjectKeys[0], patient);
  const line = (year: number, log: string) => {
    const event = {
      ...disclosureOf(1),
      at: instant(Date.UTC(year, 6, 1)),
      patients: [{ patient, counts: { Patient: 1 } }],
    };
    const [content = new Uint8Array()] = accountingLines(event, config.subjectKeys[0]);
    return { subject, log, index: 2, line: 0, lines: 1, content, salt: new Uint8Array(32), path: [] };
  };
  const now = new Date().getUTCFullYear();
  const logs = [`s0-${now - 8}h1`, `s0-${now - 7}h2`, `s0-${now - 5}h1`];
  await shelfFor(patient).put(logs.map((log, i) => line(now - ([8, 7, 5][i] ?? 0), log)));
  const retainedLogs = async () => (await onShelf(patient)).map(({ log }) => log);
  expect(await retainedLogs()).toEqual(logs);
  await runInDurableObject(
    shelfFor(patient),
    (_, state) => state.storage.sql.exec("UPDATE swept SET half_year = '2020h1'").rowsWritten,
  );
  await evictDurableObject(shelfFor(patient));
  await shelfFor(patient).put([line(now, `s0-${now}h1`)]);
  expect(await retainedLogs()).toEqual([logs[2], `s0-${now}h1`]);
});

test("a row from before rows left out the proof of a line that is alone reads back as the same line", async ({
  expect,
}) => {
  const patient = "main/Patient/older-row";
  const subject = subjectKey(config.subjectKeys[0], patient);
  const event = { ...disclosureOf(1), patients: [{ patient, counts: { Patient: 1 } }] };
  const [content = new Uint8Array()] = accountingLines(event, config.subjectKeys[0]);
  const year = new Date().getUTCFullYear();
  const place = { log: `s0-${year}h1`, index: 2, line: 0 };
  const line = { ...place, subject, lines: 1, content, salt: new Uint8Array(32).fill(9), path: [] };
  await shelfFor(patient).put([line]);
  const [written] = await onShelf(patient);
  await runInDurableObject(shelfFor(patient), (_, { storage: { sql } }) => {
    const older = toCbor([content, line.salt, 1, []]);
    const { salt, box } = sealRow(
      config.accountingKeys,
      ["line", subject, place.log, place.index, place.line],
      older,
    );
    const longer = sql.exec(
      "UPDATE lines SET salt = ?, box = ? WHERE length(box) < ?",
      salt,
      box,
      box.length,
    );
    expect(longer.rowsWritten, "a row is shorter now").toBe(1);
  });
  expect(await onShelf(patient)).toEqual([written]);
  expect(written).toMatchObject({ ...place, lines: 1, path: [] });
});

// Last: the stopped log affects all later look-ups.
test("a contradicting line stops the shard, and neither line is lost; an accounting that would lack its lines is refused", async ({
  expect,
}) => {
  const log = ownLog();
  const event = disclosureOf(1);
  const { index } = positionOf(await shard(log).append([event]));
  const subject = subjectKey(config.subjectKeys[0], patientOf(event));
  const [content = new Uint8Array()] = accountingLines(
    { ...event, why: { purposes: ["HRESCH"] } },
    config.subjectKeys[0],
  );
  const other = { subject, log, index, line: 0, lines: 1, content, salt: new Uint8Array(32), path: [] };
  expect(await shelfFor(patientOf(event)).put([other])).toBe("kept");
  await runDurableObjectAlarm(shard(log));
  expect(await shard(log).status()).toMatchObject({
    health: "refusing",
    why: "a shelf holds another accounting line",
  });
  expect(await failure(() => shard(log).append([disclosureOf(1)]))).toContain("another accounting line");
  expect(await rowsOf(log)).toBe(1);
  expect(await failure(() => found(patientOf(disclosureOf(1))))).toContain("another accounting line");
});

test("a row and an own call of the old accounting key open while the key changes, and a stranger's never", ({
  expect,
}) => {
  const key = (byte: number) => new Secret(new Uint8Array(32).fill(byte));
  const [place, content] = [["line", "s", "l", 1, 0], new Uint8Array([1, 2, 3])];
  const [before, ready, changed] = [[key(1)], [key(1), key(2)], [key(2), key(1)]] as const;
  const old = sealRow(before, place, content);
  for (const keys of [ready, changed]) expect(openRow(keys, place, old)).toEqual(content);
  expect(openRow(ready, place, sealRow(changed, place, content))).toEqual(content);
  expect(() => openRow([key(3), key(4)], place, old)).toThrow("does not open");
  const call = { kind: "shelve", shelves: ["a"] } as const;
  for (const [by, at] of [
    [before, changed],
    [changed, ready],
  ] as const)
    expect(new OwnCalls(at).open("s0-2026h2", new OwnCalls(by).seal("s0-2026h2", call))).toEqual(call);
  expect(() => new OwnCalls(ready).open("l", new OwnCalls([key(3)]).seal("l", call))).toThrow(
    "only the ledger",
  );
});
