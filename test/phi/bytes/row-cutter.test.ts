import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dice, plainTypes, randomResource } from "../random-resource.ts";
import { noSharedData, resourcesIn } from "../shared-data.ts";
import { fuzzAnswer } from "./disclosing-twins.ts";

test("under random policies every entry and read of generated resources has the outcome of the plain engine, in every field", () => {
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.integer(), (type, seed) => {
      const roll = dice(seed);
      fuzzAnswer(
        Array.from({ length: 3 }, () => randomResource(type, roll)),
        roll,
      );
    }),
    { numRuns: 8 },
  );
});

test.skipIf(noSharedData)(
  "under random policies every entry and read of real resources has the outcome of the plain engine (needs ../shared/data)",
  () => {
    const real = resourcesIn("examples-r4", "us-core").filter((one) => JSON.stringify(one).length < 20_000);
    const sums = new Map<string, number>();
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const roll = dice(seed);
        for (let answer = 0; answer < 10; answer += 1)
          for (const [outcome, count] of fuzzAnswer(real, roll))
            sums.set(outcome, (sums.get(outcome) ?? 0) + count);
      }),
      { numRuns: 4 },
    );
    // not only refusals were compared
    expect((sums.get("match") ?? 0) + (sums.get("released") ?? 0)).toBeGreaterThan(0);
    expect(sums.get("hidden")).toBeGreaterThan(0);
  },
);
