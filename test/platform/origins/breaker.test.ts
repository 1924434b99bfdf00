import { test } from "vitest";
import { instant } from "#kernel/clock";
import { afterFailure, healthy, openForSeconds } from "#platform/origins/breaker";

test("an origin that fails five times in a row is left alone for five seconds, then for five more after each failure", ({
  expect,
}) => {
  let health = healthy;
  for (let i = 0; i < 4; i++) health = afterFailure(health, instant(1_000));
  expect(openForSeconds(health, instant(1_000))).toBe(0);
  health = afterFailure(health, instant(1_000));
  expect(openForSeconds(health, instant(1_000))).toBe(5);
  expect(openForSeconds(health, instant(6_000))).toBe(0);
  expect(openForSeconds(afterFailure(health, instant(6_000)), instant(6_000))).toBe(5);
});
