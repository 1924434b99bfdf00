import * as fc from "fast-check";
import { test } from "vitest";
import { AnonymousCap } from "#audit/anonymous-cap";
import { instant } from "#kernel/clock";

test("however they are spaced, refusals get no more records than the burst and half a record a second", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 5_000 }), (gaps) => {
      const cap = new AnonymousCap();
      let at = 1_700_000_000_000;
      const start = at;
      let admitted = 0;
      for (const gap of gaps) {
        at += gap;
        if (cap.admits(instant(at))) admitted += 1;
      }
      return admitted <= 1_000 + (at - start) / 2_000 + 1e-6;
    }),
    { numRuns: 50 },
  );
});

test("a quiet log records every refusal, and a clock that goes back makes no room", ({ expect }) => {
  const cap = new AnonymousCap();
  for (let i = 0; i < 1_000; i++) expect(cap.admits(instant(1_000))).toBe(true);
  expect(cap.admits(instant(1_000))).toBe(false);
  expect(cap.admits(instant(0))).toBe(false);
  expect(cap.admits(instant(2_000))).toBe(true);
});
