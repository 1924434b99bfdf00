import * as fc from "fast-check";
import { test } from "vitest";
import { isJson } from "#fhir/json/scanner";
import { inLane } from "../../support/lane.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

test("the scanner accepts exactly the texts that JSON.parse accepts", ({ expect }) => {
  const signs = fc.constantFrom(
    ...Array.from('{}[],:"\\ \n\t01-+.eEutrfalsn\u0001é'),
    "true",
    "false",
    "null",
    '"a":',
    "\\u00e9",
    "1.5e-3",
    "[]",
    "{}",
  );
  const soup = fc.array(signs, { maxLength: 14 }).map((parts) => parts.join(""));
  const whole = fc.json({ maxDepth: 5 });
  const broken = fc
    .tuple(whole, fc.nat(), fc.constantFrom("", ",", "}", "]", '"', "0", "-", ".", "e", "\\", " ", "x"))
    .map(([text, at, sign]) => {
      const place = at % (text.length + 1);
      return text.slice(0, place) + sign + text.slice(place + (sign === "" ? 1 : 0));
    });
  let taken = 0;
  fc.assert(
    fc.property(fc.oneof(soup, whole, broken), (text) => {
      const is = parses(text);
      if (is) taken += 1;
      expect(isJson(utf8(text)), text).toBe(is);
    }),
    { numRuns: inLane({ fast: 2_000, slow: 6_000, long: 6_000 }) },
  );
  expect(taken).toBeGreaterThan(140);
});

test.for([
  "0",
  "-0",
  "1",
  "-",
  "01",
  "1.",
  ".5",
  "1e",
  "1e+",
  "1E-2",
  "-1.25e+10",
  "",
  " ",
  "nul",
  "nulll",
  "\ufeff1",
  '"\u0000"',
  '"\\x"',
  '"\\u12"',
  '"\\ud800"',
])("%j", (text, { expect }) => {
  expect(isJson(utf8(text))).toBe(parses(text));
});

test("the scanner accepts a million levels and no more", ({ expect }) => {
  const nested = (depth: number) => utf8("[".repeat(depth) + "]".repeat(depth));
  expect(isJson(nested(200_000))).toBe(true);
  expect(isJson(nested(200_000).subarray(1))).toBe(false);
  expect(isJson(nested(1_000_001))).toBe(false);
});
