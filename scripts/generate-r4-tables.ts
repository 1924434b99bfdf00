// Writes src/fhir/r4/*.gen.ts from the pristine R4 4.0.1 definitions (CC0) in the given folder, by default
// `../shared/data`. It takes names, types and cardinalities alone, without prose, so that the worker stays
// small.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { bindings, lists, simpleQuantities } from "./r4-bindings.ts";
import { data, lines } from "./r4-definitions.ts";

const target = join(import.meta.dirname, "../src/fhir/r4");

const elementDefinition = z.object({
  path: z.string(),
  min: z.int(),
  max: z.string(),
  isModifier: z.boolean().optional(),
  isSummary: z.boolean().optional(),
  contentReference: z.string().optional(),
  type: z.array(z.object({ code: z.string(), targetProfile: z.array(z.string()).optional() })).optional(),
});
const structure = z.object({
  name: z.string(),
  kind: z.string(),
  type: z.string(),
  baseDefinition: z.string().optional(),
  snapshot: z.object({ element: z.array(elementDefinition) }),
});
const searchParameter = z.object({
  id: z.string(),
  code: z.string(),
  base: z.array(z.string()),
  type: z.string(),
  expression: z.string().optional(),
  target: z.array(z.string()).optional(),
  url: z.string().optional(),
  component: z.array(z.object({ definition: z.string() })).optional(),
});
const compartment = z.object({
  resource: z.array(z.object({ code: z.string(), param: z.array(z.string()).optional() })),
});
const purposes = z.object({
  concepts: z.array(
    z.object({ code: z.string(), parents: z.array(z.string()), notSelectable: z.string().optional() }),
  ),
});

const structures = lines("fhir/definitions/structuredefinitions-r4-base.ndjson.gz", structure).filter(
  (s) => s.kind !== "logical",
);
// HL7's package has its example resources among the definitions. One example would limit Condition's subject
// to organizations.
const isExample = (id: string) => /^example(?:-|$)/u.test(id);
const parameters = lines("fhir/definitions/search-parameters-r4.ndjson.gz", searchParameter).filter(
  ({ id }) => !isExample(id),
);

type Element = z.infer<typeof elementDefinition>;
const shortType = (code: string) => (code === "http://hl7.org/fhirpath/System.String" ? "string" : code);
const openTypes = structures
  .flatMap((s) => s.snapshot.element)
  .find((element) => element.path === "Extension.value[x]")
  ?.type?.map((type) => type.code)
  .join("|");

const inherited: Record<string, ReadonlySet<string>> = Object.fromEntries(
  ["Element", "BackboneElement", "Resource", "DomainResource"].map((name) => [
    name,
    new Set(
      structures
        .find((s) => s.name === name)
        ?.snapshot.element.slice(1)
        .map((element) => element.path.slice(name.length + 1)),
    ),
  ]),
);

/** `name:type|type`, then `1` `*` `+` for 1..1, 0..* and 1..*, then `!` for a modifier. */
function elementText(element: Element, isParent: boolean): string {
  const name = element.path.slice(element.path.lastIndexOf(".") + 1);
  const types = (element.type ?? []).map((type) => shortType(type.code)).join("|");
  const type = element.contentReference ?? (isParent ? "." : types === openTypes ? "*" : types);
  const cardinality = element.max === "*" ? (element.min > 0 ? "+" : "*") : element.min > 0 ? "1" : "";
  return `${name}:${type}${cardinality}${element.isModifier === true ? "!" : ""}`;
}

const tables = new Map<string, string>();
for (const { name, kind, baseDefinition, snapshot } of structures) {
  if (kind === "primitive-type") continue;
  const elements = snapshot.element.filter((element) => element.max !== "0");
  const parents = new Set(
    elements.slice(1).map((element) => element.path.slice(0, element.path.lastIndexOf("."))),
  );
  for (const parent of parents) {
    const own = elements.find((element) => element.path === parent);
    const base =
      parent === name ? baseDefinition?.slice(baseDefinition.lastIndexOf("/") + 1) : own?.type?.[0]?.code;
    // The kinds of Quantity (Age, Count …) and MetadataResource list all their elements anew: their base is
    // the root's.
    const root =
      base !== undefined && base in inherited ? base : kind === "resource" ? "DomainResource" : "Element";
    const known = inherited[name] === undefined ? inherited[root] : undefined;
    const children = elements.filter(
      ({ path }) => path.startsWith(`${parent}.`) && !path.slice(parent.length + 1).includes("."),
    );
    const texts = children
      .filter(({ path }) => known?.has(path.slice(parent.length + 1)) !== true)
      .map((element) => elementText(element, parents.has(element.path)));
    if (tables.has(parent)) throw new Error(`${parent} is defined twice`);
    tables.set(
      parent,
      [known === undefined ? "" : `<${root}`, ...texts].filter((text) => text !== "").join(" "),
    );
  }
}
const resourceTypes = structures
  .filter((s) => s.kind === "resource" && !(s.name in inherited))
  .map((s) => s.name)
  .sort();

