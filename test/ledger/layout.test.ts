import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { instant } from "#kernel/clock";
import type { Region } from "#kernel/region";
import {
  keyLayout,
  layoutWithoutRegions,
  type LedgerLayout,
  namedRegions,
  readLayout,
  regionOfLog,
} from "#ledger/layout";
import { parseLogName } from "#ledger/log-name";
import { chooseLog, logOf, otherLogs, type Sender } from "#ledger/shard-choice";

const at = (text: string) => instant(Date.parse(text));
const now = at("2026-11-24T12:00:00Z");
const idOf = (i: number) => createHash("sha256").update(`request ${i}`).digest("hex").slice(0, 32);
function layout(text: string, shards = 8): LedgerLayout {
  const read = readLayout(text, shards);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}
const shards = (count: number, sender: (i: number) => Sender, where: LedgerLayout, when = now) => {
  const found = Array.from(
    { length: count },
    (_, i) => parseLogName(chooseLog(sender(i), where, when))?.shard ?? -1,
  );
  return [...new Set(found)].toSorted((a, b) => a - b);
};
const client =
  (facts: Partial<Sender & { kind: "client" }> = {}) =>
  (i: number): Sender => ({ kind: "client", client: "app", turn: idOf(i), spread: 99, ...facts });
const key =
  (home?: Region) =>
  (i: number): Sender => ({ kind: "key", jkt: `key-${i}`, home });

test("a shard's region follows from its number, in the order of the list", () => {
  const where = layout("weur:2 enam:3 apac:3");
  const regions = Array.from({ length: 8 }, (_, shard) => regionOfLog(`s${shard}-2026h2`, where));
  expect(regions).toEqual(["weur", "weur", "enam", "enam", "enam", "apac", "apac", "apac"]);
  expect(regionOfLog("s8-2026h2", where)).toBeUndefined();
  expect(regionOfLog("root", where)).toBe("weur");
  expect(regionOfLog("root", layoutWithoutRegions(8))).toBeUndefined();
});

test.for([
  ["weur:2 enam:1", "sum to LEDGER_SHARDS"],
  ["weur:4 enam:5", "sum to LEDGER_SHARDS"],
  ["weur:4 moon:4", "location hints"],
  ["weur:4 weur:4", "once"],
  ["weur:0 enam:8", "number of shards"],
  ["weur enam:8", "number of shards"],
  ["weur:8,enam:1", "number of shards"],
  ["2026h2", "sum to LEDGER_SHARDS"],
  ["weur:8; enam:8", "half-year"],
  ["2027h1 weur:8; 2026h2 enam:8", "order of time"],
  ["2027h1 weur:8; 2027h1 enam:8", "order of time"],
  ["weur:4; 2027h1 weur:4", "sum to LEDGER_SHARDS"],
  ["weur:8; 2027h1 weur:9", "sum to LEDGER_SHARDS"],
  ["weur:8; 2027h1", "sum to LEDGER_SHARDS"],
  ["weur:8;", "half-year"],
] as const)("LEDGER_REGIONS=%j is refused, and the error says what is expected", ([text, expected]) => {
  const read = readLayout(text, 8);
  expect(read.ok ? "taken" : read.error).toContain(expected);
});

test("an empty text has no regions: each sender has the log that it had before there were regions", () => {
  const [none, text] = [layoutWithoutRegions(16), layout("  ", 16)];
  for (let i = 0; i < 50; i++)
    for (const sender of [client({ continent: "EU", home: "weur" })(i), key("weur")(i)])
      expect(chooseLog(sender, text, now)).toBe(chooseLog(sender, none, now));
  expect(chooseLog({ kind: "key", jkt: "a", home: "weur" }, none, now)).toBe("s8-2026h2");
  expect(chooseLog({ kind: "address", address: "203.0.113.7", continent: "EU" }, none, now)).toBe(
    chooseLog({ kind: "address", address: "203.0.113.7" }, none, now),
  );
});

test("a key stays in its client's home region, wherever it sends from", () => {
  const where = layout("weur:2 enam:3 apac:3");
  expect(shards(200, key("enam"), where)).toEqual([2, 3, 4]);
  expect(shards(200, key("weur"), where)).toEqual([0, 1]);
  // A client without a home, and a home without shards: the same log everywhere all the same.
  for (const home of [undefined, "oc"] as const) expect(shards(400, key(home), where)).toHaveLength(8);
});

