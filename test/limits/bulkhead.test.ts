import { test } from "vitest";
import { instant } from "#kernel/clock";
import { Bulkhead, type CallSlot } from "#limits/bulkhead";
import { RetryBudget, retryDelay } from "#platform/origins/retry-budget";

const limits = { concurrent: 4, concurrentPerClient: 2, timeoutMilliseconds: 1_000 };

test("a client's calls under way use up its own part, and all together that of the origin", ({ expect }) => {
  const bulkhead = new Bulkhead();
  const take = (client: string, at = 0) => bulkhead.take(client, limits, instant(at));
  const isTaken = (slot: CallSlot | string): slot is CallSlot => typeof slot !== "string";
  const [first, second] = [take("a"), take("a")];
  expect([isTaken(first), isTaken(second), take("a")]).toEqual([true, true, "client_busy"]);
  expect([isTaken(take("b")), isTaken(take("c")), take("d")]).toEqual([true, true, "origin_busy"]);
  if (isTaken(first)) bulkhead.give(first);
  if (isTaken(first)) bulkhead.give(first); // a second end frees nothing
  expect([isTaken(take("a")), take("a"), take("d")]).toEqual([true, "client_busy", "origin_busy"]);
  expect(isTaken(take("d", 1_000)), "calls without an end are forgotten after their timeout").toBe(true);
});

test("repeats are a tenth of the calls, and some at the start", ({ expect }) => {
  const budget = new RetryBudget();
  let repeats = 0;
  for (let call = 0; call < 1_000; call++) {
    budget.add();
    if (budget.spend()) repeats += 1;
  }
  expect(repeats).toBeGreaterThanOrEqual(100);
  expect(repeats).toBeLessThanOrEqual(111);
});

test("a repeat waits for a random time below a tenth of a second", ({ expect }) => {
  expect([retryDelay(0), retryDelay(0.5), retryDelay(0.999)]).toEqual([0, 50, 99]);
});
