// Writes src/fhir/r4/ties.gen.ts: the R4 elements that a server checks against each other, by the invariants
// of the StructureDefinitions (constraints of severity `error`) and by pairs of bounds that servers check
// without an invariant.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseFhirPath } from "@medplum/core";
import * as z from "zod";
import { elementsOf, isPrimitive } from "#fhir/r4/elements";
import { namesAt } from "#policy/view/ties";
import { lines } from "./r4-definitions.ts";

const structure = z.object({
  name: z.string(),
  kind: z.string(),
  snapshot: z.object({
    element: z.array(
      z.object({
        path: z.string(),
        max: z.string(),
        constraint: z
          .array(z.object({ key: z.string(), severity: z.string(), expression: z.string().optional() }))
          .optional(),
      }),
    ),
  }),
});

/**
 * Invariants of any element, extension or contained resource. The gateway meets these itself, for every view.
 */
const general = /^(?:ele|ext|dom|ref|txt)-/u;

/** An element that an expression evaluates to: its path below the root, and its types. */
interface Node {
  readonly steps: readonly string[];
  /** R4 types or backbone paths: several for a choice. */
  readonly types: readonly string[];
}

interface Scope {
  readonly root: Node;
  readonly context: Node;
  /** Takes an element that decides the result; `whole`: with all elements below it. */
  readonly note: (node: Node, whole: boolean) => void;
}

/**
 * A node of FHIRPath in medplum's parser. The members tell the kinds apart, because the classes are not
 * exported by name.
 */
