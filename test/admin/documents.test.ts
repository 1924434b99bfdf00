import * as fc from "fast-check";
import { expect, test } from "vitest";
import { define, documentParts } from "#audit/definition";

test("the parts of a document are its text again, and each fits a definition, whatever the text", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 119_990, max: 120_010 }),
      fc.array(fc.constantFrom("é", "x", "😀", "語"), { maxLength: 30 }),
      (filler, tail) => {
        const text = "語".repeat(filler) + tail.join("") + "😀".repeat(60_010);
        const parts = documentParts(text);
        expect(parts.join("")).toBe(text);
        for (const part of parts) {
          expect(part.isWellFormed()).toBe(true);
          expect(() => define({ type: "document-part", value: part })).not.toThrow();
        }
      },
    ),
    { numRuns: 8 },
  );
  expect(documentParts("")).toEqual([""]);
});
