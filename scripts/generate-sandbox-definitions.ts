// Writes sandbox/origin/*.gen.json.gz from the pristine R4 4.0.1 definitions (CC0) in the given folder, by
// default `../shared/data`. The origin has its own tables, not the tables of src/fhir: the gateway is tested
// against the origin, so the two must not share a mistake.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import * as z from "zod";

const data = join(process.argv[2] ?? join(import.meta.dirname, "../../shared/data"), "fhir/definitions");
const target = join(import.meta.dirname, "../sandbox/origin");

const lines = <T>(file: string, schema: z.ZodType<T>): T[] =>
  gunzipSync(readFileSync(join(data, file)))
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => schema.parse(JSON.parse(line)));

/**
 * Only the members that medplum's validator reads, and the summary flag: no prose, no mappings, no invariants
 * that are mere warnings.
 */
const element = z.object({
  path: z.string(),
  min: z.int(),
  max: z.string(),
  base: z.object({ path: z.string(), min: z.int(), max: z.string() }).optional(),
  contentReference: z.string().optional(),
  isSummary: z.boolean().optional(),
  type: z
    .array(
      z.object({
        code: z.string(),
        targetProfile: z.array(z.string()).optional(),
        extension: z.array(z.object({ url: z.string(), valueUrl: z.string().optional() })).optional(),
      }),
    )
    .optional(),
  binding: z.object({ strength: z.string(), valueSet: z.string().optional() }).optional(),
  constraint: z
    .array(
      z.object({
        key: z.string(),
        severity: z.string(),
        human: z.string(),
        expression: z.string().optional(),
      }),
    )
    .optional(),
});
type Elements = ReadonlyMap<string, z.infer<typeof element>>;
const structureDefinition = z.object({
  resourceType: z.literal("StructureDefinition"),
  url: z.string(),
  name: z.string(),
  kind: z.string(),
  abstract: z.boolean(),
  type: z.string(),
  baseDefinition: z.string().optional(),
  snapshot: z.object({ element: z.array(element) }),
});
const searchParameter = z.object({
  id: z.string(),
  code: z.string(),
  base: z.array(z.string()),
  type: z.string(),
  expression: z.string().optional(),
  target: z.array(z.string()).optional(),
  component: z.array(z.object({ definition: z.string() })).optional(),
});

const structures = lines("structuredefinitions-r4-base.ndjson.gz", structureDefinition).filter(
  ({ kind }) => kind !== "logical",
);
const byType = new Map(
  structures.map((structure) => [
    structure.type,
    new Map(structure.snapshot.element.map((e) => [e.path, e])),
  ]),
);

interface Place {
  /** JSON keys joined by dots; `telecom[system=phone]` selects the items with that `system`. */
  readonly path: string;
  /** The type of the value; `present`: true if any of the keys (comma) has a value except false. */
  readonly type: string;
  /** `where(resolve() is Patient)`. */
  readonly only?: string;
}

/**
 * The places in the JSON of a `type` where the FHIRPath `expression` finds its values. Undefined for a form
 * that the origin does not search by.
 */
function places(type: string, expression: string): Place[] | undefined {
  if (expression === "Patient.deceased.exists() and Patient.deceased != false")
    return [{ path: "deceasedBoolean,deceasedDateTime", type: "present" }];
  const terms = expression.split("|").map((term) =>
    term
      .trim()
      .replace(/^\((.*) as (\w+)\)/u, "$1.ofType($2)")
      .replaceAll(".as(", ".ofType("),
  );
  const own = terms.filter((term) => term.startsWith(`${type}.`));
  const found = own.map((term) =>
    walk(byType.get(type), term.split(/\.(?![^(]*\))/u).slice(1), { path: type, element: type, json: [] }),
  );
  return found.length === 0 || found.includes(undefined) ? undefined : found.flatMap((list) => list ?? []);
}

interface Here {
  /** Path of the element within its StructureDefinition: `Observation.component`. */
  readonly path: string;
  readonly element: string;
  readonly json: readonly string[];
}

function walk(elements: Elements | undefined, steps: readonly string[], here: Here): Place[] | undefined {
  const [step, ...rest] = steps;
  if (elements === undefined || step === undefined) return undefined;
  if (!/^\w+$/u.test(step)) return undefined;

  const choice = elements.get(`${here.path}.${step}[x]`);
  const plain = elements.get(`${here.path}.${step}`);
  const found = choice ?? plain;
  if (found === undefined) return undefined;

  const reference = found.contentReference?.slice(1);
  if (reference !== undefined)
    return on(elements, rest, { path: reference, element: "BackboneElement", json: [...here.json, step] });
  const results = (found.type ?? []).map(({ code }) => {
    const [next, ...after] = rest;
    const type = /^ofType\((\w+)\)$/u.exec(next ?? "")?.[1];
    if (choice !== undefined && type !== undefined && type !== code) return [];
    const key = choice === undefined ? step : `${step}${code.charAt(0).toUpperCase()}${code.slice(1)}`;
    const inside = code === "BackboneElement" || code === "Element";
    const there = { path: inside ? found.path : code, element: code, json: [...here.json, key] };
    return on(inside ? elements : byType.get(code), type === undefined ? rest : after, there);
  });
  return results.includes(undefined) ? undefined : results.flatMap((list) => list ?? []);
}

