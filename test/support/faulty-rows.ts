import { afterAll, beforeAll, vi } from "vitest";
import { Facts } from "#fhir/json/facts";

const marker = "a-row-that-cannot-be-judged";
const many = <T>(count: number, make: (n: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, n) => make(n));
const nested = (depth: number): unknown => (depth === 0 ? "x" : [nested(depth - 1)]);

/**
 * What makes an Observation faulty: its reading throws, its dates cost more than a row's share of the work, or a value
 * of it cannot be read. The first needs {@link failForMarkedRows}.
 */
export const faults = {
  "whose reading throws": { meta: { security: [{ system: "urn:x", code: marker }] } },
  "of the greatest cost": {
    code: { coding: many(500, (n) => ({ system: "urn:c", code: `c${n}` })), text: "é".repeat(10_000) },
    effectiveDateTime: undefined,
    effectiveTiming: { event: many(34_000, (n) => String(1_000 + (n % 9_000))) },
  },
  "with an unreadable value": { extension: [{ url: "urn:x", valueString: nested(180) }] },
} as const satisfies Readonly<Record<string, object>>;

/** In the tests of a file: each judge throws for a row that has the mark in a member that decides. */
export function failForMarkedRows(): void {
  const spies: { mockRestore(): void }[] = [];
  beforeAll(() => {
    const [of, captured] = [Facts.of.bind(Facts), Facts.captured.bind(Facts)];
    const failFor = (row: object) => {
      if (JSON.stringify(row).includes(marker)) throw new TypeError(marker);
    };
    const whole = vi.spyOn(Facts, "of").mockImplementation((row, paths) => {
      failFor(row);
      return of(row, paths);
    });
    const parts = vi.spyOn(Facts, "captured").mockImplementation((row, ...more) => {
      failFor(row);
      return captured(row, ...more);
    });
    spies.push(whole, parts);
  });
  afterAll(() => {
    for (const spy of spies) spy.mockRestore();
  });
}