test.for([
  ["EU", undefined, [0, 1]],
  ["NA", undefined, [2, 3]],
  ["AS", undefined, [4, 5]],
  ["AF", undefined, [0, 1]], // the nearest region
  ["OC", undefined, [4, 5]],
  ["SA", undefined, [6, 7]],
  ["EU", "enam", [0, 1]], // near the request, not near home
  ["T1", undefined, [0, 1, 2, 3, 4, 5, 6, 7]],
  ["T1", "enam", [2, 3]],
  ["", undefined, [0, 1, 2, 3, 4, 5, 6, 7]],
  ["constructor", undefined, [0, 1, 2, 3, 4, 5, 6, 7]],
] as const)(
  "a request from %s of a client at home in %s goes to the shards %j",
  ([continent, home, expected]) => {
    const where = layout("weur:2 enam:2 apac:2 sam:2");
    expect(shards(300, client({ continent, home }), where)).toEqual(expected);
  },
);

test("two regions on one continent share its requests, except for a client at home in one of them", () => {
  const where = layout("wnam:3 enam:3 me:1 apac:1");
  expect(shards(300, client({ continent: "NA" }), where)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(shards(300, client({ continent: "NA", home: "enam" }), where)).toEqual([3, 4, 5]);
  expect(shards(300, client({ continent: "AS", home: "me" }), where)).toEqual([6]);
});

test("a client has its own shards among those of a region, and a retry meets the same log", () => {
  const where = layout("weur:6 enam:2");
  for (const app of ["a", "b", "c", "d", "e"]) {
    const sender = client({ client: app, spread: 2, continent: "EU" });
    expect(shards(100, sender, where)).toHaveLength(2);
    for (let i = 0; i < 20; i++)
      expect(chooseLog(sender(i), where, now)).toBe(chooseLog(sender(i), where, now));
  }
});

test("the clients of a turn meet in one log if it is their own, and else stay on their own", () => {
  const where = layoutWithoutRegions(4);
  for (let turn = 0; turn < 10; turn++) {
    const logs = (spread: number) =>
      Array.from({ length: 40 }, (_, i) =>
        chooseLog(client({ client: `app-${i}`, turn: idOf(turn), spread })(0), where, now),
      );
    expect(new Set(logs(4)).size).toBe(1);
    const [met = ""] = logs(4);
    // every client whose two shards include the turn's shard is there: half of them
    expect(logs(2).filter((log) => log === met).length).toBeGreaterThan(8);
    for (const [i, log] of logs(2).entries())
      expect(shards(24, client({ client: `app-${i}`, spread: 2 }), where)).toContain(
        parseLogName(log)?.shard,
      );
  }
});

test("a record whose log refuses has its client's further logs, then its region's, then all; a key has none", () => {
  const where = layout("weur:5 enam:3");
  const sender = client({ spread: 2, home: "weur" })(1);
  const first = chooseLog(sender, where, now);
  const others = otherLogs(sender, where, now, 99);
  const ofClient = new Set(
    Array.from({ length: 99 }, (_, i) => logOf(client({ spread: 2, home: "weur" })(i), where, "2026h2")),
  );
  expect([...ofClient]).toHaveLength(2);
  expect(ofClient).toEqual(new Set([first, others[0]]));
  expect(new Set([first, ...others]).size, "each log once").toBe(8);
  const regions = others.map((log) => regionOfLog(log, where));
  expect(regions).toEqual(["weur", "weur", "weur", "weur", "enam", "enam", "enam"]);
  expect(otherLogs(sender, where, now, 3)).toEqual(others.slice(0, 3));
  expect(otherLogs({ kind: "address", address: "192.0.2.1" }, where, now, 99)).toHaveLength(7);
  expect(otherLogs(key("weur")(1), where, now, 99)).toEqual([]);
});

test("turns use all shards alike, however many a client has", () => {
  for (const spread of [1, 2, 3, 8]) {
    const counts = new Map<string, number>();
    for (let i = 0; i < 4_000; i++) {
      const log = chooseLog(client({ client: `app-${i}`, spread })(i), layoutWithoutRegions(8), now);
      counts.set(log, (counts.get(log) ?? 0) + 1);
    }
    expect(counts.size).toBe(8);
    expect(
      [...counts.values()].every((count) => count > 380 && count < 620),
      String([...counts]),
    ).toBe(true);
  }
});

test("turns spread a client evenly over its own shards, without a hash", () => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 4_000; i++) {
    const log = chooseLog(client({ spread: 4 })(i), layoutWithoutRegions(16), now);
    counts.set(log, (counts.get(log) ?? 0) + 1);
  }
  expect(
    [...counts.values()].every((count) => count > 850 && count < 1_150),
    String([...counts]),
  ).toBe(true);
  expect(counts.size).toBe(4);
  expect(() => chooseLog(client({ turn: "not hex" })(0), layoutWithoutRegions(16), now)).toThrow("hex");
});