/** Continues from a place: ends there, filters the values, or goes further down. */
function on(
  elements: Elements | undefined,
  rest: readonly string[],
  { path, element, json }: Here,
): Place[] | undefined {
  const [next, ...after] = rest;
  const type = element.startsWith("http://hl7.org/fhirpath/System.") ? "string" : element;
  if (next === undefined) return [{ path: json.join("."), type }];
  const only = /^where\(resolve\(\) is (\w+)\)$/u.exec(next)?.[1];
  if (only !== undefined) return after.length === 0 ? [{ path: json.join("."), type, only }] : undefined;
  const kept = /^where\((\w+)='([\w-]+)'\)$/u.exec(next);
  if (kept !== null)
    return on(elements, after, {
      path,
      element,
      json: [...json.slice(0, -1), `${json.at(-1) ?? ""}[${kept[1]}=${kept[2]}]`],
    });
  return walk(elements, rest, { path, element, json });
}

const searchParameters = lines("search-parameters-r4.ndjson.gz", searchParameter);

/** A composite parameter (R4 §3.1.1.4.13): its items, as JSON keys joined by dots, and the codes of its parts. */
interface Composite {
  /** `""`: the resource itself. */
  readonly items: readonly string[];
  readonly of: readonly string[];
}

function composite(
  type: string,
  { expression = "", component = [] }: z.infer<typeof searchParameter>,
): Composite | undefined {
  const codes = component.map(
    ({ definition }) => searchParameters.find(({ id }) => definition.endsWith(`/${id}`))?.code,
  );
  const items = expression
    .split("|")
    .map((term) => new RegExp(`^${type}(?:\\.(\\w+))?$`, "u").exec(term.trim()));
  return codes.includes(undefined) || items.includes(null)
    ? undefined
    : { items: items.map((found) => found?.[1] ?? ""), of: codes.flatMap((code) => code ?? []) };
}

const composites: Record<string, Record<string, Composite>> = {};
const table: Record<string, Record<string, { type: string; target?: string[]; at: Place[] }>> = {};
for (const { kind, abstract, type } of structures) if (kind === "resource" && !abstract) table[type] = {};
const left: string[] = [];
for (const parameter of searchParameters)
  for (const resource of parameter.base) {
    const { id, code, type, expression, target: targets } = parameter;
    // the package's own examples; an example would replace Condition's subject
    if (/^example(?:-|$)/u.test(id)) continue;
    const joined = type === "composite" ? composite(resource, parameter) : undefined;
    if (joined !== undefined) {
      (composites[resource] ??= {})[code] = joined;
      continue;
    }
    const at =
      type === "composite" || type === "special" || expression === undefined
        ? undefined
        : places(resource, expression);
    if (at === undefined) left.push(`${resource}?${code} (${id})`);
    else if (table[resource]?.[code] !== undefined) throw new Error(`${resource}?${code} is defined twice`);
    else (table[resource] ??= {})[code] = { type, ...(targets && { target: targets }), at };
  }

// medplum treats an absent element as a violation of these invariants: R4's own examples fail them.
const misread = new Set(["bdl-8", "ras-2"]);

/**
 * The parser takes an element's own values where it has no base. An element that is like another element
 * takes the other element's values.
 */
function slim({ base, constraint, isSummary, ...kept }: z.infer<typeof element>): z.infer<typeof element> {
  const differs =
    base !== undefined &&
    (kept.contentReference !== undefined || base.path !== kept.path || base.max !== kept.max);
  return {
    ...kept,
    ...(isSummary === true && { isSummary }),
    ...(differs && { base }),
    ...(constraint && {
      constraint: constraint.filter(({ severity, key }) => severity === "error" && !misread.has(key)),
    }),
  };
}
for (const { snapshot } of structures) snapshot.element = snapshot.element.map(slim);

const write = (name: string, value: unknown) => {
  const packed = gzipSync(JSON.stringify(value), { level: 9 });
  writeFileSync(join(target, `${name}.gen.json.gz`), packed);
  console.log(`${name}: ${packed.length} bytes`);
};
write("search-parameters", table);
write("composite-parameters", composites);
write("structure-definitions", structures);
console.log(`${left.length} parameters are not searched by: ${left.join(", ")}`);
