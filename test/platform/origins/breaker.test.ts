import { test } from "vitest";
import { instant } from "#kernel/clock";
import {
  admitCall,
  afterAbandon,
  afterFailure,
  afterSuccess,
  healthy,
  isSteady,
  type OriginHealth,
} from "#platform/origins/breaker";

const trial = 10_000;
const admits = (health: OriginHealth, client: string, at: number) => {
  const admission = admitCall(health, client, instant(at), trial);
  return admission.kind === "admitted" ? "admitted" : admission.retryAfterSeconds;
};
function failing(clients: readonly string[], at: number, health = healthy): OriginHealth {
  return clients.reduce((before, client) => afterFailure(before, client, instant(at)), health);
}
const five = ["a", "a", "a", "a", "a"];

test("five failures in a row rest an origin for the client that had them, and not for others", ({
  expect,
}) => {
  expect(admits(failing(five.slice(1), 1_000), "a", 1_000)).toBe("admitted");
  const health = failing(five, 1_000);
  expect([admits(health, "a", 1_000), admits(health, "a", 5_999), admits(health, "b", 1_000)]).toEqual([
    5,
    1,
    "admitted",
  ]);
  expect(admits(failing([...five, ...five], 1_000), "b", 1_000)).toBe("admitted");
});

test("failures of two clients rest an origin for all clients", ({ expect }) => {
  const health = failing(["a", "b", "a", "b", "a"], 1_000);
  expect([admits(health, "a", 1_000), admits(health, "c", 1_000)]).toEqual([5, 5]);
  // a success of any client ends the row of failures that counts for all
  const row = failing(["a", "b"], 1_000, afterSuccess(failing(["a", "b", "a"], 1_000), "b"));
  expect(admits(row, "c", 1_000)).toBe("admitted");
});

test("after the rest a single trial passes: its success closes the circuit, its failure opens it at once, and a trial without an end is forgotten", ({
  expect,
}) => {
  const open = failing(["a", "b", "a", "b", "a"], 1_000);
  const admission = admitCall(open, "a", instant(6_000), trial);
  if (admission.kind !== "admitted") throw new Error("the rest is over");
  const { health } = admission;
  expect([admits(health, "c", 6_000), admits(health, "a", 15_999)]).toEqual([1, 1]);
  expect(admits(health, "c", 16_000)).toBe("admitted");
  expect(admits(afterFailure(health, "a", instant(7_000)), "c", 7_000)).toBe(5);
  const closed = afterSuccess(health, "a");
  expect(admits(closed, "c", 7_000)).toBe("admitted");
  expect(admits(failing(["c", "d", "c", "d"], 7_000, closed), "c", 7_000)).toBe("admitted");
});

test("an origin is steady while no client's last call failed; a client that never returns is forgotten after a minute", ({
  expect,
}) => {
  const steady = (health: OriginHealth, at: number) => isSteady(health, instant(at));
  expect(steady(healthy, 1)).toBe(true);
  expect(steady(failing(["a"], 1), 1)).toBe(false);
  expect(steady(afterSuccess(failing(["a"], 1), "a"), 1)).toBe(true);
  expect([steady(failing(["a"], 1), 60_000), steady(failing(["a"], 1), 60_001)]).toEqual([false, true]);
  const many = failing(
    ["b"],
    200_000,
    failing(
      Array.from({ length: 50 }, (_, i) => `gone-${i}`),
      1,
    ),
  );
  expect([...many.clients.keys()]).toEqual(["b"]);
});

test("a trial that its reader leaves is no trial any more: the next call is", ({ expect }) => {
  const open = failing(["a", "b", "a", "b", "a"], 1_000);
  const admission = admitCall(open, "a", instant(6_000), trial);
  if (admission.kind !== "admitted") throw new Error("the rest is over");
  expect(admits(admission.health, "c", 6_001)).toBe(1);
  expect(admits(afterAbandon(admission.health, "a"), "c", 6_001)).toBe("admitted");
});

test("a client that fails each trial alone closes the circuit of all, and keeps its own open", ({
  expect,
}) => {
  let health = healthy;
  let at = instant(1_000_000);
  for (const client of ["b", "a", "a", "a", "a"]) health = afterFailure(health, client, at);
  expect(admitCall(health, "c", at, 1_000).kind).toBe("circuit_open");
  at = instant(at + 5_001);
  health = afterFailure(health, "a", at);
  expect(admitCall(health, "c", at, 1_000).kind).toBe("admitted");
  expect(admitCall(health, "a", at, 1_000).kind).toBe("circuit_open");
});
