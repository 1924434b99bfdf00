// Writes src/policy/sensitivity/sensitivity.gen.ts from the facts in the given folder, by default
// `../shared/data/facts`: codes alone, without prose or displays.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";

const folder = process.argv[2] ?? join(import.meta.dirname, "../../shared/data/facts");
const read = <T>(name: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")));

const codeSystem = z.object({
  concepts: z.array(z.object({ code: z.string(), parents: z.array(z.string()).default([]) })),
});
const sensitivities = read("information-sensitivity", codeSystem).concepts;
const handling = ["obligation-policy", "refrain-policy"].flatMap((name) => read(name, codeSystem).concepts);
const { source, license, valueSets } = read(
  "sensitivity-valuesets",
  z.object({
    source: z.string(),
    license: z.string(),
    valueSets: z.array(
      z.object({
        id: z.string(),
        labels: z.array(z.string()),
        codes: z.record(z.string(), z.array(z.string())),
        from: z.array(z.string()),
      }),
    ),
  }),
);

// SHIFT's set of abortion codes has no label of its own; it is part of sexual and reproductive health.
const labelsOf = ({ id, labels }: { id: string; labels: readonly string[] }) =>
  id === "ShiftSlsAbortionCodes" ? ["SEX"] : labels;
const derived = new Map<string, Set<string>>();
const add = (label: string, codes: Readonly<Record<string, readonly string[]>>) => {
  for (const [system, list] of Object.entries(codes))
    for (const code of list) {
      const key = `${label} ${system}`;
      derived.set(key, (derived.get(key) ?? new Set()).add(code));
    }
};
const byId = new Map(valueSets.map((set) => [set.id, set]));
for (const set of valueSets)
  for (const label of labelsOf(set)) {
    add(label, set.codes);
    for (const url of set.from) add(label, byId.get(url.slice(url.lastIndexOf("/") + 1))?.codes ?? {});
  }

const table = (entries: readonly (readonly [string, string])[]): string =>
  entries
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`)
    .join("");

writeFileSync(
  join(import.meta.dirname, "../src/policy/sensitivity/sensitivity.gen.ts"),
  `// Made by scripts/generate-sensitivity.ts. Do not edit.

/** v3-ActCode InformationSensitivityPolicy (HL7 THO, CC0): code → the codes above it. */
export const sensitivityParents: Readonly<Record<string, string>> = {
${table(sensitivities.map(({ code, parents }) => [code, parents.join(" ")] as const))}};

/** v3-ActCode obligation and refrain policies (HL7 THO, CC0): how to handle data; no sensitivity. */
export const handlingCodes = "${handling.map(({ code }) => code).join(" ")}";

/**
 * Codes that make a row sensitive: label and code system → codes. Source: ${source},
 * ${license}.
 */
export const sensitiveCodes: Readonly<Record<string, string>> = {
${table([...derived].map(([key, codes]) => [key, [...codes].toSorted().join(" ")] as const))}};
`,
);
