import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { proveExamples } from "#phi/prove-examples";
import { parsePolicyDocument } from "#policy/document";
import { isReading, readInteraction } from "#fhir/interaction";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";

const folder = join(import.meta.dirname, "../../policies");
const names = readdirSync(folder);
const body = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));

test.for(names)("the starter policy %s is publishable, and each of its examples is true", (name, { expect }) => {
  const document = parsePolicyDocument(body(name));
  if (!document.ok) return expect(document.error).toBeUndefined();
  expect(`${document.value.name}.json`).toBe(name);
  expect(proveExamples(document.value)).toEqual([]);
});

test("each of the six purposes has a starter policy", ({ expect }) => {
  expect(names.toSorted()).toEqual(["hoperat.json", "hpaymt.json", "hresch.json", "patrqt.json", "pubhlth.json", "treat.json"]);
});

test.for(["treat.json", "hpaymt.json", "pubhlth.json"])("%s permits the requests that the README shows", (name, { expect }) => {
  const document = parsePolicyDocument(body(name));
  if (!document.ok) return expect(document.error).toBeUndefined();
  const policy = compilePolicy(document.value, name);
  for (const [path, query] of [
    ["Patient/1", ""],
    ["Observation", "patient=1"],
    ["Condition", "patient=Patient/1"],
  ] as const) {
    const interaction = readInteraction("GET", path.split("/"), query);
    if (!interaction.ok || !isReading(interaction.value)) return expect(interaction).toBeUndefined();
    expect(
      evaluate(
        policy,
        { scopes: [{ context: "system", type: "*", permissions: ["r", "s"], categories: [] }], patient: undefined },
        interaction.value,
      ).ok,
      `${path}?${query}`,
    ).toBe(true);
  }
});

test.for(["hpaymt.json", "hoperat.json", "pubhlth.json"])(
  "by %s a feed finds what has changed, of every type that it may search",
  (name, { expect }) => {
    const document = parsePolicyDocument(body(name));
    if (!document.ok) return expect(document.error).toBeUndefined();
    const policy = compilePolicy(document.value, name);
    const types = document.value.rules.filter((rule) => rule.interactions.includes("search")).flatMap((rule) => rule.types);
    expect(types).toContain("Condition");
    for (const type of types) {
      const interaction = readInteraction("GET", [type], "_lastUpdated=ge2026-01-01T00:00:00Z");
      if (!interaction.ok || !isReading(interaction.value)) return expect(interaction).toBeUndefined();
      expect(
        evaluate(
          policy,
          { scopes: [{ context: "system", type: "*", permissions: ["s"], categories: [] }], patient: undefined },
          interaction.value,
        ).ok,
        type,
      ).toBe(true);
    }
  },
);
