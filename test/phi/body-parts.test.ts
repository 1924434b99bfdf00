import * as fc from "fast-check";
import { expect, test } from "vitest";
import { BodyParts } from "#phi/body-parts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Texts from two arrays, many of them one behind the other, with or without a comma between them. */
const texts = fc.array(
  fc.record({
    array: fc.constantFrom(0, 1),
    gap: fc.constantFrom(0, 0, 1, 2),
    length: fc.integer({ min: 0, max: 6 }),
    isBehindComma: fc.boolean(),
  }),
);

test("texts that stand one behind the other are joined to the same body as texts that do not", () => {
  fc.assert(
    fc.property(texts, (list) => {
      const arrays = [0, 1].map((from) =>
        Uint8Array.from({ length: 1_000 }, (_, at) => (at % 3 === from ? 0x2c : 0x61 + (at % 26))),
      );
      const ends = [0, 0];
      const parts = new BodyParts();
      let expected = "";
      for (const { array, gap, length, isBehindComma } of list) {
        const from = ((ends[array] ?? 0) + gap) % 900;
        ends[array] = from + length;
        const text = (arrays[array] ?? new Uint8Array()).subarray(from, from + length);
        if (isBehindComma) parts.addBehindComma(text);
        else parts.add(text);
        expected += (isBehindComma ? "," : "") + decode(text);
        expect(parts.length).toBe(expected.length);
      }
      expect(decode(parts.take())).toBe(expected);
      expect(parts.take()).toHaveLength(0);
    }),
    { numRuns: 200 },
  );
});
