import { runDurableObjectAlarm } from "cloudflare:test";
import { test, vi } from "vitest";
import { accountingLines, readLine, subjectKey } from "#audit/accounting/line";
import { checkLine, readLineProof, writeLineProof } from "#audit/accounting/proof";
import type { FoundLine, LinesRequest } from "#audit/accounting/disclosures";
import type { AuditEvent } from "#audit/event";
import { comparePlaces, type LinePlace, placeText } from "#audit/accounting/line-place";
import { instant } from "#kernel/clock";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import { shelfNameOf, type ProvableLine } from "#platform/ledger/object/accounting/accounting-shelf";
import {
  config,
  disclosureOf,
  failure,
  ledger,
  newId,
  openAll,
  ownLog,
  shard,
  verifierOf,
} from "./worker.ts";

vi.setConfig({ testTimeout: 60_000 }); // a look-up asks 64 shards, and a busy machine takes its time

const clock = () => instant(Date.now());
const desk = new AccountingDesk(ledger, clock);
/** A ledger of one shard, for lines that are already on their shelves. */
const small = { ...ledger, LEDGER_SHARDS: "1" };
const shelfDesk = (rowsMax?: number) => new AccountingDesk(small, clock, { rowsMax, checkpointMs: 0 });
const asking = (patient: string, changes: Partial<LinesRequest> = {}): LinesRequest => ({
  patients: [patient],
  from: instant(0),
  to: clock(),
  toldTo: "officer",
  count: 20,
  caller: { id: newId(), at: clock(), who: { client: "privacy-officer" }, why: { purposes: ["HOPERAT"] } },
  ...changes,
});
const disclosed = (patient: string, client = "telehealth", purpose = "TREAT"): AuditEvent => ({
  ...disclosureOf(1),
  who: { client },
  why: { purposes: [purpose] },
  patients: [{ patient, counts: { Observation: 2 } }],
});
const subjectOf = (patient: string) => subjectKey(config.subjectKeys[0], patient);
const shelfFor = (patient: string) => ledger.ACCOUNTING_SHELF.getByName(shelfNameOf(subjectOf(patient)));
const shelved = (patient: string, log: string, index: number, event = disclosed(patient)): ProvableLine => {
  const [content = new Uint8Array()] = accountingLines(event, config.subjectKeys[0]);
  return {
    subject: subjectOf(patient),
    log,
    index,
    line: 0,
    lines: 1,
    content,
    salt: new Uint8Array(32),
    path: [],
  };
};

/** All pages to the end. `between` runs after each page except the last. */
async function pages(
  query: LinesRequest,
  between: (page: number) => Promise<unknown> = () => Promise.resolve(),
  by = desk,
) {
  const all: (readonly FoundLine[])[] = [];
  for (let after: LinePlace | undefined, first = true; first || after !== undefined; first = false) {
    const page = await by.linesOf({ ...query, after, caller: { ...query.caller, id: newId() } });
    all.push(page.lines);
    after = page.next;
    if (after !== undefined) await between(all.length);
    if (all.length > 200) throw new Error("the pages have no end");
  }
  return all;
}
const places = (all: readonly (readonly FoundLine[])[]) => all.flat().map(placeText);

test(
  "an accounting is read to its end, each line once, while lines are drained and new lines come between its pages",
  {
    timeout: 120_000,
  },
  async ({ expect }) => {
    const [one, two] = [ownLog(), ownLog()];
    const patient = `main/Patient/${newId()}`;
    const add = (log: string, count: number) =>
      shard(log).append(Array.from({ length: count }, () => disclosed(patient)));
    await add(one, 30);
    await add(two, 25);
    // one log's lines are on the shelf, the second log's still in the shard
    await runDurableObjectAlarm(shard(one));
    const query = asking(patient);
    const all = await pages(query, async (page) => {
      await add(one, 3);
      await add(two, 3);
      if (page === 1) await runDurableObjectAlarm(shard(two));
      if (page === 2) for (const log of [one, two]) await runDurableObjectAlarm(shard(log));
    });
    const shown = places(all);
    expect(new Set(shown).size).toBe(shown.length);
    expect(
      shown.length,
      "those that came later are of another accounting: its end is the first page's time",
    ).toBe(55);
    expect(all.map((page) => page.length)).toEqual([20, 20, 15]);
    for (const line of all.flat()) {
      const proof = readLineProof(writeLineProof(line) ?? "");
      if (!proof.ok) throw new Error(placeText(line));
      expect(checkLine(proof.value, verifierOf(line.log))).toMatchObject({
        ok: true,
        value: { says: { recipient: "telehealth" } },
      });
    }
    const inOrder = all.flatMap((page) => page.toSorted(comparePlaces));
    expect(inOrder.toSorted(comparePlaces), "each page follows the one before").toEqual(inOrder);
  },
);

