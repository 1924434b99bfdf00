import { test } from "vitest";
import { codesMatch } from "#policy/consent/code-match";
import { rowFactsOf } from "#policy/consent/row-facts";
import { cpuMillisecondsOf } from "../../support/cpu-milliseconds.ts";
import { base } from "./scene.ts";

const icd = "http://hl7.org/fhir/sid/icd-10-cm";
/** Texts of half a megabyte. By the square of the length each would take minutes. */
const texts = ["a", "/", "|", "F11", ".", "a|", "/a"].map((part) => `${part.repeat(500_000 / part.length)}x`);
/** 31 texts of 16,000 characters: the runtime hashes a text of this length by each of its characters. */
const bars = Array.from({ length: 31 }, (_, n) => `${n}${"|".repeat(16_000)}`);

test("the facts that Consents ask for cost the length of a row's codes and systems, never its square", ({
  expect,
}) => {
  const codings = texts.flatMap((text) => [
    [{ system: text, code: "1" }],
    [{ system: icd, code: text }],
    [{ code: text }],
  ]);
  for (const coding of [...codings, bars.map((code) => ({ system: "urn:c", code }))]) {
    const row = { resourceType: "Observation", id: "x", code: { coding } };
    const cpu = cpuMillisecondsOf(() => void codesMatch(["|b", "urn:d|e"], rowFactsOf(row, base)));
    expect(cpu, JSON.stringify(coding).slice(0, 80)).toBeLessThan(1_000);
  }
});
