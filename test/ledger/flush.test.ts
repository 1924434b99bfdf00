import { array, assert, asyncProperty, integer, property, uint8Array, uniqueArray } from "fast-check";
import { test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { copyHealth, flushEnd, emptyExtent, objectKey, objectsBetween } from "#ledger/flush";
import { sameBytes } from "#ledger/bytes/bytes";
import { FrameJoiner, frameOffsets, joinFrames, splitFrames } from "#ledger/frame-copies";
import { sampleLog } from "./sample-log.ts";

const origin = "ledger.test/s0-2026h2";
const keys = (from: number, to: number): string[] =>
  objectsBetween({ frames: from, size: from }, { frames: to, size: to }).map((object) =>
    objectKey(origin, object),
  );

test("flushes in any steps write the bundles and tiles of a single flush, each once", () =>
  assert(
    property(uniqueArray(integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 6 }), (ends) => {
      const steps = [0, ...ends.sort((a, b) => a - b)];
      const tiles = (list: string[]): string[] => list.filter((key) => key.includes("/tile/"));
      const stepwise = steps.slice(1).flatMap((end, i) => tiles(keys(steps[i] ?? 0, end)));
      const atOnce = tiles(keys(0, steps.at(-1) ?? 0));
      return new Set(stepwise).size === stepwise.length && stepwise.sort().join() === atOnce.sort().join();
    }),
  ));

test("a bundle and its tile are written with the leaf that fills them, a higher tile with the leaf that fills it", ({
  expect,
}) => {
  const below = `log/${origin}`;
  expect(keys(0, 255)).toEqual([`${below}/frames/0-254`]);
  expect(keys(255, 256)).toEqual([
    `${below}/frames/255-255`,
    `${below}/tile/entries/000`,
    `${below}/tile/0/000`,
  ]);
  expect(keys(65_535, 65_536)).toEqual([
    `${below}/frames/65535-65535`,
    `${below}/tile/entries/255`,
    `${below}/tile/0/255`,
    `${below}/tile/1/000`,
  ]);
});

test("a flush takes as many frames as fit an object, and at least one frame", ({ expect }) => {
  const frames = (bytes: readonly number[]) =>
    bytes.map((bytes, i) => ({ number: 7 + i, size: 100 + i, bytes }));
  expect(flushEnd([])).toBeUndefined();
  expect(flushEnd(frames([10]))).toEqual({ frames: 8, size: 100 });
  expect(flushEnd(frames([5_000_000, 3_000_000, 1_000_000]))).toEqual({ frames: 9, size: 101 });
  expect(flushEnd(frames([9_000_000, 1]))).toEqual({ frames: 8, size: 100 });
  expect(objectsBetween(emptyExtent, { frames: 1, size: 3 })).toEqual([
    { kind: "frames", first: 0, last: 0 },
  ]);
});

test("joined frames split into the original frames, and bytes that are cut, padded or unmarked do not split", async ({
  expect,
}) => {
  const { objects } = await sampleLog([2, 1, 1]);
  const frames = [0, 1, 2].map((n) => objects.get(`frame/${n}`) ?? new Uint8Array());
  const joined = joinFrames(frames);
  expect(splitFrames(joined)).toEqual(frames);
  expect(splitFrames(joined.subarray(0, -1))).toBeUndefined();
  expect(splitFrames(Uint8Array.from([...joined, 0]))).toBeUndefined();
  expect(splitFrames(joined.subarray(1))).toBeUndefined();
  expect(splitFrames(joinFrames([]))).toBeUndefined();
});

test("an object whose frame claims 4 GiB is refused, and takes no more memory than its own bytes", ({
  expect,
}) => {
  const object = Uint8Array.from([...utf8("PXC1"), 0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
  const allocated: unknown[] = [];
  const { Uint8Array: Original } = globalThis;
  vi.stubGlobal(
    "Uint8Array",
    new Proxy(Original, {
      construct: (of, values) => (allocated.push(values[0]), Reflect.construct(of, values)),
    }),
  );
  try {
    expect(splitFrames(object)).toBeUndefined();
  } finally {
    vi.unstubAllGlobals();
  }
  for (const size of allocated) expect(size).toBeLessThanOrEqual(object.length);
});

test("frames that are joined one after another make the object of frames that are joined at once", () =>
  assert(
    property(array(uint8Array({ maxLength: 300 }), { maxLength: 12 }), (frames) => {
      const joiner = new FrameJoiner(
        frames.length,
        frames.reduce((sum, { length }) => sum + length, 0),
      );
      for (const frame of frames) joiner.add(frame);
      return joiner.length === joiner.bytes.length && sameBytes(joiner.bytes, joinFrames(frames));
    }),
  ));

/** An object as a stream whose chunks have these lengths, repeated. */
async function* chunked(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let [at, i] = [0, 0]; at < bytes.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

test("frames are found in a stream of their object as in the whole object, however the stream is cut", () =>
  assert(
    asyncProperty(
      array(uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 12 }),
      array(integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 }),
      integer({ min: -3, max: 3 }),
      async (frames, lengths, change) => {
        const joined = joinFrames(frames);
        const object =
          change < 0 ? joined.subarray(0, change) : Uint8Array.from([...joined, ...new Uint8Array(change)]);
        const offsets = await frameOffsets(chunked(object, lengths));
        const found =
          offsets &&
          Array.from(offsets.subarray(0, -1), (from, i) => object.subarray(from, (offsets[i + 1] ?? 0) - 4));
        return JSON.stringify(found) === JSON.stringify(splitFrames(object));
      },
    ),
  ));

test("a stream that is no object of frames has no offsets", async ({ expect }) => {
  for (const bytes of [new Uint8Array(), new TextEncoder().encode("PXC2"), joinFrames([])])
    expect(await frameOffsets(chunked(bytes, [3]))).toBeUndefined();
});

test("a copy is late after two minutes, too late after thirty; a full object is the same", ({ expect }) => {
  expect([0, 120_000, 120_001, 1_800_000, 1_800_001].map((behind) => copyHealth(behind, 0))).toEqual([
    "good",
    "good",
    "degraded",
    "degraded",
    "refusing",
  ]);
  expect([8e9, 8.1e9, 9.6e9].map((stored) => copyHealth(0, stored))).toEqual([
    "good",
    "degraded",
    "refusing",
  ]);
});
