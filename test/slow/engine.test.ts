import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  fuzzAnswer,
  fuzzBoundaries,
  fuzzIncluded,
  fuzzPage,
  includedTypes,
} from "../phi/bytes/disclosing-twins.ts";
import { fuzz } from "../phi/bytes/fuzzing.ts";
import { fuzzEverything } from "../phi/bytes/listing-twins.ts";
import { dice, plainTypes, randomResource } from "../phi/random-resource.ts";
import { noSharedData, resourcesIn } from "../phi/shared-data.ts";
import { inLane } from "../support/lane.ts";

const milliseconds = inLane({ fast: 5_000, slow: 120_000, long: 600_000 });
// The slow lane's seeds are the same in each run, so that a failure comes from the change.
const firstSeed = inLane({ fast: 1, slow: 1, long: Math.floor(Math.random() * 2 ** 31) });

test(
  "the byte engine gives the plain engine's bytes, facts and outcomes, or leaves them to it",
  { timeout: 2 * milliseconds },
  async () => {
    const real = noSharedData
      ? []
      : resourcesIn("examples-r4", "us-core", "synthea-2019", "synthea-2020", "ds4p-labelled-bundles").filter(
          (one) => JSON.stringify(one).length < 20_000,
        );
    const outcomes = new Set<string>();
    const end = performance.now() + milliseconds;
    for (let seed = firstSeed; performance.now() < end; seed += 1) {
      // vitest reports an error if this process answers nothing for a minute
      await setImmediate();
      const roll = dice(seed);
      const type = plainTypes[Math.floor(roll() * plainTypes.length)] ?? "Patient";
      const made = Array.from({ length: 3 }, () => randomResource(type, roll));
      const from = Math.floor(roll() * real.length);
      try {
        for (const resources of real.length === 0 ? [made] : [made, real.slice(from, from + 60)]) {
          fuzz(resources, 10, roll);
          fuzzPage(resources, roll);
          for (const outcome of fuzzAnswer(resources, roll).keys()) outcomes.add(outcome);
        }
        if (seed % 25 === 0) fuzzBoundaries(made, roll);
        const around = ["Observation", ...includedTypes].map((each) => randomResource(each, roll));
        for (const outcome of fuzzIncluded([...around, ...real.slice(from, from + 60)], roll).keys())
          outcomes.add(outcome);
        fuzzEverything([...around, ...real.slice(from, from + 60)], roll);
      } catch (fault) {
        throw new Error(`seed ${seed}`, { cause: fault });
      }
    }
    expect([...outcomes]).toEqual(
      expect.arrayContaining(["match", "hidden", "released", "include", "dropped"]),
    );
  },
);
