// Writes src/fhir/r4/structure.gen.ts: the rules for a body beyond names, types and cardinalities, which are
// in r4-elements.gen.ts.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { lines } from "./r4-definitions.ts";

const elementDefinition = z.object({
  path: z.string(),
  binding: z.object({ strength: z.string(), valueSet: z.string().optional() }).optional(),
  constraint: z.array(z.object({ key: z.string(), xpath: z.string().optional() })).optional(),
  type: z
    .array(
      z.object({
        code: z.string(),
        targetProfile: z.array(z.string()).optional(),
        profile: z.array(z.string()).optional(),
      }),
    )
    .optional(),
});
const structure = z.object({
  name: z.string(),
  kind: z.string(),
  derivation: z.string().optional(),
  snapshot: z.object({ element: z.array(elementDefinition) }),
});
interface Concept {
  readonly code: string;
  readonly concept?: readonly Concept[] | undefined;
}
const concept: z.ZodType<Concept> = z.object({
  code: z.string(),
  concept: z.lazy(() => z.array(concept)).optional(),
});
const valueSet = z.object({
  resourceType: z.literal("ValueSet"),
  url: z.string(),
  // Strict: a filter or a nested value set would need evaluation, and R4's required bindings have neither.
  compose: z.object({
    include: z.array(
      z.strictObject({
        system: z.string(),
        version: z.string().optional(),
        concept: z.array(concept).optional(),
      }),
    ),
  }),
});
const codeSystem = z.object({
  resourceType: z.literal("CodeSystem"),
  url: z.string(),
  content: z.literal("complete"),
  concept: z.array(concept).default([]),
});

const structures = lines("fhir/definitions/structuredefinitions-r4-base.ndjson.gz", structure)
  .filter(({ kind }) => kind === "resource" || kind === "complex-type")
  // a profile of Quantity: each element with this type is in the table for it
  .filter(({ name }) => name !== "SimpleQuantity");
const terminology = lines(
  "fhir/definitions/required-binding-terminology.ndjson.gz",
  z.discriminatedUnion("resourceType", [valueSet, codeSystem]),
);
const systems = new Map(
  terminology.flatMap((one) => (one.resourceType === "CodeSystem" ? [[one.url, one.concept] as const] : [])),
);
const sets = new Map(
  terminology.flatMap((one) => (one.resourceType === "ValueSet" ? [[one.url, one] as const] : [])),
);

const flat = (concepts: readonly Concept[]): string[] =>
  concepts.flatMap((one) => [one.code, ...flat(one.concept ?? [])]);
const lastOf = (url: string) => url.slice(url.lastIndexOf("/") + 1).replace(/\|.*$/u, "");

/**
 * The codes of a value set. Undefined when it includes a whole system that cannot be listed (MIME types,
 * UCUM, ISO 4217).
 */
function codesOf(url: string, withSystems: boolean): string | undefined {
  const words: string[] = [];
  const set = sets.get(url);
  if (set === undefined) return undefined; // LOINC's answer list LL379-9
  for (const { system, concept: some } of set.compose.include) {
    const concepts = some ?? systems.get(system);
    if (concepts === undefined) return undefined;
    words.push(...(withSystems ? [system] : []), ...flat(concepts));
  }
  return words.join(" ");
}

const codes = new Map<string, string>();
const bindings: Record<string, string[]> = {};
const simple: Record<string, string[]> = {};
for (const { path, binding, type = [] } of structures.flatMap((one) => one.snapshot.element)) {
  const [parent, name] = [path.slice(0, path.lastIndexOf(".")), path.slice(path.lastIndexOf(".") + 1)];
  if (parent === "") continue;
  if (binding?.strength === "required" && binding.valueSet !== undefined) {
    const list = lastOf(binding.valueSet);
    const text = codesOf(binding.valueSet.replace(/\|.*$/u, ""), type[0]?.code === "CodeableConcept");
    if (text !== undefined) {
      if ((codes.get(list) ?? text) !== text) throw new Error(`two value sets are called ${list}`);
      codes.set(list, text);
      (bindings[parent] ??= []).push(`${name}:${list}`);
    }
  }
  if (type.some((one) => one.profile?.map(lastOf).includes("SimpleQuantity")))
    (simple[parent] ??= []).push(name);
}

// txt-1 is written in full only as XPath; its FHIRPath is a call. The first bracket has the elements, the
// second the attributes.
const narrative = structures
  .find(({ name }) => name === "Narrative")
  ?.snapshot.element.flatMap((element) => element.constraint ?? []);
const [html = "", attributes = ""] = [
  ...(narrative?.find(({ key }) => key === "txt-1")?.xpath ?? "").matchAll(/=\((?<list>[^)]+)\)/gu),
].map((match) => (match.groups?.["list"] ?? "").replaceAll(/[',]+/gu, "").trim());

const sorted = (table: Iterable<readonly [string, string]>) =>
  Object.fromEntries([...table].sort(([a], [b]) => (a < b ? -1 : 1)));
const joined = (table: Record<string, readonly string[]>) =>
  sorted(Object.entries(table).map(([key, words]) => [key, words.join(" ")] as const));
const table = (name: string, doc: string, value: Record<string, string>) =>
  `/** ${doc} */\nexport const ${name}: Readonly<Record<string, string>> = ${JSON.stringify(value, null, 1)};\n`;
const text = (name: string, doc: string, value: string) =>
  `/** ${doc} */\nexport const ${name} = ${JSON.stringify(value)};\n`;

writeFileSync(
  join(import.meta.dirname, "../src/fhir/r4/structure.gen.ts"),
  [
    "// Made by scripts/generate-r4-structure.ts from hl7.fhir.r4.core 4.0.1 (CC0). Do not edit.\n",
    table(
      "r4Bindings",
      "Type or backbone path → its elements with a required binding, as `name:list`.",
      joined(bindings),
    ),
    table(
      "r4Codes",
      "List → its codes. Where the bound element is a CodeableConcept, each system's URL stands before its codes.",
      sorted(codes),
    ),
    table(
      "r4SimpleQuantities",
      "Type or backbone path → its Quantities without a comparator (profile SimpleQuantity).",
      joined(simple),
    ),
    text("r4HtmlElements", "The elements of XHTML that a narrative may have (txt-1).", html),
    text("r4HtmlAttributes", "The attributes of XHTML that a narrative may have (txt-1).", attributes),
  ].join("\n"),
);