test("the number of shards changes with a half-year: each period has the shards that its list sums to", () => {
  const where = layout("weur:4; 2027h1 weur:8");
  const [before, after] = [at("2026-12-31T23:59:59Z"), at("2027-01-01T00:00:00Z")];
  const earlier = layout("", 4);
  for (const sender of [key(), key("weur"), key("oc"), client({ continent: "T1" }), client()]) {
    expect(shards(400, sender, where, before)).toEqual([0, 1, 2, 3]);
    expect(shards(400, sender, where, after)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (let i = 0; i < 50; i++)
      expect(chooseLog(sender(i), where, before)).toBe(chooseLog(sender(i), earlier, before));
  }
});

const regionLists = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.shuffledSubarray(["weur", "enam", "apac", "oc"] as const),
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 4, maxLength: 4 }),
  )
  .map(([shards, regions, counts]) => {
    const text = regions.map((region, i) => `${region}:${counts[i] ?? 1}`).join(" ");
    const sum = regions.reduce((all, _, i) => all + (counts[i] ?? 1), 0);
    return layout(text, regions.length === 0 ? shards : sum);
  });

test("two layouts of a half-year have the same text exactly when each key has the same log by both", () => {
  const homes = ["weur", "enam", "apac", "oc", "sam", undefined] as const;
  fc.assert(
    fc.property(regionLists, regionLists, (one, two) => {
      const logs = (where: LedgerLayout) =>
        homes.flatMap((home) => Array.from({ length: 60 }, (_, i) => chooseLog(key(home)(i), where, now)));
      const isSame = logs(one).join() === logs(two).join();
      expect(keyLayout(one, "2026h2") === keyLayout(two, "2026h2")).toBe(isSame);
    }),
    { numRuns: 400 },
  );
});

test.for([
  ["weur:2 enam:6", "2027h1 weur:2 enam:6", "2027h1", true], // the present period alone counts
  ["weur:2 enam:6", "weur:2 enam:6; 2027h1 weur:6 enam:2", "2026h2", true],
  ["weur:2 enam:6", "weur:2 enam:6; 2027h1 weur:6 enam:2", "2027h1", false],
  ["weur:4 enam:4; 2026h1 weur:2 enam:6", "weur:2 enam:6", "2026h2", true],
  ["  weur:2   enam:6 ", "weur:2 enam:6", "2026h2", true],
  ["", "weur:8", "2026h2", true], // each key has the choice among all shards
  ["weur:8", "enam:8", "2026h2", true],
  ["", "weur:2 enam:6", "2026h2", false],
  ["weur:2 enam:6", "enam:6 weur:2", "2026h2", false],
  ["weur:2 enam:6", "weur:3 enam:5", "2026h2", false],
  ["weur:2 enam:6", "weur:2 apac:6", "2026h2", false],
  ["2027h1 weur:2 enam:6", "weur:2 enam:6", "2026h2", false],
  ["weur:8; 2027h1 weur:4", "", "2026h2", true],
  ["weur:8; 2027h1 weur:4", "", "2027h1", false],
  ["weur:4; 2027h1 weur:8", "weur:8", "2027h1", true],
] as const)("LEDGER_REGIONS %j and %j have one text in %s: %s", ([one, two, halfYear, isSame]) => {
  expect(keyLayout(layout(one), halfYear) === keyLayout(layout(two), halfYear)).toBe(isSame);
});

test("a changed list begins with a half-year, and logs of before stay where they are", () => {
  const where = layout("weur:4 enam:4; 2027h1 enam:2 weur:6");
  expect(regionOfLog("s3-2026h2", where)).toBe("weur");
  expect(regionOfLog("s3-2027h1", where)).toBe("weur");
  expect(regionOfLog("s1-2026h2", where)).toBe("weur");
  expect(regionOfLog("s1-2027h1", where)).toBe("enam");
  const [before, after] = [at("2026-12-31T23:59:59Z"), at("2027-01-01T00:00:00Z")];
  expect(shards(200, key("enam"), where, before)).toEqual([4, 5, 6, 7]);
  expect(shards(200, key("enam"), where, after)).toEqual([0, 1]);
  const sender = key("enam")(1);
  expect(logOf(sender, where, "2026h2")).toBe(chooseLog(sender, where, before));
  const later = layout("2027h1 weur:8");
  expect(regionOfLog("s1-2026h2", later)).toBeUndefined();
  expect(shards(400, key("weur"), later, before)).toHaveLength(8);
  expect([...namedRegions("weur:4 apac-ne:4; 2027h1 enam:2 weur:6")]).toEqual(["weur", "apac-ne", "enam"]);
  expect(namedRegions("").size).toBe(0);
});
