import { expect, test } from "vitest";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { compareMade, rowsMade } from "../deid/bytes/form-twins.ts";
import { dice } from "../phi/random-resource.ts";
import { inLane } from "../support/lane.ts";

const rows = inLane({ fast: 400, slow: 10_000, long: 100_000 });
const firstSeed = inLane({ fast: 1, slow: 1, long: Math.floor(Math.random() * 2 ** 31) });

test(
  "the byte engine of forms gives the plain engine's bytes and questions, on many made rows and hostile changes of them",
  { timeout: 60_000 + 20 * rows },
  async () => {
    let [cut, plain] = [0, 0];
    for (let seed = firstSeed; seed < firstSeed + rows / rowsMade; seed += 1) {
      const roll = dice(seed);
      const type = r4ResourceTypes[Math.floor(roll() * r4ResourceTypes.length)] ?? "Patient";
      try {
        const found = await compareMade(type, roll);
        cut += found.cut;
        plain += found.plain;
      } catch (fault) {
        throw new Error(`seed ${seed}`, { cause: fault });
      }
    }
    expect(cut / (cut + plain)).toBeGreaterThan(0.9);
  },
);
