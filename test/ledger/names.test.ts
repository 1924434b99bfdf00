import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { addressPath, readAddress } from "#ledger/address";
import { halfYearOf, isOpenLog, logName, openHalfYears, openLogs, parseLogName } from "#ledger/log-name";
import { formatReceipt } from "#ledger/receipt";
import { parseReceipt } from "#ledger/read-receipt";
import { addressPrefix } from "#kernel/address-prefix";
import { layoutWithoutRegions } from "#ledger/layout";
import { chooseLog } from "#ledger/shard-choice";
import { parseTilePath, tilePath } from "#ledger/tlog/tile";

const at = (text: string) => instant(Date.parse(text));

test("a log is named by shard and half-year in UTC, in a single spelling", ({ expect }) => {
  expect(logName({ shard: 3, halfYear: halfYearOf(at("2026-06-30T23:59:59.999Z")) })).toBe("s3-2026h1");
  expect(halfYearOf(at("2026-07-01T00:00:00Z"))).toBe("2026h2");
  expect(parseLogName("s12-2026h2")).toEqual({ shard: 12, halfYear: "2026h2" });
  for (const bad of [
    "",
    "s01-2026h2",
    "s1-2026h3",
    "s-2026h1",
    "s1-26h1",
    "S1-2026h1",
    "s1-2026h1 ",
    "s1-2026h1/x",
    "s123456-2026h1",
  ]) {
    expect(parseLogName(bad), bad).toBeUndefined();
  }
});

test("a log takes records in its half-year and 130 s around it, and only below the number of shards", ({
  expect,
}) => {
  const open = (log: string, now: string): boolean => isOpenLog(log, 4, at(now));
  expect(open("s3-2026h2", "2026-11-24T12:00:00Z")).toBe(true);
  expect(open("s4-2026h2", "2026-11-24T12:00:00Z")).toBe(false);
  expect(open("s0-2026h1", "2026-07-01T00:02:09Z")).toBe(true);
  expect(open("s0-2026h1", "2026-07-01T00:02:11Z")).toBe(false);
  expect(open("s0-2027h1", "2026-12-31T23:57:51Z")).toBe(true);
  expect(open("s0-2027h1", "2026-12-31T23:57:49Z")).toBe(false);
  const halfYears = fc.tuple(fc.integer({ min: 2020, max: 2040 }), fc.constantFrom(1, 2));
  fc.assert(
    fc.property(
      halfYears,
      fc.constantFrom(0, 6),
      fc.integer({ min: -130_003, max: 130_003 }),
      ([year, half], month, off) => {
        const now = instant(Date.UTC(year, month) + off);
        for (const name of [`${year}h${half}`, `${year - 1}h2`])
          expect(isOpenLog(`s0-${name}`, 4, now)).toBe(openHalfYears(now).includes(name));
      },
    ),
    {
      numRuns: 300,
      examples: [
        [[2026, 2], 6, -130_000],
        [[2026, 2], 6, -130_001],
        [[2026, 1], 6, 129_999],
        [[2026, 1], 6, 130_000],
      ],
    },
  );
  expect(openLogs(2, at("2026-06-30T23:59:00Z"))).toEqual([
    "s0-2026h1",
    "s1-2026h1",
    "s0-2026h2",
    "s1-2026h2",
  ]);
});

test("the choice of a log is equal everywhere, keeps a key on one log, and spreads a client over its own shards", ({
  expect,
}) => {
  const now = at("2026-11-24T12:00:00Z");
  const sixteen = layoutWithoutRegions(16);
  const idOf = (i: number) => createHash("sha256").update(`request ${i}`).digest("hex");
  const logs = (count: number, log: (i: number) => string) =>
    new Set(Array.from({ length: count }, (_, i) => log(i)));
  const client = (spread: number) => (i: number) =>
    chooseLog({ kind: "client", client: "telehealth", turn: idOf(i), spread }, sixteen, now);
  expect(logs(200, client(1)).size).toBe(1);
  expect(logs(200, client(3)).size).toBe(3);
  expect(logs(2000, client(99)).size).toBe(16);
  expect(
    logs(50, () =>
      chooseLog({ kind: "key", jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }, sixteen, now),
    ).size,
  ).toBe(1);
  expect(logs(256, (i) => chooseLog({ kind: "address", address: `203.0.113.${i}` }, sixteen, now)).size).toBe(
    1,
  );
  expect(logs(256, (i) => chooseLog({ kind: "address", address: `203.0.${i}.1` }, sixteen, now)).size).toBe(
    16,
  );
  // Frozen: a gateway and a shard of different versions must agree. SHA-256("key" ‖ 00 ‖ "a"), first four
  // bytes, mod 16.
  expect(chooseLog({ kind: "key", jkt: "a" }, sixteen, now)).toBe("s8-2026h2");
});

test("an address prefix is a /24 or a /48 in a single spelling", ({ expect }) => {
  expect(addressPrefix("203.0.113.77")).toBe("203.0.113");
  for (const same of ["2001:db8:0:1::1", "2001:0DB8::7", "2001:db8:0:0:0:0:0:1", "2001:db8::"])
    expect(addressPrefix(same), same).toBe("2001:db8:0");
  expect(addressPrefix("::1")).toBe("0:0:0");
  expect(addressPrefix("")).toBe("");
});

