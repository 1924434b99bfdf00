import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { test } from "vitest";
import { isSameRecord } from "#platform/registry/copies/same-record";

test("plain data equal their copy, and what counts as the same is the same for Node, too", ({ expect }) => {
  const record = fc.jsonValue();
  const anything = fc.anything({ withMap: true, withSet: true, maxDepth: 2, maxKeys: 2 });
  fc.assert(
    fc.property(record, record, anything, anything, (value, other, left, right) => {
      expect(isSameRecord(value, structuredClone(value))).toBe(true);
      expect(isSameRecord(value, other)).toBe(isDeepStrictEqual(value, other));
      if (isSameRecord(left, right)) expect(isDeepStrictEqual(left, right)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test.for([
  [{ a: undefined }, {}],
  [{ a: undefined }, { b: undefined }],
  [[1, 2], [1]],
  [[], {}],
  [new Map([["a", { x: 1 }]]), new Map([["a", { x: 2 }]])],
  [new Map([["a", undefined]]), new Map([["b", undefined]])],
  [new Set([1]), new Set([2])],
  [new Date(1), new Date(1)],
  [null, {}],
  ["1", 1],
] as const)("%o differs from %o", ([left, right], { expect }) => {
  expect(isSameRecord(left, right)).toBe(false);
});
