import { test } from "vitest";
import { instant } from "#kernel/clock";
import { MemoryBusy, SharedMemory } from "#limits/shared-memory";

const mebibyte = 1_048_576;

test("a client holds half of the memory that requests share, however many requests it sends, and the others the rest", ({
  expect,
}) => {
  let now = instant(0);
  const memory = new SharedMemory(() => now);
  const most = memory.claim("greedy");
  most.hold(48 * mebibyte); // the most that one request holds
  const second = memory.claim("greedy");
  second.hold(mebibyte); // nearly every request holds less
  second.hold(2 * mebibyte);
  expect(() => second.hold(3 * mebibyte)).toThrow(MemoryBusy);
  memory.claim("other").hold(48 * mebibyte);
  memory.claim("third").hold(2 * mebibyte);
  expect(() => memory.claim("third").hold(3 * mebibyte), "of all clients 96 MiB").toThrow(MemoryBusy);

  most.hold(0);
  expect(() => second.hold(48 * mebibyte), "a refused claim stays as it was").not.toThrow();
  expect(() => memory.claim("greedy").hold(3 * mebibyte)).toThrow(MemoryBusy);
  now = instant(120_000);
  expect(() => memory.claim("greedy").hold(48 * mebibyte), "a request without an end").not.toThrow();
});
