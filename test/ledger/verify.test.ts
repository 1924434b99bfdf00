import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { checkpointText, openCheckpoint } from "#ledger/tlog/checkpoint";
import { checkpointOf, commit, emptyHead } from "#ledger/commit";
import { encodeFrame, entry, type Frame, frameHash, parseFrame, splitEntries } from "#ledger/leaf/frame";
import { leafHash } from "#ledger/tlog/merkle";
import { type Claims, verifyLog } from "#ledger/verify";
import { instant } from "#kernel/clock";
import { logOf, origin, readerOf, type SampleLog, sampleLog, signed, withObject } from "./sample-log.ts";

const verify = (log: SampleLog, claims?: Claims) => verifyLog(readerOf(log), log.verifier, claims);
const small = await sampleLog([3, 1, 2, 2]);
const large = await sampleLog([250, 200, 100]);

test("a log verifies with its public key alone: partial tiles, several tiles, sealed", async ({ expect }) => {
  expect(await verify(small)).toMatchObject({ ok: true, value: { size: 11, frames: 4 } });
  expect(await verify(large)).toMatchObject({ ok: true, value: { size: 552, frames: 3 } });
  expect(await verify(await sampleLog([3], { seal: true }))).toMatchObject({
    ok: true,
    value: { size: 256, frames: 2 },
  });
});

test("a missing object is found and named", async ({ expect }) => {
  for (const path of large.objects.keys()) {
    expect(await verify(withObject(large, path, undefined)), path).toEqual({
      ok: false,
      error: expect.objectContaining({ object: path, problem: "is missing" }),
    });
  }
});

test("a log cut back and signed anew by its own operator shows against an earlier checkpoint and a receipt", async ({
  expect,
}) => {
  const before = openCheckpoint(small.objects.get("checkpoint") ?? new Uint8Array(), small.verifier);
  if (!before.ok) return expect.fail(before.error);
  const since = [before.value];
  expect(await verify(small, { since })).toMatchObject({ ok: true });
  const cut = await sampleLog([3, 1]); // shorter
  const grown = await sampleLog([3, 1, 2, 9]); // longer, with a different history
  const merged = await sampleLog([40]); // longer, in fewer frames than the checkpoint has
  for (const [name, log] of Object.entries({ cut, grown, merged })) {
    expect((await verify(log)).ok, name).toBe(true);
    expect((await verify(log, { since })).ok, name).toBe(false);
  }
  const index = 10;
  const receipt = {
    log: "s0-2026h2",
    index,
    leafHash: leafHash(small.leaves[index] ?? new Uint8Array()),
    frameHash: frameHash(small.objects.get("frame/3") ?? new Uint8Array()),
  };
  expect(await verify(small, { receipts: [receipt] })).toMatchObject({ ok: true });
  expect(await verify(cut, { receipts: [receipt] })).toMatchObject({
    ok: false,
    error: { problem: "does not reach the receipt for leaf 10: leaves 6 to 10 are missing" },
  });
  expect(await verify(grown, { receipts: [receipt] })).toMatchObject({
    ok: false,
    error: { problem: "is_not_what_the_receipt_says" },
  });
  const otherFrame = { ...receipt, frameHash: frameHash(small.objects.get("frame/2") ?? new Uint8Array()) };
  expect(await verify(small, { receipts: [otherFrame] })).toMatchObject({
    ok: false,
    error: { problem: "is_not_what_the_receipt_says" },
  });
});

test("wrong statements that the operator signs are found: size, root, frame line, or a missing frame line", async ({
  expect,
}) => {
  const good = checkpointOf(small.head);
  const frame = { number: 3, hash: new Uint8Array(32) };
  const wrong = [
    { ...good, size: good.size - 1 },
    { ...good, size: good.size + 1 },
    { ...good, root: new Uint8Array(32) },
    { ...good, frame },
    { ...good, frame: { number: 2, hash: good.frame?.hash ?? frame.hash } },
    { ...good, frame: { number: 4, hash: good.frame?.hash ?? frame.hash } },
  ];
  for (const checkpoint of wrong) {
    expect(
      (await verify(withObject(small, "checkpoint", signed(checkpointText(checkpoint))))).ok,
      checkpointText(checkpoint),
    ).toBe(false);
  }
  const { origin: name, size, root } = good;
  expect(
    (await verify(withObject(small, "checkpoint", signed(checkpointText({ origin: name, size, root }))))).ok,
  ).toBe(false);
  expect(
    (
      await verify(
        withObject(small, "checkpoint", signed(checkpointText({ ...good, origin: "ledger.test/s1-2026h2" }))),
      )
    ).ok,
  ).toBe(false);
});