test("tile paths are the paths of C2SP tlog-tiles, each in a single spelling", ({ expect }) => {
  expect(tilePath(1_234_067, 256)).toBe("x001/x234/067");
  expect(tilePath(0, 112)).toBe("000.p/112");
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (index, width) => {
      expect(parseTilePath(tilePath(index, width))).toEqual({ index, width });
    }),
  );
  for (const bad of [
    "",
    "0",
    "0000",
    "x000/000",
    "1234",
    "x001",
    "001/x002",
    "000.p/0",
    "000.p/01",
    "000.p/256",
    "000.p/",
    "000.p/1/",
    "%30%30%30",
  ]) {
    expect(parseTilePath(bad), bad).toBeUndefined();
  }
});

test("addresses are read in a single spelling, and an invalid address is malformed or unknown", ({
  expect,
}) => {
  expect(readAddress("/s0-2026h2/checkpoint")).toEqual({
    ok: true,
    value: { log: "s0-2026h2", kind: "checkpoint" },
  });
  expect(readAddress("/s0-2026h2/tile/2/x001/002.p/3")).toEqual({
    ok: true,
    value: { log: "s0-2026h2", kind: "tile", level: 2, index: 1002, width: 3 },
  });
  expect(readAddress("/s0-2026h2/tile/entries/000")).toEqual({
    ok: true,
    value: { log: "s0-2026h2", kind: "entries", index: 0, width: 256 },
  });
  expect(readAddress("/s0-2026h2/frame/0")).toEqual({
    ok: true,
    value: { log: "s0-2026h2", kind: "frame", number: 0 },
  });
  expect(readAddress("/s0-2026h2/proof/42")).toEqual({
    ok: true,
    value: { log: "s0-2026h2", kind: "proof", index: 42 },
  });
  for (const path of [
    "checkpoint",
    "tile/2/x001/002.p/3",
    "tile/0/000",
    "tile/entries/000",
    "frame/0",
    "frames/0-0",
    "frames/12-340",
    "frames/from/7",
    "proof/42",
  ]) {
    const read = readAddress(`/s0-2026h2/${path}`);
    expect(read.ok && addressPath(read.value)).toBe(`s0-2026h2/${path}`);
  }
  for (const bad of [
    "/s0-2026h2/tile/64/000",
    "/s0-2026h2/tile/x/000",
    "/s0-2026h2/tile",
    "/s0-2026h2/frame/",
    "/s0-2026h2/frame/1/2",
    "/s0-2026h2/proof/1e3",
    "/s0-2026h2/frames",
    "/s0-2026h2/frames/7",
    "/s0-2026h2/frames/2-1",
    "/s0-2026h2/frames/01-2",
    "/s0-2026h2/frames/1-2-3",
    "/s0-2026h2/frames/from/",
    "/s0-2026h2/frames/from/1/2",
  ]) {
    expect(readAddress(bad), bad).toEqual({ ok: false, error: "malformed_address" });
  }
  for (const none of [
    "/",
    "",
    "/s0-2026h2",
    "/s0-2026h2/",
    "/s0-2026h2/checkpoint/",
    "/s0-2026h2/lines",
    "/x/checkpoint",
    "//s0-2026h2/checkpoint",
  ]) {
    expect(readAddress(none), none).toEqual({ ok: false, error: "no_such_address" });
  }
});

test("a receipt with a proof reads back with it; a proof that is no byte string in base64 makes it none", ({
  expect,
}) => {
  const receipt = {
    log: "s0-2026h2",
    index: 42,
    leafHash: new Uint8Array(32),
    frameHash: new Uint8Array(32),
    proof: Uint8Array.of(1, 2, 3),
  };
  const text = formatReceipt(receipt);
  expect(text).toMatch(/:, proof=:AQID:$/u);
  expect(parseReceipt(`${text}, later=1`)).toEqual({ ok: true, value: receipt });
  expect(parseReceipt(text.replace("AQID", "AQI"))).toEqual({ ok: false, error: "bad_receipt" });
});

test("a receipt reads back as it was written, and no further text is a receipt", ({ expect }) => {
  const receipt = {
    log: "s0-2026h2",
    index: 42,
    leafHash: new Uint8Array(32).fill(1),
    frameHash: new Uint8Array(32).fill(2),
  };
  const text = formatReceipt(receipt);
  expect(text).toBe(
    'log="s0-2026h2", index=42, leaf=:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=:, frame=:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=:',
  );
  expect(parseReceipt(text)).toEqual({ ok: true, value: receipt });
  expect(parseReceipt(text.replaceAll(", ", ","))).toEqual({ ok: true, value: receipt });
  for (const further of [
    "x=1",
    "flag",
    "flag;a=1; b",
    'later="a, \\"b\\", index=7"',
    'root=:AQE=:;n=2, size=-1.5, w=(a "b";q=?0 :AA==:);p=*t/x',
    "a=()",
    "indexes=7, frame2=?1",
  ]) {
    expect(parseReceipt(`${text}, ${further}`), further).toEqual({ ok: true, value: receipt });
  }
  for (const bad of [
    "",
    text.replace("42", "-1"),
    text.replace("42", "1.5"),
    text.replace("s0", "../s0"),
    text.replace("AQE=", "AQF="),
    `${text},`,
    `${text} x=1`,
    `${text}, X=1`,
    `${text}, x=`,
    `${text}, x="a`,
    `${text}, x=1, index=7`,
    `${text}, x=1, frame`,
    `x=1, ${text}`,
    text.replace("42", "1000000000000000"),
    text.slice(0, -1),
  ]) {
    expect(parseReceipt(bad), bad).toEqual({ ok: false, error: "bad_receipt" });
  }
});
