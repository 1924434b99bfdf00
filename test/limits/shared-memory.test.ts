import { test } from "vitest";
import { instant } from "#kernel/clock";
import { MemoryBusy, SharedMemory, type MemoryClaim } from "#limits/shared-memory";

const mebibyte = 1_048_576;

function start() {
  let now = instant(0);
  const memory = new SharedMemory(() => now);
  return {
    claim: (client: string) => memory.claim(client),
    pass: (milliseconds: number) => (now = instant(now + milliseconds)),
  };
}

/** Requests of 8 MiB, until one is refused. @returns the MiB beyond the free MiB of each. */
function takeAll(claim: () => MemoryClaim): number {
  for (let held = 0; ;) {
    const one = claim();
    for (let more = 1; more <= 7; more += 1, held += 1)
      try {
        one.hold((more + 1) * mebibyte);
      } catch {
        return held;
      }
  }
}

test("a client holds half of the memory that requests share, however many requests it sends", ({
  expect,
}) => {
  const { claim } = start();
  const most = claim("greedy");
  most.hold(48 * mebibyte); // the most that one request holds
  const second = claim("greedy");
  second.hold(mebibyte); // nearly every request holds less
  second.hold(2 * mebibyte);
  expect(() => second.hold(3 * mebibyte)).toThrow(MemoryBusy);
  most.hold(0);
  expect(() => second.hold(48 * mebibyte), "a refused claim stays as it was").not.toThrow();
  expect(() => claim("greedy").hold(3 * mebibyte)).toThrow(MemoryBusy);
});

test("clients that hold all they may leave half of the rest to the next client, and the next has it", ({
  expect,
}) => {
  const { claim } = start();
  const shares = ["first", "second", "third", "fourth", "fifth"].map((client) =>
    takeAll(() => claim(client)),
  );
  expect(shares).toEqual([48, 24, 12, 6, 3]);
  claim("sixth").hold(2 * mebibyte);
});

test("a client fills half of the pages that others leave, by the rows that it asks for; a page of 100 rows is free", ({
  expect,
}) => {
  const { claim } = start();
  const fill = (client: string, rows: number) => {
    const ends: (() => void)[] = [];
    for (;;)
      try {
        ends.push(claim(client).page(rows));
      } catch {
        return ends;
      }
  };
  const [first, second, third] = ["first", "second", "third"].map((client) => fill(client, 1_000));
  expect([first?.length, second?.length, third?.length]).toEqual([17, 9, 4]);
  for (let page = 0; page < 200; page += 1) claim("first").page(100);
  expect(() => claim("first").page(1_000)).toThrow(MemoryBusy);
  for (const end of first ?? []) end();
  expect(fill("first", 1_000)).toHaveLength(11);
});

test("a request without an end counts for two minutes, and an answer that still leaves for longer", ({
  expect,
}) => {
  const { claim, pass } = start();
  const [lost, stream] = [claim("greedy"), claim("greedy")];
  lost.hold(25 * mebibyte);
  stream.hold(25 * mebibyte);
  for (let window = 0; window < 10; window += 1) {
    pass(100_000);
    stream.hold(25 * mebibyte);
  }
  expect(() => claim("greedy").hold(26 * mebibyte), "the stream counts").toThrow(MemoryBusy);
  claim("greedy").hold(25 * mebibyte); // in the place of the lost request
  expect(() => lost.hold(25 * mebibyte), "it has lost its room").toThrow(MemoryBusy);
});

test("the eighth client beside seven that hold all they may has its steps once they end requests: nobody else takes them", ({
  expect,
}) => {
  const { claim } = start();
  const held = Array.from({ length: 7 }, (_, n) => {
    const claims: MemoryClaim[] = [];
    takeAll(() => {
      const one = claim(`greedy-${n}`);
      claims.push(one);
      return one;
    });
    return claims;
  });
  const eighth = () => claim("eighth").hold(8 * mebibyte);
  expect(eighth, "all steps are held").toThrow(MemoryBusy);
  for (const [n, claims] of held.entries())
    for (const one of claims) {
      one.hold(0); // a request of a greedy client ends, and the next of the client comes first
      for (let more = 7; more >= 1; more -= 1)
        try {
          claim(`greedy-${n}`).hold((more + 1) * mebibyte);
          break;
        } catch {
          continue;
        }
    }
  expect(eighth).not.toThrow();
});

test("an equal part ends ten seconds after the refusal of a client that does not come back", ({ expect }) => {
  const { claim, pass } = start();
  for (let n = 0; n < 8; n += 1) takeAll(() => claim(`greedy-${n}`));
  expect(() => claim("gone").hold(3 * mebibyte)).toThrow(MemoryBusy);
  pass(120_000);
  expect(() => claim("alone").hold(48 * mebibyte), "the claims are silent, and nobody waits").not.toThrow();
});
