import { afterAll, afterEach, beforeAll, beforeEach, test, vi } from "vitest";
import { breakLedger } from "../support/shards.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

/*
 * A log that refuses stops nobody who may use a different log: its storage is lost, or a write into it fails. Only
 * a key (DPoP) needs its own log.
 */

let door: Door;
beforeAll(async () => {
  door = await startDoor({ alarms: "asked" });
}, 60_000);
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(() => door.close());

const pass = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);
/** Reads a third of a second apart: they meet each of the four logs (ADR 72). */
async function statuses(times: number): Promise<Readonly<Record<number, number>>> {
  const seen: Record<number, number> = {};
  logs.clear();
  for (let time = 0; time < times; time++) {
    pass(333);
    const { status, headers } = await door.ask("telehealth", "Patient/amara-okafor");
    seen[status] = (seen[status] ?? 0) + 1;
    logs.add(/log="(?<log>[^"]+)"/u.exec(String(headers["phylax-receipt"]))?.groups?.["log"] ?? "none");
  }
  return seen;
}
/** The logs of the receipts of the last reads. */
const logs = new Set<string>();
const isHere = (log: string) => log.startsWith("s2-");
const oneLog = () => Object.keys(door.dev.logs).find(isHere) ?? "";

test("one log's storage is lost: each read is answered and on record, and `/readyz` shows the log", async ({
  expect,
}) => {
  vi.spyOn(console, "error").mockReturnValue();
  expect(await statuses(30)).toEqual({ 200: 30 });
  pass(61_000);
  await door.ringAlarms(); // the copy in R2 and the root log have records of each log
  door.loseLog(oneLog());
  expect(await statuses(30)).toEqual({ 200: 30 });
  expect([...logs].toSorted(), "each read has its receipt, from three logs").toEqual(
    Object.keys(door.dev.logs)
      .filter((log) => log !== oneLog())
      .toSorted(),
  );
  const answer = await door.fetch(new Request(`${door.dev.gateway}/readyz`));
  const ready: { logs: Readonly<Record<string, string>> } = await answer.json();
  expect(ready.logs[oneLog()]).toBe("refusing");
});

test("writes into one log fail: each read is answered", async ({ expect }) => {
  const fresh = await startDoor({ alarms: "asked" });
  const of = door;
  try {
    door = fresh;
    door.inEachShard(breakLedger, isHere);
    expect(await statuses(30)).toEqual({ 200: 30 });
  } finally {
    door = of;
    await fresh.close();
  }
});
