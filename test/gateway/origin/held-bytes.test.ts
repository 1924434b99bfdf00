import { test } from "vitest";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { instant } from "#kernel/clock";
import { MemoryBusy, SharedMemory } from "#limits/shared-memory";

const mebibyte = 1_048_576;

test("an answer in windows counts in the memory of its isolate for as long as its windows leave", async ({
  expect,
}) => {
  let now = instant(0);
  const memory = new SharedMemory(() => now);
  const stream = async (held: HeldBytes) => {
    held.holdAnswer(8 * mebibyte);
    const windows = held.untilSent(
      (async function* () {
        for (let window = 0; window < 4; window += 1) yield new Uint8Array();
      })(),
    );
    return windows[Symbol.asyncIterator]();
  };
  const streams = await Promise.all(
    Array.from({ length: 6 }, () => stream(new HeldBytes(memory.claim("greedy")))),
  );
  for (let window = 0; window < 4; window += 1) {
    now = instant(now + 100_000); // a slow reader
    for (const one of streams) expect(await one.next()).toMatchObject({ done: false });
    expect(() => new HeldBytes(memory.claim("greedy")).holdAnswer(8 * mebibyte)).toThrow(MemoryBusy);
  }
  for (const one of streams) await one.next();
  new HeldBytes(memory.claim("greedy")).holdAnswer(8 * mebibyte);
});
