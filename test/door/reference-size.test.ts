import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { commonWorld, concernedPolicy, observation } from "../support/concerned-world.ts";
import { to } from "../support/fhir-parts.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// A reference whose text leaves names its target, so its record has no room for a further name (ADR 42).

const textOf = (path: string) => (["subject", "encounter"].includes(path) ? `${path}.reference` : path);
/** Shows of each reference of an Observation its text alone, and of its performers nothing. */
const textPolicy = {
  ...concernedPolicy,
  name: "texts",
  rules: concernedPolicy.rules.map((rule) =>
    Object.assign({}, rule, Array.isArray(rule.show) && { show: rule.show.map(textOf) }),
  ),
};
const worlds = worldsUnder(textPolicy);

const many = (count: number, row: (n: number) => Resource) => Array.from({ length: count }, (_, n) => row(n));

/** Parts of the references of a row that its view hides, and other parts that it hides. */
const besideTexts: readonly (readonly [string, object, object])[] = [
  ["no hidden parts or many", {}, { type: "Patient", display: "Ann", identifier: { value: "7" } }],
  ["a short name or a long name", { display: "A" }, { display: "Ann ".repeat(80) }],
  ["no identifier or a long identifier", {}, { identifier: { system: "urn:s", value: "7".repeat(200) } }],
];

test(
  "L41: the hidden parts of a reference whose text is shown make no leaf longer, and a page of such rows has a short record",
  { timeout: 60_000 },
  async ({ expect }) => {
    const by = await worlds.by("patient", { jti: "texts" });
    const rows = (parts: object, more: object = {}) =>
      many(12, (n) =>
        observation(`r${n}`, "ann", {
          subject: { ...to("Patient/ann"), ...parts },
          encounter: { ...to("Encounter/anns-visit"), ...parts },
          ...more,
        }),
      );
    const compared = async (one: readonly Resource[], other: readonly Resource[]) =>
      worlds.compare({ origin: [...commonWorld, ...one] }, { origin: [...commonWorld, ...other] }, [
        { by, path: "Observation" }, // its definition
        { by, path: "Observation" },
        { by, path: "Observation/r1" },
      ]);
    for (const [name, parts, otherParts] of besideTexts) {
      const { one, other, differences } = await compared(rows(parts), rows(otherParts));
      expect([name, differences.filter(({ aspect }) => aspect === "leaves")]).toEqual([name, []]);
      expect([name, other.map(({ status }) => status)]).toEqual([name, [200, 200, 200]]);
      for (const { leaves } of one.slice(1))
        for (const { length } of leaves) expect([name, length <= 1_090]).toEqual([name, true]);
    }
    // A text elsewhere leaves open whom the hidden parts mean: each such reference has room for a name.
    const elsewhere = rows({}, { encounter: to("https://elsewhere.example/Encounter/1") });
    const { one } = await compared(elsewhere, elsewhere);
    expect(one[1]?.leaves.some(({ length }) => length > 1_090)).toBe(true);
  },
);