test(
  "a patient with more than two thousand lines gets a full accounting: pages lead to the last line, each line proven",
  {
    timeout: 120_000,
  },
  async ({ expect }) => {
    const log = ownLog();
    const patient = `main/Patient/${newId()}`;
    for (let i = 0; i < 9; i++)
      await shard(log).append(Array.from({ length: 250 }, () => disclosed(patient)));
    const all = await pages(asking(patient, { count: 1_000 }));
    expect(all.map((page) => page.length)).toEqual([1_000, 1_000, 250]);
    expect(new Set(places(all)).size).toBe(2_250);
    expect(all.flat().every(({ proven }) => proven !== undefined)).toBe(true);
  },
);

test("each page is on record before it is read, with the place that it goes on from", async ({ expect }) => {
  const patient = `main/Patient/${newId()}`;
  await shelfFor(patient).put(Array.from({ length: 45 }, (_, index) => shelved(patient, "s1-2026h1", index)));
  const query = asking(patient);
  expect((await pages(query, undefined, shelfDesk())).map((page) => page.length)).toEqual([20, 20, 5]);
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const half = ownLog().split("-")[1] ?? "";
  const records = (
    await Promise.all(Array.from({ length: 64 }, (_, i) => openAll(`s${i}-${half}`, auditor)))
  ).flat();
  const lookUps = records.filter(
    (record) => record?.event.kind === "accounting" && record.event.patients[0]?.patient === patient,
  );
  const places = lookUps.map(
    (record) =>
      record?.event.what?.parameters?.map(([name, value]) => `${name}=${value.replaceAll(" ", "")}`).join() ??
      "",
  );
  expect(places.toSorted()).toEqual(["", "after=s1-2026h1/20/-1", "after=s1-2026h1/40/-1"]);
  const unrecorded = new AccountingDesk(
    {
      ...ledger,
      LEDGER_SHARD: { getByName: () => ({ appendText: () => Promise.reject(new Error("down")) }) } as never,
    },
    clock,
  );
  expect(
    await failure(() => unrecorded.linesOf({ ...query, after: { log: "s1-2026h1", index: 19, line: 0 } })),
  ).toBe("down");
});

test("lines that are excluded, outside the time, or not requested are left out before counting: pages are full", async ({
  expect,
}) => {
  const patient = `main/Patient/${newId()}`;
  const at = (index: number) => instant(Date.UTC(2026, 6, 1) + index * 1_000);
  const line = (index: number) =>
    shelved(patient, "s1-2026h2", index, {
      ...disclosed(patient, index % 5 === 0 ? "agency" : "telehealth", index % 5 === 0 ? "PUBHLTH" : "TREAT"),
      at: at(index),
    });
  await shelfFor(patient).put(Array.from({ length: 200 }, (_, index) => line(index)));
  const sizes = async (changes: Partial<LinesRequest>) =>
    (await pages(asking(patient, changes), undefined, shelfDesk())).map((page) => page.length);
  expect(await sizes({ excluded: {} })).toEqual([20, 20]);
  expect(await sizes({ recipient: "agency" })).toEqual([20, 20]);
  expect(await sizes({ purpose: "PUBHLTH", count: 39 })).toEqual([39, 1]);
  expect(await sizes({ from: at(10), to: at(30) })).toEqual([20, 1]);
  expect(await sizes({ from: at(10), to: at(30), excluded: {} })).toEqual([5]);
  expect(await sizes({ from: at(10.5), to: at(10.9) })).toEqual([0]);
});

test("a page reads no more rows than its limit, and the next page goes on behind them", async ({
  expect,
}) => {
  const patient = `main/Patient/${newId()}`;
  const line = (index: number) =>
    shelved(patient, "s1-2026h1", index, disclosed(patient, "a", index % 100 === 99 ? "PUBHLTH" : "TREAT"));
  await shelfFor(patient).put(Array.from({ length: 400 }, (_, index) => line(index)));
  const all = await pages(asking(patient, { excluded: {} }), undefined, shelfDesk(150));
  expect(all.map((page) => page.map(({ index }) => index))).toEqual(
    [[99], [199, 299], [399]].map((page) => page),
  );
});

