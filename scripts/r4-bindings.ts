// The required bindings of R4's elements, and the codes of their value sets, as the scripts that generate
// tables read them.
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

/** Resources and complex types. */
export const structures = lines("fhir/definitions/structuredefinitions-r4-base.ndjson.gz", structure)
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
/** The systems of a value set, each once. */
const systemsOf = (url: string): readonly string[] => [
  ...new Set(sets.get(url)?.compose.include.map(({ system }) => system)),
];
const lastOf = (url: string) => url.slice(url.lastIndexOf("/") + 1).replace(/\|.*$/u, "");

/**
 * The codes of a value set. Undefined when it includes a whole system that cannot be listed (MIME types,
 * UCUM, ISO 4217).
 */
function codesOf(url: string, withSystems: boolean): string | undefined {
  const words: string[] = [];
  const set = sets.get(url);
  if (set === undefined) return undefined; // LOINC's answer list LL379-9
  // SPDX adds licences all the time, ImplementationGuide.license alone has them, and the list is 1.6 KiB of the gateway.
  if (lastOf(url) === "spdx-license") return undefined;
  for (const { system, concept: some } of set.compose.include) {
    const concepts = some ?? systems.get(system);
    if (concepts === undefined) return undefined;
    words.push(...(withSystems ? [system] : []), ...flat(concepts));
  }
  return words.join(" ");
}

/**
 * List of plain codes → its systems, if they are not the one system `http://hl7.org/fhir/` with the name of the list.
 * No row states them.
 */
export const codeSystems = new Map<string, readonly string[]>();
/** List → its codes. Where the bound element is a CodeableConcept, the URL of each system stands before its codes. */
export const codes = new Map<string, string>();
/** Path of an element with a required binding → the name of its list. */
export const bindings = new Map<string, string>();
/** Paths of the elements whose Quantity has no comparator (profile SimpleQuantity). */
export const simpleQuantities = new Set<string>();
for (const { path, binding, type = [] } of structures.flatMap((one) => one.snapshot.element)) {
  if (!path.includes(".")) continue;
  if (binding?.strength === "required" && binding.valueSet !== undefined) {
    const list = lastOf(binding.valueSet);
    const url = binding.valueSet.replace(/\|.*$/u, "");
    const text = codesOf(url, type[0]?.code === "CodeableConcept");
    if (text !== undefined) {
      if ((codes.get(list) ?? text) !== text) throw new Error(`two value sets are called ${list}`);
      codes.set(list, text);
      bindings.set(path, list);
      const named = systemsOf(url);
      if (type[0]?.code === "code" && named.join() !== `http://hl7.org/fhir/${list}`)
        codeSystems.set(list, named);
    }
  }
  if (type.some((one) => one.profile?.map(lastOf).includes("SimpleQuantity"))) simpleQuantities.add(path);
}

/** The lists in the order of their numbers. */
export const lists = [...codes.keys()].sort((a, b) => (a < b ? -1 : 1));