/** The elements of a summary as bits in hex; the lowest bit is the first element that the table of the type has. */
const summaries = Object.fromEntries(
  structures
    .filter(({ name }) => resourceTypes.includes(name))
    .map(({ name, snapshot }) => {
      const texts = (tables.get(name) ?? "").split(" ").filter((text) => !text.startsWith("<"));
      const isSummary = (text: string) =>
        snapshot.element.some(
          ({ path, isSummary: is }) => is === true && path === `${name}.${text.slice(0, text.indexOf(":"))}`,
        );
      const bits = texts.map((text) => (isSummary(text) ? "1" : "0")).toReversed();
      return [name, BigInt(`0b0${bits.join("")}`).toString(16)];
    }),
);

/**
 * A search expression as plain JSON element paths. Undefined when it has a different form (extensions,
 * conditions on values).
 */
function plainPaths(
  base: string,
  { code, type, expression = "" }: z.infer<typeof searchParameter>,
): string[] | undefined {
  if (type === "composite" || type === "special") return undefined;
  if (code === "_id") return ["id"];
  if (base === "Patient" && code === "deceased") return ["deceased[x]"]; // a condition on the one element
  const parts = expression.split("|").map((part) => part.trim());
  const own = parts.filter(
    (part) => part.replace(/^\(/u, "").startsWith(`${base}.`) || /^[a-z]+$/u.test(part),
  );
  // A filter by the kind of a related artifact reads that kind too.
  const filtered = /\.where\(type='[a-z-]+'\)/u;
  const read = own.flatMap((part) =>
    filtered.test(part)
      ? [part.replace(filtered, ""), part.replace(filtered, "").replace(/\.resource$/u, ".type")]
      : [part],
  );
  const paths = read.map((part) => plainPath(base, part));
  return paths.length === 0 || paths.includes(undefined)
    ? undefined
    : paths.filter((path) => path !== undefined);
}

function plainPath(base: string, part: string): string | undefined {
  const text = part
    .replace(/\.where\(resolve\(\) is [A-Za-z]+\)$/u, "")
    .replace(/\.where\(system='(?:phone|email)'\)$/u, "") // every telecom must be visible then
    .replace(/^\((?<path>[A-Za-z.]+) as (?<as>[A-Za-z]+)\)/u, "$<path>[$<as>]")
    .replace(/\.as\((?<as>[A-Za-z]+)\)$/u, "[$<as>]")
    .replace(/^(?<own>[a-z]+)$/u, `${base}.$<own>`);
  if (!/^[A-Za-z]+(?:\.[A-Za-z]+(?:\[[A-Za-z]+\])?)+$/u.test(text)) return undefined;
  let at = base;
  const steps = text.split(".").slice(1);
  const named: string[] = [];
  for (const step of steps) {
    const { name = "", as } = /^(?<name>[A-Za-z]+)(?:\[(?<as>[A-Za-z]+)\])?$/u.exec(step)?.groups ?? {};
    const choice = elementAt(at, `${name}[x]`);
    const plain = elementAt(at, name);
    if (choice === undefined && plain === undefined) return undefined;
    const types = (choice ?? plain)?.types ?? [];
    if (as !== undefined && !types.includes(as)) {
      if (plain === undefined || types.length !== 1) return undefined;
    }
    named.push(
      choice === undefined
        ? name
        : as === undefined
          ? `${name}[x]`
          : `${name}${as.charAt(0).toUpperCase()}${as.slice(1)}`,
    );
    at =
      as !== undefined && choice !== undefined
        ? as
        : types[0] === "."
          ? `${at}.${name}`
          : (types[0]?.replace("#", "") ?? "");
  }
  return named.join(".");
}

function elementAt(parent: string, name: string): { types: string[] } | undefined {
  const [first = "", ...rest] = (tables.get(parent) ?? "").split(" ");
  const all = first.startsWith("<")
    ? [...(tables.get(first.slice(1)) ?? "").split(" "), ...rest]
    : [first, ...rest];
  const text = all.find((element) => element.startsWith(`${name}:`));
  return text === undefined
    ? undefined
    : {
        types: text
          .slice(name.length + 1)
          .replace(/[1*+!]+$/u, "")
          .split("|"),
      };
}

const camelCase = (code: string): string =>
  code.replaceAll(/-(?<letter>[a-z])/gu, (_all, letter: string) => letter.toUpperCase());

/** The mark of a parameter's type; a token has none, a reference has `>` and its targets. */
const searchMarks: Readonly<Record<string, string>> = {
  token: "",
  reference: ">",
  date: "@",
  string: "$",
  uri: "%",
  quantity: "#",
  number: "+",
  composite: "&",
  special: "!",
};

/** A path that ends in the parameter's code is written without it. */
function shortPath(code: string, path: string): string {
  const own = camelCase(code);
  if (path === `${own}[x]`) return "*";
  return path === own ? "" : path.endsWith(`.${own}`) ? path.slice(0, -own.length) : path;
}

/** The types that most references may have, the most frequent first: in the table a letter stands for each. */
const searchTargets = [
  ...Map.groupBy(
    parameters.flatMap((one) => one.base.flatMap(() => targetsOf(one))),
    (type) => type,
  ),
]
  .sort(([, some], [, others]) => others.length - some.length)
  .map(([type]) => type)
  .filter((type) => type !== "*")
  .slice(0, 26);

/** The targets of a parameter; `*` for any. */
function targetsOf({ target = [] }: z.infer<typeof searchParameter>): readonly string[] {
  return target.length > 100 ? ["*"] : target;
}

function parameterText(base: string, parameter: z.infer<typeof searchParameter>): string {
  const { code, type } = parameter;
  const mark = searchMarks[type];
  if (mark === undefined) throw new Error(`${base}?${code} has the type ${type}`);
  if (type === "composite") {
    const codes = (parameter.component ?? []).map(
      ({ definition }) => parameters.find(({ url }) => url === definition)?.code ?? "",
    );
    return `${code}=${codes.includes("") || codes.length < 2 ? "-" : codes.join("&")}${mark}`;
  }
  const paths =
    plainPaths(base, parameter)
      ?.map((path) => shortPath(code, path))
      .join(",") ?? "-";
  const resolved = [
    ...(parameter.expression ?? "").matchAll(
      new RegExp(String.raw`${base}\.[A-Za-z.]+\.where\(resolve\(\) is ([A-Za-z]+)\)`, "gu"),
    ),
  ];
  const targets =
    resolved.length > 0 ? new Set(resolved.flatMap((match) => match[1] ?? [])) : targetsOf(parameter);
  const letters = [...targets].map((target) => {
    const place = searchTargets.indexOf(target);
    return place < 0 && target !== "*" ? `|${target}|` : place < 0 ? "*" : String.fromCodePoint(65 + place);
  });
  const list = letters.join("").replace(/\|$/u, "");
  return `${code}${paths === "" ? "" : `=${paths}`}${mark}${type === "reference" ? list : ""}`;
}

const search: Record<string, string> = {};
for (const base of ["Resource", ...resourceTypes]) {
  const own = parameters.filter((parameter) => parameter.base.includes(base));
  const twice = own.find(({ code }, index) => own.findIndex((parameter) => parameter.code === code) < index);
  if (twice !== undefined) throw new Error(`${base}?${twice.code} is defined twice`);
  if (own.length > 0) search[base] = own.map((parameter) => parameterText(base, parameter)).join(" ");
}

// Patients who only took part (promise P3: policies only grant). Every other compartment parameter names an
// owner.
const taking = [
  "author",
  "performer",
  "asserter",
  "recorder",
  "payee",
  "sender",
  "recipient",
  "requester",
  "attester",
  "participant",
];
const participantCodes = new Set([...taking, "policy-holder", "subscriber", "payor", "receiver", "source"]);
const patientCompartment = compartment.parse(
  JSON.parse(readFileSync(join(data, "fhir/definitions/CompartmentDefinition-patient.json"), "utf8")),
);
const owners: Record<string, string> = {};
const participants: Record<string, string> = {};
const put = (table: Record<string, string>, type: string, paths: readonly string[]) => {
  if (paths.length > 0)
    table[type] = [
      ...new Set([...(table[type] ?? "").split(" ").filter((path) => path !== ""), ...paths]),
    ].join(" ");
};
for (const { code: type, param } of patientCompartment.resource) {
  if (type === "Patient") continue; // a Patient is owned by itself, and `link` is a mention
  for (const code of param ?? []) {
    const parameter = parameters.find((p) => p.code === code && p.base.includes(type));
    const paths = parameter === undefined ? undefined : plainPaths(type, parameter);
    if (paths === undefined) throw new Error(`the compartment parameter ${type}.${code} is not a plain path`);
    // The person at the keyboard of an audited event took part in it; the event is about `entity.what`.
    const took = participantCodes.has(code) ? paths : paths.filter((path) => path === "agent.who");
    put(participants, type, took);
    put(
      owners,
      type,
      paths.filter((path) => !took.includes(path)),
    );
  }
}
// Types outside the compartment that still name the patient they are about: recorded, never a reason to
// permit. Search finds no donor of a product.
const concerned: Record<string, string> = { BiologicallyDerivedProduct: "collection.source" };
for (const type of resourceTypes) {
  if (type in owners || type === "Patient") continue;
  for (const parameter of parameters) {
    if (!parameter.base.includes(type) || !["patient", "subject"].includes(parameter.code)) continue;
    if (parameter.type === "reference" && parameter.target?.includes("Patient") === true)
      put(concerned, type, plainPaths(type, parameter) ?? []);
  }
}

// Types outside the compartment: every reference besides these that may name a patient, by its target types
// (`Resource`: any).
const involved: Record<string, string> = {};
for (const { type, kind, snapshot } of structures) {
  if (kind !== "resource" || !resourceTypes.includes(type) || type in owners || type === "Patient") continue;
  for (const { path, type: types = [] } of snapshot.element) {
    const name = path.slice(type.length + 1).replace("[x]", "Reference");
    const mayBePatient = types.some(
      ({ code, targetProfile = ["/Resource"] }) =>
        code === "Reference" && targetProfile.some((target) => /\/(?:Patient|Resource)$/u.test(target)),
    );
    if (mayBePatient && concerned[type]?.split(" ").includes(name) !== true) put(involved, type, [name]);
  }
}

const reasons = purposes.parse(
  JSON.parse(readFileSync(join(data, "facts/purpose-of-use.json"), "utf8")),
).concepts;
const purposeOfUse = Object.fromEntries(
  reasons
    .filter((reason) => reason.notSelectable !== "true")
    .map((reason) => [reason.code, reason.parents.filter((parent) => parent !== "PurposeOfUse").join(" ")]),
);

/** `SimpleQuantity` in place of `Quantity` at an element that has this profile. */
const profiled = (path: string, type: string): string =>
  simpleQuantities.has(path) ? type.replace(/\bQuantity\b/u, "SimpleQuantity") : type;

/** The types that most elements have, the most frequent first: in the tables a letter stands for each. */
const elementTypes = [...Map.groupBy([...tables].flatMap(typesIn), (type) => type)]
  .sort(([, some], [, others]) => others.length - some.length)
  .map(([type]) => type)
  .filter((type) => /^[A-Za-z]/u.test(type))
  .slice(0, 20);

function typesIn([path, text]: readonly [path: string, text: string]): string[] {
  return text.split(" ").flatMap((word) => {
    const { name = "", type } = /^(?<name>[^:]+):(?<type>.+?)[1*+]?!?$/u.exec(word)?.groups ?? {};
    return type === undefined ? [] : [profiled(`${path}.${name}`, type)];
  });
}

/** The mark of a required binding: `=` and the number of its list in base 36. */
function boundText(path: string): string {
  const list = bindings.get(path);
  return list === undefined ? "" : `=${lists.indexOf(list).toString(36)}`;
}

/** The words of a type or backbone, each backbone in parentheses behind the word of its element. */
function nestedText(path: string): string {
  const base = path.includes(".") ? "<BackboneElement" : "<DomainResource";
  const [first = "", ...rest] = (tables.get(path) ?? "").split(" ");
  const own = first === base ? rest : first.startsWith("<") ? [first, ...rest] : ["<", first, ...rest];
  return own
    .map((word) => {
      const [, name = "", type = "", after = ""] = /^([^:]+):(.+?)([1*+]?!?)$/u.exec(word) ?? [];
      if (name === "") return word;
      const own = profiled(`${path}.${name}`, type);
      const code = elementTypes.indexOf(own);
      const short = code < 0 ? own : String.fromCodePoint(65 + code);
      const bound = boundText(`${path}.${name}`);
      if (type === ".") return `${name}${after}(${nestedText(`${path}.${name}`)})`;
      return `${name}${code < 0 ? ":" : ""}${short}${after}${bound}`;
    })
    .join(" ");
}

const sorted = (table: Record<string, string>) =>
  Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
const made = "// Made by scripts/generate-r4-tables.ts from hl7.fhir.r4.core 4.0.1 (CC0). Do not edit.\n";
const write = (file: string, exports: Record<string, [doc: string, value: unknown]>) => {
  const body = Object.entries(exports).map(([name, [doc, value]]) => {
    const [type, asConst] = Array.isArray(value)
      ? ["", " as const"]
      : [typeof value === "string" ? "" : ": Readonly<Record<string, string>>", ""];
    return `/** ${doc} */\nexport const ${name}${type} = ${JSON.stringify(value, null, 1)}${asConst};\n`;
  });
  writeFileSync(join(target, file), [made, ...body].join("\n"));
};

write("summary.gen.ts", {
  r4Summaries: [
    "For each of `r4ResourceTypes` its own elements that a summary shows (`isSummary`), as bits in hex: the lowest bit is the first element of its entry in `r4Elements`.",
    resourceTypes.map((type) => summaries[type] ?? "0").join(" "),
  ],
});
// The names are a type, and no text in a bundle: the table of elements has them.
writeFileSync(
  join(target, "types.gen.ts"),
  `${made}
/** A resource type of FHIR R4 (4.0.1), the concrete types only. */
export type ResourceType =
${resourceTypes.map((type) => ` | ${JSON.stringify(type)}`).join("\n")};
`,
);
write("elements.gen.ts", {
  r4Elements: [
    "A line a type: its name, `<Base` (without it DomainResource, or BackboneElement in parentheses; `<` alone: none), then its own elements: the name, a capital letter for the type at its place in `r4ElementTypes`, or `:` and the types as `type|type`, cardinality `1` `*` `+` (else 0..1), `!` modifier, `=` and the number of a list of `r4Codes` (in base 36) for a required binding. `SimpleQuantity` has no comparator. `#` is a content reference, `*` every open type. An element without a type is a backbone of its own, whose elements follow in parentheses.",
    [...tables.keys()]
      .filter((path) => !path.includes("."))
      .sort()
      .map((type) => `\n${type} ${nestedText(type)}`)
      .join("")
      .concat("\n"),
  ],
  r4ElementTypes: ["The types that most elements have.", elementTypes],
  r4OpenTypes: ["The types of an open choice (R4 datatypes §2.24.0.0).", (openTypes ?? "").split("|")],
});
write("search.gen.ts", {
  r4Search: [
    "A line a type: first Resource, then each type of `r4ResourceTypes`. Its search parameters as code, `=` and paths, and a mark of the type: none for a token, `>` a reference, `@` a date, `$` a string, `%` a uri, `#` a quantity, `+` a number, `&` a composite, `!` special. A path is `-` where the expression is not a plain one; the code in camel case if it is absent or ends in a full stop; `*` the code with `[x]`. After `>` stand the targets: a letter for the type at its place in `r4SearchTargets`, the name of a further type between bars, `*` for any type. A composite has codes in place of paths.",
    ["Resource", ...resourceTypes].map((type) => search[type] ?? "").join("\n"),
  ],
  r4SearchTargets: ["The types that most references may have.", searchTargets],
});
const roles = [owners, participants, concerned, involved];
write("compartment.gen.ts", {
  r4Compartment: [
    "A line for each of `r4ResourceTypes`: the element paths whose Patient owns the resource, a comma, the paths whose Patient only took part; then for types outside the patient compartment the paths that name whom they are about, and the other paths that may name a patient. Commas at the end are left out.",
    resourceTypes
      .map((type) =>
        roles
          .map((role) => role[type] ?? "")
          .join(",")
          .replace(/,+$/u, ""),
      )
      .join("\n"),
  ],
});
write("purpose-of-use.gen.ts", {
  purposeOfUse: [
    "v3-ActReason 4.0.0 below PurposeOfUse (HL7 THO, CC0): code → the codes it specialises.",
    sorted(purposeOfUse),
  ],
});
