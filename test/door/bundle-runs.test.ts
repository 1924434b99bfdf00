import { afterEach, beforeEach, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import type { AskedRun, BundleTry, RunProgress } from "#limits/bundle-run";
import { ClientExports } from "#platform/exports/object/client-exports";
import { ObjectNamespace } from "../support/in-process/durable-objects.ts";

// The object that stores the bundles of a client and tries them. Each alarm is rung by the test.

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: Date.now() }));
afterEach(() => void vi.useRealTimers());

interface Tried {
  readonly id: string;
  readonly stored: string;
  readonly body: string;
  readonly number: number;
}
interface Runs {
  keepExport(id: string, expires: number, text: string, body?: string): Promise<{ readonly ok: boolean }>;
  endExport(id: string): Promise<void>;
  askRun(id: string): Promise<AskedRun | undefined>;
  runOf(id: string): Promise<RunProgress | null>;
}

const answer: BundleTry = { kind: "done", answer: "{}" };

/** The object of a client. `act` is a try. */
function openRuns(act: (tried: Tried) => Promise<BundleTry> = async () => answer) {
  const [tried, ended]: [Tried[], string[]] = [[], []];
  const key = Buffer.alloc(32, 7).toString("base64url");
  class Tested extends ClientExports {
    protected override readonly tryBundle: ClientExports["tryBundle"] = async (id, stored, body, number) => {
      tried.push({ id, stored, body, number });
      return act({ id, stored, body, number });
    };
    protected override readonly endBundle: ClientExports["endBundle"] = async (stored) =>
      void ended.push(stored);
  }
  const namespace = new ObjectNamespace(Tested, () => ({ CODES_KEY: key }), "asked");
  const runs = namespace.getByName("payer") as Runs;
  const sql = namespace.storageOf("payer");
  const rows = (table: string) => sql.exec(`SELECT * FROM ${table}`).toArray();
  return {
    tried,
    ended,
    runs,
    sql,
    rows,
    ring: () => namespace.ringAlarms(),
    keep: (id: string, body: string) =>
      runs.keepExport(id, instant(Date.now() + 86_400_000), `stored ${id}`, body),
    later: (seconds: number) => {
      vi.setSystemTime(Date.now() + seconds * 1_000);
      return namespace.ringAlarms();
    },
  };
}

test("a body of several pieces arrives as it was, nothing of it rests in the clear, and it is deleted once it is done", async ({
  expect,
}) => {
  const { keep, ring, tried, rows, runs, ended } = openRuns();
  // a character of two units across the end of the first piece, and one across the second
  const body = `${"a".repeat(399_999)}\u{1F600}${"amara ".repeat(66_666)}\u{1F600}\u{1F600}`;
  await keep("one", body);
  expect(rows("texts").length).toBeGreaterThan(2);
  expect(JSON.stringify(rows("texts"))).not.toContain("amara");
  expect(await runs.runOf("one")).toEqual({ state: "waits", tries: 0, reason: null });
  await ring();
  expect(tried).toEqual([{ id: "one", stored: "stored one", body, number: 1 }]);
  expect(rows("texts")).toMatchObject([{ export: "one", kind: "answer", piece: 0 }]);
  expect(await runs.askRun("one")).toEqual(answer);
  expect(await runs.runOf("one")).toEqual({ state: "done", tries: 1, reason: null });
  expect(ended).toEqual(["stored one"]);
  await ring();
  expect(tried).toHaveLength(1);
});