test("two earlier checkpoints that name the same frame are both checked, and an empty checkpoint is always extended", async ({
  expect,
}) => {
  const own = checkpointOf(small.head);
  const forged = { ...own, root: new Uint8Array(32) };
  const empty = checkpointOf(emptyHead(origin));
  expect(await verify(small, { since: [empty, own, own] })).toMatchObject({ ok: true });
  expect(await verify(small, { since: [own, forged] })).toMatchObject({
    ok: false,
    error: { object: "frame/3", problem: "does_not_extend_an_earlier_checkpoint" },
  });
});

test("a checkpoint with witnesses' lines and a later version's extension lines verifies all the same", async ({
  expect,
}) => {
  const text = `${checkpointText(checkpointOf(small.head))}later 7 AAAA\n`;
  const cosigned = concat([
    signed(text),
    utf8(`— witness.example/w ${Buffer.alloc(76, 1).toString("base64")}\n`),
  ]);
  expect(await verify(withObject(small, "checkpoint", cosigned))).toMatchObject({ ok: true });
});

test("frames that lie about themselves are found even when the checkpoint signs their hash", async ({
  expect,
}) => {
  const leaves = small.leaves.slice(0, 4);
  const changed = (change: (frame: Frame) => object) => (bytes: Uint8Array) =>
    encodeFrame({ ...readFrame(bytes), ...change(readFrame(bytes)) });
  const readFrame = (bytes: Uint8Array): Frame => {
    const frame = parseFrame(bytes);
    if (!frame.ok) throw new Error(frame.error);
    return frame.value;
  };
  const wrong = {
    frame_of_another_log: changed(() => ({ origin: "ledger.test/s1-2026h2" })),
    frame_number: changed(() => ({ number: 1 })),
    frame_does_not_link_to_the_one_before: changed(() => ({ previous: new Uint8Array(32).fill(1) })),
    frame_first_index: changed(({ leaves }) => ({
      first: 1,
      size: 1 + leaves.length,
      range: [new Uint8Array(32), new Uint8Array(32)],
    })),
    frame_count: changed(({ size }) => ({ size: size + 1, range: [new Uint8Array(32), new Uint8Array(32)] })),
    frame_compact_range: changed(({ range }) => ({ range: range.map(() => new Uint8Array(32)) })),
    frame_time: changed(({ seconds }) => ({ seconds: seconds + 1 })),
    number_too_large: changed(() => ({ number: 2 ** 53 })),
    frame_cut_short: (bytes: Uint8Array) => concat([bytes, Uint8Array.of(0)]),
    "leaf 3 is not the entry in the log": changed(({ leaves }) => ({
      leaves: [...leaves.slice(0, 3), leaves[2]],
    })),
  };
  for (const [problem, frameOf] of Object.entries(wrong)) {
    expect(await verify(logOf(leaves, frameOf)), problem).toMatchObject({
      ok: false,
      error: { object: "frame/0", problem },
    });
  }
});

test("frame times are multiples of ten seconds and never run backwards, also when the clock does", ({
  expect,
}) => {
  const first = commit(emptyHead(origin), [Uint8Array.of(1)], instant(1_760_000_019_999));
  const second = commit(first.head, [Uint8Array.of(2)], instant(1_760_000_000_000));
  expect([first.seconds, second.seconds]).toEqual([1_760_000_010, 1_760_000_010]);
});

test("joined entries split into the original entries, and a cut bundle does not split", ({ expect }) => {
  const joined = concat(small.leaves.flatMap(entry));
  expect(splitEntries(joined)).toEqual(small.leaves);
  expect(splitEntries(joined.subarray(0, -1))).toBeUndefined();
});