interface Atom {
  readonly child?: Atom;
  readonly operator?: string;
  readonly left?: Atom;
  readonly right?: Atom;
  readonly expr?: Atom;
  readonly name?: string;
  readonly args?: readonly Atom[];
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function childOf({ steps, types }: Node, name: string): readonly Node[] {
  return types.flatMap((type) => {
    const element = elementsOf(type).get(name) ?? elementsOf(type).get(`${name}[x]`);
    if (element === undefined) return [];
    const last = steps.at(-1) ?? "";
    const before = last.endsWith("[x]")
      ? [...steps.slice(0, -1), last.slice(0, -"[x]".length) + capital(type)]
      : steps;
    return { steps: [...before, element.name], types: element.forms.map((form) => form.type) };
  });
}

/** A single form of a choice. */
function asType({ steps, types }: Node, type: string): readonly Node[] {
  const last = steps.at(-1) ?? "";
  if (!last.endsWith("[x]")) return [{ steps, types }];
  return types.includes(type)
    ? [{ steps: [...steps.slice(0, -1), last.slice(0, -"[x]".length) + capital(type)], types: [type] }]
    : [];
}

/** Functions with a result that represents their input, or a part of it. */
const passing = new Set(["first", "last", "tail", "skip", "take", "trace", "resolve", "single", "distinct"]);
const comparing = new Set(["isDistinct", "intersect", "combine", "subsetOf", "supersetOf"]);

/**
 * The elements that an expression evaluates to, from these elements. The elements that decide the result are
 * noted on the way.
 */
function evaluate(atom: Atom, from: readonly Node[], scope: Scope): readonly Node[] {
  const { child, operator, left, right, expr, name, args } = atom;
  if (child !== undefined) return evaluate(child, from, scope);
  if (left !== undefined && expr !== undefined) return evaluate(left, from, scope); // an index
  if (args !== undefined && name !== undefined) return called(name, args, from, scope);
  if (name !== undefined) return named(name, from, scope);
  if (left === undefined || right === undefined) return []; // a literal
  switch (operator) {
    case ".":
      return evaluate(right, evaluate(left, from, scope), scope);
    case "as":
      return evaluate(left, from, scope).flatMap((node) => asType(node, right.name ?? ""));
    case "is":
      for (const node of evaluate(left, from, scope)) scope.note(node, false);
      return [];
    case "|":
      return [...evaluate(left, from, scope), ...evaluate(right, from, scope)];
    case "and":
    case "or":
    case "xor":
    case "implies":
      for (const side of [left, right])
        for (const node of evaluate(side, from, scope)) scope.note(node, false);
      return [];
    case undefined:
    default: // a comparison, or a sum
      for (const side of [left, right])
        for (const node of evaluate(side, from, scope)) scope.note(node, true);
      return [];
  }
}

function named(name: string, from: readonly Node[], { root, context }: Scope): readonly Node[] {
  if (name === "$this") return from;
  if (name === "%resource" || name === "%rootResource" || name === root.types[0]) return [root];
  if (name === "%context") return [context];
  return name.startsWith("%") ? [] : from.flatMap((node) => childOf(node, name));
}

function called(name: string, args: readonly Atom[], from: readonly Node[], scope: Scope): readonly Node[] {
  if (name === "ofType" || name === "as") return from.flatMap((node) => asType(node, args[0]?.name ?? ""));
  if (name === "children")
    return from.flatMap((node) =>
      node.types.flatMap((type) =>
        [...elementsOf(type).keys()].flatMap((element) => childOf(node, element.replace("[x]", ""))),
      ),
    );
  const found = args.map((arg) => evaluate(arg, from, scope));
  const noteAll = (whole: boolean) => {
    for (const node of [...from, ...found.flat()]) scope.note(node, whole);
  };
  if (name === "where") {
    for (const node of found.flat()) scope.note(node, false);
    return from;
  }
  if (name === "select") return found.flat();
  if (name === "all") {
    for (const node of found.flat()) scope.note(node, false);
    return [];
  }
  if (passing.has(name)) return from;
  if (name === "descendants" || comparing.has(name)) {
    noteAll(true);
    return [];
  }
  noteAll(false);
  return [];
}

const ties = new Map<string, Map<string, string>>();
const add = (type: string, key: string, paths: readonly string[]) => {
  const known = ties.get(type) ?? new Map<string, string>();
  ties.set(type, known.set(key, paths.join(",")));
};

const structures = lines("fhir/definitions/structuredefinitions-r4-base.ndjson.gz", structure)
  .filter(({ kind }) => kind === "resource" || kind === "complex-type")
  .filter(({ name }) => name !== "SimpleQuantity");
for (const { name, snapshot } of structures) {
  for (const { path, constraint = [] } of snapshot.element) {
    for (const { key, severity, expression } of constraint) {
      if (severity !== "error" || expression === undefined || general.test(key)) continue;
      const steps = path.split(".").slice(1);
      // A backbone is a type of its own in the table, and several resources may share it. Its invariants
      // belong to its own path.
      const isOwn = elementsOf(path).size > 0 && !/%(?:root)?resource/iu.test(expression);
      const root: Node = isOwn ? { steps: [], types: [path] } : { steps: [], types: [name] };
      const context = isOwn
        ? [root]
        : steps.reduce<readonly Node[]>(
            (nodes, step) => nodes.flatMap((node) => childOf(node, step.replace("[x]", ""))),
            [root],
          );
      const paths = new Set<string>();
      const note = (node: Node, whole: boolean) => {
        if (node.steps.length === 0) return;
        paths.add(
          node.steps.join(".") + (whole && node.types.some((type) => !isPrimitive(type)) ? ".*" : ""),
        );
      };
      const [first = root] = context;
      for (const node of evaluate(parseFhirPath(expression) as unknown as Atom, context, {
        root,
        context: first,
        note,
      }))
        note(node, false); // the members tell the kinds apart
      // The presence of an element is known from any element below it, and the forms of a choice are one path
      // to a writer.
      const isBelow = (text: string, other: string) =>
        text.startsWith(`${other}.`) ||
        (other.endsWith("[x]") && !text.includes("[x]") && text.startsWith(other.slice(0, -"[x]".length)));
      // An extension is not part of the decision of an invariant: if its visible elements are removed, the
      // whole element is absent.
      const decisive = [...paths]
        .filter((text) => text !== "extension" && ![...paths].some((each) => isBelow(each, text)))
        .toSorted();
      if (decisive.length > 1 || decisive.some((text) => text.endsWith(".*")))
        add(isOwn ? path : name, key, decisive);
    }
  }
}

/**
 * Beginning and end, least and most, part and whole: a server may compare them without an invariant of R4.
 */
const bounds: readonly (readonly [string, string])[] = [
  ["start", "end"],
  ["low", "high"],
  ["lowerLimit", "upperLimit"],
  ["min", "max"],
  ["minValue[x]", "maxValue[x]"],
  ["count", "countMax"],
  ["duration", "durationMax"],
  ["frequency", "frequencyMax"],
  ["period", "periodMax"],
  ["numerator", "denominator"],
  ["onset[x]", "abatement[x]"],
  ["onset[x]", "lastOccurrence"],
  ["birthDate", "deceasedDateTime"],
  ["born[x]", "deceased[x]"],
  ["manufactureDate", "expirationDate"],
  ["sent", "received"],
  ["whenPrepared", "whenHandedOver"],
  ["authoredOn", "lastModified"],
];
const types = structures
  .flatMap(({ snapshot }) => snapshot.element.map(({ path }) => path))
  .filter((path) => elementsOf(path).size > 0);
for (const type of types) {
  const elements = [...elementsOf(type).values()];
  const names = new Set(elements.flatMap(({ name, forms }) => [name].concat(forms.map((form) => form.name))));
  for (const pair of bounds) {
    const isKnown = [...(ties.get(type)?.values() ?? [])].includes(pair.toSorted().join(","));
    if (pair.every((name) => names.has(name)) && !isKnown)
      add(type, "bounds", [...(ties.get(type)?.get("bounds")?.split(",") ?? []), ...pair]);
  }
}

/** A path as `namesAt` reads it: a character for the element's place in its type, and the number of a form of a choice. */
function placesOf(type: string, path: string): string {
  let at = type;
  const places = path.split(".").map((step) => {
    if (step === "*") return step;
    const elements = [...elementsOf(at).values()];
    const place = elements.findIndex(
      ({ name, forms }) => name === step || forms.some((form) => form.name === step),
    );
    const { name = "", forms = [] } = elements[place] ?? {};
    const form = Math.max(
      forms.findIndex((each) => each.name === step),
      0,
    );
    at = forms[form]?.type ?? "";
    return String.fromCodePoint(63 + place) + (name === step ? "" : form);
  });
  const text = places.join("");
  if (namesAt(type, text).join(".") !== path) throw new Error(`${type}.${path} cannot be read back`);
  return text;
}

const table = Object.fromEntries(
  [...ties]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([type, known]) => {
      const shortened = (paths: string) =>
        paths
          .split(",")
          .map((path) => placesOf(type, path))
          .join(",");
      return [type, [...known].map(([key, paths]) => `${key}:${shortened(paths)}`).join(" ")];
    }),
);
writeFileSync(
  join(import.meta.dirname, "../src/fhir/r4/ties.gen.ts"),
  [
    "// Made by scripts/generate-r4-ties.ts from hl7.fhir.r4.core 4.0.1 (CC0). Do not edit.\n",
    "/** Type or backbone path → elements that a server checks against each other, as `key:path,path`. A step of a path is a character for the element's place in its type, from `?` on, and the number of a form of a choice; `*`: all that is below. */",
    `export const r4Ties: Readonly<Record<string, string>> = ${JSON.stringify(table, null, 1)};\n`,
  ].join("\n"),
);
