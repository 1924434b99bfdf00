// Writes src/policy/sensitivity/sensitivity.gen.ts from the data in the given folder, by default
// `../shared/data`: codes alone, without prose or displays.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { longCodes } from "../src/policy/sensitivity/sensitive-codes.ts";

const folder = process.argv[2] ?? join(import.meta.dirname, "../../shared/data");
const read = <T>(name: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")));

const codeSystem = z.object({
  concepts: z.array(z.object({ code: z.string(), parents: z.array(z.string()).default([]) })),
});
const sensitivities = read("facts/information-sensitivity", codeSystem).concepts;
const handling = ["obligation-policy", "refrain-policy"].flatMap(
  (name) => read(`facts/${name}`, codeSystem).concepts,
);
const { source, license, valueSets } = read(
  "facts/sensitivity-valuesets",
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

const shares = read(
  "fhir/label-bundles/expected-labels",
  z.object({
    categories: z.record(z.string(), z.object({ codes: z.record(z.string(), z.array(z.string())) })),
  }),
).categories;

/**
 * Codes of Synthea's modules that tell nothing of the kind of information: visits, admissions, examinations,
 * laboratory and imaging in general, common diseases and pain.
 */
const general: ReadonlySet<string> = new Set(
  [
    "185347001 185349003 371883000 50849002 183452005 308335008 390906007 270427003 734163000 32485007 305408004",
    "5880005 84728005 23426006 399208008 82078001 104091002 104173009 117010004 268556000 395123002 44608003",
    "28163009 171207006 281790008 48387007 133899007 399014008 363215001 183401008 72514-3",
    "233604007 235595009 14760008 267064002 65710008 68566005 82423001 196416002 124171000119105 65546002",
  ].flatMap((line) => line.split(" ")),
);

/**
 * Categories of ASU SHARES (asushares/cli@441fd6dc08f3, Apache-2.0) by the nearest label of THO. Its infectious
 * diseases are labelled where they are HIV; influenza is no sensitive information.
 */
const categories: readonly (readonly [label: string, category: string, only?: readonly string[]])[] = [
  ["BH", "behavioral-health", ["13746004", "35489007", "48694002", "6471006", "94610", "900169", "216459"]],
  ["GDIS", "genetics"],
  ["HIV", "infectious-diseases", ["86406008", "5220-9"]],
  ["SEX", "sexual-reproductive-health", ["10761341000119105", "87527008"]],
  ["PREGNANT", "sexual-reproductive-health", ["10761341000119105", "87527008"]],
  ["SUD", "substance-use", ["19359-9", "LP173580-4"]],
  ["SDV", "violence"],
];

/**
 * Blocks of ICD-10-CM (CDC/NCHS, fiscal year 2026, public domain) by their first three characters; a code below
 * counts. Nicotine (F17) is left out.
 */
const blocks: Readonly<Record<string, readonly (readonly [first: string, last: string])[]>> = {
  SUD: [
    ["F10", "F16"],
    ["F18", "F19"],
  ],
  ETHUD: [["F10", "F10"]],
  OPIOIDUD: [["F11", "F11"]],
  BH: [
    ["F20", "F69"],
    ["F90", "F99"],
  ],
  HIV: [
    ["B20", "B20"],
    ["Z21", "Z21"],
  ],
  STD: [["A50", "A64"]],
  SEX: [
    ["O00", "O99"],
    ["Z30", "Z34"],
  ],
  SDV: [
    ["T74", "T74"],
    ["T76", "T76"],
    ["Y07", "Y07"],
  ],
  GDIS: [
    ["Q90", "Q99"],
    ["Z14", "Z15"],
  ],
};
const icd10cm = "http://hl7.org/fhir/sid/icd-10-cm";
const codesFrom = ([first, last]: readonly [string, string]): readonly string[] =>
  Array.from(
    { length: Number(last.slice(1)) - Number(first.slice(1)) + 1 },
    (_, index) => `${first.charAt(0)}${String(Number(first.slice(1)) + index).padStart(2, "0")}`,
  );

// SHIFT's set of abortion codes has no label of its own; it is part of sexual and reproductive health.
const labelsOf = ({ id, labels }: { id: string; labels: readonly string[] }) =>
  id === "ShiftSlsAbortionCodes" ? ["SEX"] : labels;
const derived = new Map<string, Set<string>>();
const add = (label: string, codes: Readonly<Record<string, readonly string[]>>) => {
  for (const [system, list] of Object.entries(codes))
    for (const code of list) {
      // the source's DIS is a code of no HL7 system, so that no Consent could name it; a law is no sensitivity, and
      // its set names the sensitivity beside it
      if (general.has(code) || label === "DIS" || label === "42CFRPart2") continue;
      const key = `${system} ${code}`;
      derived.set(key, (derived.get(key) ?? new Set()).add(label));
    }
};
const byId = new Map(valueSets.map((set) => [set.id, set]));
for (const set of valueSets)
  for (const label of labelsOf(set)) {
    add(label, set.codes);
    for (const url of set.from) add(label, byId.get(url.slice(url.lastIndexOf("/") + 1))?.codes ?? {});
  }

for (const [label, category, only] of categories) {
  const { codes } = shares[category] ?? { codes: {} };
  for (const [system, list] of Object.entries(codes))
    add(label, { [system]: list.filter((code) => only === undefined || only.includes(code)) });
}
for (const [label, ranges] of Object.entries(blocks)) add(label, { [icd10cm]: ranges.flatMap(codesFrom) });

const isBlock = (code: string | undefined): code is string => /^[A-Z]\d\d$/u.test(code ?? "");
const follows = (code: string, last: string | undefined): last is string =>
  isBlock(last) && isBlock(code) && codesFrom([last, code]).length === 2 && code.startsWith(last.charAt(0));

/** The codes in short forms, which the gateway reads as these codes again. */
function readableCodes(codes: readonly string[]): string {
  const short = shortCodes(codes);
  const read = short.split(" ").flatMap(longCodes).toSorted();
  const wrong = read.find((code, at) => code !== codes.toSorted()[at]);
  if (wrong !== undefined || read.length !== codes.length)
    throw new Error(`a short code does not read back to its row: ${wrong ?? codes.join(" ")}`);
  return short;
}

/** A number of up to 15 digits in base 36; blocks of ICD-10-CM that follow each other as `F20-69`. */
function shortCodes(codes: readonly string[]): string {
  const ranges: (readonly [first: string, last: string])[] = [];
  for (const code of codes.toSorted()) {
    const [first, last] = ranges.at(-1) ?? [];
    if (first !== undefined && follows(code, last)) ranges.splice(-1, 1, [first, code]);
    else ranges.push([code, code]);
  }
  return ranges
    .map(([first, last]) => {
      if (first !== last) return `${first}-${last.slice(1)}`;
      return /^[1-9]\d{0,14}$/u.test(first) ? Number(first).toString(36) : first;
    })
    .join(" ");
}

/** Labels and system → the codes with exactly these labels. */
const grouped = Map.groupBy(
  derived,
  ([key, labels]) => `${[...labels].toSorted().join(",")} ${key.split(" ")[0]}`,
);

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
 * The value sets of {@link sensitiveCodes} and their versions: ${license}; asushares/cli, Apache-2.0; ICD-10-CM,
 * public domain.
 */
export const sensitiveCodesVersion =
  "SHIFT SLS-ValueSets ${source.slice(source.indexOf("@") + 1).split(":")[0] ?? ""}, ASU SHARES 441fd6dc08f3, ICD-10-CM 2026";

/**
 * Codes that make a row sensitive: labels and code system → codes. A number of up to 15 digits stands in base 36, and
 * blocks of ICD-10-CM that follow each other as \`F20-69\`.
 */
export const sensitiveCodes: Readonly<Record<string, string>> = {
${table([...grouped].map(([key, list]) => [key, readableCodes(list.map(([code]) => code.split(" ")[1] ?? ""))] as const))}};
`,
);