test(
  "a page ends where its proofs have no more room, and none is lost",
  { timeout: 120_000 },
  async ({ expect }) => {
    const log = ownLog();
    const patient = `main/Patient/${newId()}`;
    const paths = Array.from({ length: 500 }, (_, i) => `Patient.extension.${"x".repeat(70)}${i}`);
    const wide = (): AuditEvent => ({ ...disclosed(patient), withheld: { paths } }); // a leaf of 64 KiB
    for (let i = 0; i < 7; i++) await shard(log).append(Array.from({ length: 10 }, wide));
    const query = asking(patient, { count: 1_000 });
    const all = await pages(query);
    expect(all.length).toBeGreaterThan(1);
    const bytes = all.map((page) =>
      page.reduce((sum, { proven }) => sum + (proven?.leaf.length ?? 0) + (proven?.note.length ?? 0), 0),
    );
    expect(Math.max(...bytes)).toBeLessThanOrEqual(3_145_728);
    expect(new Set(places(all)).size).toBe(70);
    expect(all.flat().every(({ proven }) => proven !== undefined)).toBe(true);
  },
);

test("lines of several records of one individual are merged, and a fault on one page loses no line of the next", async ({
  expect,
}) => {
  const patients = Array.from({ length: 3 }, () => `main/Patient/${newId()}`);
  for (const [i, patient] of patients.entries())
    await shelfFor(patient).put(
      Array.from({ length: 30 }, (_, index) => shelved(patient, `s${i % 2}-2026h1`, 3 * index + i)),
    );
  let calls = 0;
  const flaky = {
    getByName: (name: string) => {
      calls += 1;
      if (calls % 11 === 0) throw new Error("made to fail by the test");
      return ledger.ACCOUNTING_SHELF.getByName(name);
    },
  };
  const flakyDesk = new AccountingDesk({ ...small, ACCOUNTING_SHELF: flaky as never }, clock, {
    checkpointMs: 0,
  });
  const query = asking(patients[0] ?? "", { patients });
  const shown: string[] = [];
  let faults = 0;
  for (let after: LinePlace | undefined, isDone = false; !isDone && faults < 20;) {
    try {
      const page = await flakyDesk.linesOf({ ...query, after, caller: { ...query.caller, id: newId() } });
      shown.push(...page.lines.toSorted(comparePlaces).map(placeText));
      after = page.next;
      isDone = after === undefined;
    } catch {
      faults += 1;
    }
  }
  expect(faults).toBeGreaterThan(0);
  expect(shown).toHaveLength(90);
  expect(new Set(shown).size).toBe(90);
});

test("sums give the first, the number and the last line of each recipient and purpose of each record, once on a page, without proofs", async ({
  expect,
}) => {
  const patient = `main/Patient/${newId()}`;
  const at = (index: number) => instant(Date.UTC(2026, 6, 1) + index * 1_000);
  const event = (index: number) => ({
    ...disclosed(patient, index < 50 ? "a" : "b", "PUBHLTH"),
    at: at(index),
  });
  await shelfFor(patient).put(
    Array.from({ length: 60 }, (_, index) => shelved(patient, "s1-2026h2", index, event(index))),
  );
  const [page = [], ...more] = await pages(asking(patient, { summed: true }), undefined, shelfDesk());
  expect(more).toEqual([]);
  expect(page.map((line) => [readLine(line.content)?.recipient, line.index, line.sum, line.proven])).toEqual([
    [
      "a",
      0,
      {
        number: 50,
        last: { log: "s1-2026h2", index: 49, line: 0, at: at(49) },
        counts: { Observation: 100 },
      },
      undefined,
    ],
    [
      "b",
      50,
      { number: 10, last: { log: "s1-2026h2", index: 59, line: 0, at: at(59) }, counts: { Observation: 20 } },
      undefined,
    ],
  ]);
  const parts = await pages(asking(patient, { summed: true }), undefined, shelfDesk(40));
  expect(
    parts.map((one) => one.map((line) => [readLine(line.content)?.recipient, line.sum?.number])),
  ).toEqual([
    [["a", 40]],
    [
      ["a", 10],
      ["b", 10],
    ],
  ]);
});

test("a page of no lines, of too many, or for no patient is refused", async ({ expect }) => {
  for (const changes of [{ count: 0 }, { count: 1_001 }, { count: 1.5 }, { patients: [] }])
    expect(await failure(() => desk.linesOf(asking("main/Patient/1", changes)))).toContain("accounting: ");
});