test("a sealed piece does not open in another row: its bundle is not tried, and its answer does not leave", async ({
  expect,
}) => {
  const { keep, ring, tried, sql, runs } = openRuns(async ({ id }) => ({ kind: "done", answer: id }));
  await keep("mine", "my body");
  await keep("other", "another body");
  const move = "UPDATE texts SET box = (SELECT box FROM texts WHERE export = 'other') WHERE export = 'mine'";
  sql.exec(move);
  await ring();
  await ring();
  expect(tried.map(({ id }) => id)).toEqual(["other"]);
  expect(await runs.askRun("mine")).toBeUndefined();
  await keep("third", "a body");
  await ring();
  expect(await runs.askRun("third")).toEqual({ kind: "done", answer: "third" });
  sql.exec(move.replace("'mine'", "'third'"));
  expect(await runs.askRun("third")).toBeUndefined();
  sql.exec("UPDATE texts SET kind = 'body' WHERE export = 'other'");
  sql.exec("UPDATE runs SET due = 0 WHERE export = 'other'");
  await runs.keepExport("fourth", instant(Date.now() + 60_000), "stored", "wakes");
  await ring();
  expect(tried.filter(({ id }) => id === "other")).toHaveLength(1);
});

test("a bundle that is deleted before its first try is never tried, and its authority ends", async ({
  expect,
}) => {
  const { keep, later, tried, ended, rows, runs } = openRuns();
  await keep("gone", "body");
  await runs.endExport("gone");
  await later(60);
  expect([tried, ended]).toEqual([[], ["stored gone"]]);
  for (const table of ["exports", "runs", "texts"]) expect(rows(table)).toEqual([]);
});

test("the answer of a try that ends after the delete is not kept", async ({ expect }) => {
  const { keep, ring, rows, runs, tried } = openRuns(async ({ id }) => {
    await runs.endExport(id);
    return answer;
  });
  await keep("gone", "body");
  await ring();
  expect(tried).toHaveLength(1);
  for (const table of ["exports", "runs", "texts"]) expect(rows(table)).toEqual([]);
});

test("a try that does not come to its end is repeated ten seconds later, under the next number", async ({
  expect,
}) => {
  let isBroken = true;
  const { keep, later, ring, tried, runs } = openRuns(async () => {
    if (isBroken) throw new Error("the machine is lost");
    return answer;
  });
  await keep("one", "body");
  await ring();
  expect(await later(9)).toBe(0);
  isBroken = false;
  await later(2);
  expect(tried.map(({ number }) => number)).toEqual([1, 2]);
  expect(await runs.askRun("one")).toEqual(answer);
});

test("a refusal that passes is tried again after its time, and other bundles go on meanwhile", async ({
  expect,
}) => {
  const { keep, later, ring, tried, runs } = openRuns(async ({ id, number }) =>
    id === "waits" && number === 1 ? { kind: "again", reason: "origin_throttled", seconds: 30 } : answer,
  );
  await keep("waits", "body");
  await ring();
  expect(await runs.runOf("waits")).toEqual({ state: "waits", tries: 1, reason: "origin_throttled" });
  await keep("next", "body");
  await ring();
  expect(await runs.askRun("next")).toEqual(answer);
  await later(29);
  expect(tried.map(({ id }) => id)).toEqual(["waits", "next"]);
  await later(2);
  expect(await runs.askRun("waits")).toEqual(answer);
});

test("a client that asks twice in a second asks too early, also when the clock is set back", async ({
  expect,
}) => {
  const { keep, runs } = openRuns();
  await keep("one", "body");
  expect(await runs.askRun("one")).toEqual({ kind: "waits", tries: 0 });
  expect(await runs.askRun("one")).toEqual({ kind: "early" });
  vi.setSystemTime(Date.now() - 3_600_000);
  expect(await runs.askRun("one")).toEqual({ kind: "waits", tries: 0 });
  vi.setSystemTime(Date.now() + 1_000);
  expect(await runs.askRun("one")).toEqual({ kind: "waits", tries: 0 });
});

test("an answer is gone after its day", async ({ expect }) => {
  const { keep, ring, later, rows, runs } = openRuns();
  await keep("one", "body");
  await ring();
  await later(86_400);
  expect(await runs.askRun("one")).toBeUndefined();
  for (const table of ["exports", "runs", "texts"]) expect(rows(table)).toEqual([]);
});
