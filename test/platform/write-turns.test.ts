import { setTimeout as wait } from "node:timers/promises";
import { test } from "vitest";
import { WriteTurns } from "#platform/revocation/object/write-turns";

test("writes run one at a time in their order, and a failed write does not stop the next", async ({
  expect,
}) => {
  const turns = new WriteTurns({ patience: 1_000, longest: 1_000 });
  const book: string[] = [];
  const write = (name: string, fails = false) =>
    turns.run(async () => {
      book.push(`${name} begins`);
      await wait(5);
      book.push(`${name} ends`);
      if (fails) throw new Error(name);
    });
  await Promise.allSettled([write("a"), write("b", true), write("c")]);
  expect(book).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("after a write that gave up waiting, the next write still waits for the write that runs", async ({
  expect,
}) => {
  const turns = new WriteTurns({ patience: 40, longest: 5_000 });
  let running = 0;
  let most = 0;
  const write = (milliseconds: number) =>
    turns.run(async () => {
      running += 1;
      most = Math.max(most, running);
      await wait(milliseconds);
      running -= 1;
    });
  const slow = write(100);
  const impatient = write(0);
  await expect(impatient).rejects.toThrow("takes too long");
  const next = write(0); // it may give up too, and must not run beside the slow write
  await Promise.allSettled([slow, next]);
  await write(0);
  expect(most).toBe(1);
});

test("a write that never ends blocks later writes for the longest time, not for ever", async ({ expect }) => {
  const turns = new WriteTurns({ patience: 50, longest: 30 });
  void turns.run(() => new Promise<void>(() => {}));
  const impatient = new WriteTurns({ patience: 1, longest: 1 });
  expect(await impatient.run(async () => "free"), "a further queue is not blocked").toBe("free");
  await expect(turns.run(async () => "next")).rejects.toThrow("takes too long");
  expect(await turns.run(async () => "later")).toBe("later");
});
