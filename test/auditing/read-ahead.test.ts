import { test } from "vitest";
import { joinFrames, rangesText, readRanges } from "#ledger/frame-copies";
import { readAhead } from "#auditing/read-ahead";
import { verifyLog } from "#ledger/verify";
import { utf8 } from "#kernel/encoded";
import { sampleLog, type SampleLog, withObject } from "../ledger/sample-log.ts";

const log = await sampleLog(Array.from({ length: 12 }, (_, i) => 40 + i));
const frame = (n: number): Uint8Array => log.objects.get(`frame/${n}`) ?? new Uint8Array();
const joined = (first: number, last: number): Uint8Array =>
  joinFrames(Array.from({ length: last - first + 1 }, (_, i) => frame(first + i)));
/** Frames 0 to 9 are copied in two objects; 10 and 11 are not. */
const copied: SampleLog = {
  ...log,
  objects: new Map([...log.objects, ["frames/0-4", joined(0, 4)], ["frames/5-9", joined(5, 9)]]),
};
const list = [
  { first: 0, last: 4 },
  { first: 5, last: 9 },
];

/** Checks a log as it is served, and notes each path that was asked for. */
async function check(
  served: SampleLog,
  ranges: readonly { first: number; last: number }[] | undefined = list,
) {
  const asked: string[] = [];
  let [now, most] = [0, 0];
  const reader = readAhead(async (path) => {
    asked.push(path);
    most = Math.max(most, ++now);
    await new Promise((done) => setTimeout(done, 1));
    now--;
    const from = /^frames\/from\/(\d+)$/u.exec(path)?.[1];
    if (from === undefined) return served.objects.get(path);
    return ranges && utf8(rangesText(ranges.filter(({ last }) => last >= Number(from))));
  });
  const result = await verifyLog(reader, log.verifier);
  return {
    asked,
    most,
    result,
    wrong: result.ok ? undefined : `${result.error.object}: ${result.error.problem}`,
  };
}

test("a check reads joined frames where the log has them and single frames after them, several at a time", async ({
  expect,
}) => {
  const { asked, most, wrong } = await check(copied);
  expect(wrong).toBeUndefined();
  expect(asked.filter((path) => path.startsWith("frame")).sort()).toEqual([
    "frame/10",
    "frame/11",
    "frames/0-4",
    "frames/5-9",
    "frames/from/0",
  ]);
  expect(most).toBeGreaterThan(2);
});

test("a ledger without joined frames, or with a list that lies, is read whole all the same", async ({
  expect,
}) => {
  for (const ranges of [
    undefined,
    [],
    [{ first: 5, last: 9 }],
    list.slice(0, 1),
    list.toReversed(),
    [...list.slice(0, 1), { first: 7, last: 9 }],
    [{ first: 0, last: 1_000_000_000 }], // an object that is not there
    [{ first: 0, last: 0 }, ...list],
  ])
    expect((await check(copied, ranges)).wrong, JSON.stringify(ranges)).toBeUndefined();
});

test("joined frames that were changed, cut, reordered, exchanged or emptied are found, and a frame of them named", async ({
  expect,
}) => {
  const good = joined(0, 4);
  const flipped = Uint8Array.from(good);
  flipped[good.length - 20] = (flipped[good.length - 20] ?? 0) ^ 1;
  const tampered: Record<string, Uint8Array> = {
    flipped,
    cut: good.subarray(0, -1),
    short: joined(0, 3),
    reordered: joinFrames([0, 2, 1, 3, 4].map(frame)),
    exchanged: joined(5, 9),
    empty: new Uint8Array(),
    bare: utf8("PXC1"),
  };
  for (const [name, bytes] of Object.entries(tampered))
    expect((await check(withObject(copied, "frames/0-4", bytes))).wrong, name).toMatch(/^frame\/[0-4]: /u);
});

test("an object of joined frames that is absent is read frame by frame; a frame that is absent too is missing", async ({
  expect,
}) => {
  const without = withObject(copied, "frames/5-9", undefined);
  expect((await check(without)).wrong).toBeUndefined();
  expect((await check(withObject(without, "frame/7", undefined))).wrong).toBe("frame/7: is missing");
});

test("a list of joined frames is read in one spelling, and has at most 1,000 lines", ({ expect }) => {
  expect(readRanges(utf8("0-4\n5-9\n"))).toEqual(list);
  expect(readRanges(new Uint8Array())).toEqual([]);
  for (const bad of ["0-4", "0-4\n\n", "4-0\n", "00-4\n", "0-4 \n", "0-4\r\n", "0-\n"])
    expect(readRanges(utf8(bad)), JSON.stringify(bad)).toBeUndefined();
  expect(readRanges(utf8("0-0\n".repeat(1001)))).toBeUndefined();
});
