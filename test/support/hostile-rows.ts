import { elementsOf, isPrimitive, type R4Element } from "#fhir/r4/elements";
import type { SearchParameterDefinition } from "#fhir/search/parameters";
import { typeShapeOf } from "#fhir/validate/shape";
import { to } from "./fhir-parts.ts";
import { inLane } from "./lane.ts";

type Json = Record<string, unknown>;

/** How a row is made dear: one of its elements is filled to the limit of a write, in one way. */
export interface Filling {
  /** The names of the element and of its parents: `["effectiveTiming", "event"]`. */
  readonly path: readonly string[];
  /** A list of different values, a list of equal values, or one long text. */
  readonly how: "different" | "equal" | "long";
  /** The letter of a long text. Its forms in lower case and without accents have other lengths, or other bytes. */
  readonly letter: string;
  /** The type that the references of a list name. */
  readonly named: "Patient" | "Practitioner";
  /** The most values of a list. */
  readonly most: number;
}

/** Bytes of the filled element: the size of an accepted write, less the row's other elements. The fast lane fills a tenth. */
const fillBytes = inLane({ fast: 100_000, slow: 1_000_000, long: 1_000_000 });
const depthMax = 4;

/**
 * The paths of a type that a filling can fill: each list, or each text, of the type and of the types of its elements.
 */
export function fillable(type: string, how: Filling["how"]): readonly (readonly string[])[] {
  const [kind, key] =
    how === "long" ? (["text", `${type} text`] as const) : (["list", `${type} list`] as const);
  const known = paths.get(key) ?? [...fillableIn(type, kind, [])];
  paths.set(key, known);
  return known;
}

const paths = new Map<string, readonly (readonly string[])[]>();

function* fillableIn(
  type: string,
  kind: "text" | "list",
  above: readonly string[],
): Generator<readonly string[]> {
  for (const element of elementsOf(inside(type)).values()) {
    if (element.name === "id" || element.name === "implicitRules") continue;
    if (above.includes(element.name)) continue; // an extension in an extension, an item in an item
    for (const { name, type: below } of element.forms) {
      const path = [...above, name];
      if (kind === "list" ? element.repeats : isText(below)) yield path;
      if (isPrimitive(below) || path.length === depthMax) continue;
      if (below === "Extension" && above.length > 0) continue; // the extensions of the row itself have all values
      yield* fillableIn(below, kind, path);
    }
  }
}

/** A contained resource is a Basic. */
const inside = (type: string) => (type === "Resource" ? "Basic" : type);
const isText = (type: string) => ["string", "markdown", "uri", "code", "canonical", "xhtml"].includes(type);

/** A row of at most one MiB, with one element filled. */
export function hostileRow(row: Json, filling: Filling): Json {
  return filled(String(row["resourceType"]), filling.path, filling, row);
}

function filled(
  type: string,
  [name = "", ...below]: readonly string[],
  filling: Filling,
  before: Json,
): Json {
  const element = [...elementsOf(type).values()].find(({ forms }) =>
    forms.some((form) => form.name === name),
  );
  const form = element?.forms.find((each) => each.name === name);
  if (element === undefined || form === undefined) throw new Error(`${type} has no element ${name}`);
  const others = element.forms.map((each) => each.name).filter((each) => each !== name);
  const kept = Object.fromEntries(Object.entries(before).filter(([member]) => !others.includes(member)));
  if (below.length === 0 && filling.how !== "long")
    return { ...kept, [name]: manyOf(filling, (n) => valueIn(type, form, n, filling.named)) };
  const present = ([before[name]].flat()[0] ?? valueOf(form.type, 0)) as Json;
  const value =
    below.length === 0 ? longIn(form.type, filling) : filled(inside(form.type), below, filling, present);
  return { ...kept, [name]: element.repeats ? [value] : value };
}

function longIn(type: string, { letter }: Filling): string {
  const text = letter.repeat(Math.floor(fillBytes / Buffer.byteLength(letter)));
  return type === "xhtml" ? `<div xmlns="http://www.w3.org/1999/xhtml">${text}</div>` : text;
}

/** As many values as fit, and `most` at most. */
function manyOf({ how, most }: Filling, make: (n: number) => unknown): readonly unknown[] {
  const made: unknown[] = [];
  for (let [n, bytes] = [0, 0]; n < most; n += 1) {
    const value = make(how === "equal" ? 7 : n);
    bytes += Buffer.byteLength(JSON.stringify(value)) + 1;
    if (bytes > fillBytes) break;
    made.push(value);
  }
  return made;
}

/** A short value of an element of a type: one of the codes that the element may have. */
function valueIn(
  type: string,
  form: { readonly name: string; readonly type: string },
  n: number,
  named: Filling["named"] = "Practitioner",
  depth = 0,
): unknown {
  const codes = typeShapeOf(type).slots.get(form.name)?.binding?.codes;
  if (form.type === "code" && codes !== undefined) return [...codes][n % codes.size];
  return form.type === "Reference"
    ? to(`${named}/${named === "Patient" ? "one-of-a-crowd-with-long-names-" : "p"}${n}`)
    : valueOf(form.type, n, depth);
}

/** A short value of a type. `n` makes the values of a list differ. */
function valueOf(type: string, n: number, depth = 0): unknown {
  const made = values[type];
  if (made !== undefined) return made(n);
  if (isPrimitive(type)) return `v${n}`;
  // its required elements, and one element more, so that the value is not empty
  const elements = [...elementsOf(type).values()].filter(({ name }) => !ofEachType.has(name));
  const chosen = elements.filter(
    ({ required }, i) => required || (depth < 3 && i === n % Math.max(elements.length, 1)),
  );
  return Object.fromEntries(chosen.map((element) => memberOf(type, element, n, depth + 1)));
}

function memberOf(parent: string, { forms, repeats }: R4Element, n: number, depth = 0): [string, unknown] {
  const form = forms[n % forms.length] ?? { name: "id", type: "id" };
  const value = valueIn(parent, form, n, "Practitioner", depth);
  return [form.name, repeats ? [value] : value];
}

const ofEachType = new Set(["id", "extension", "modifierExtension"]);
const day = (n: number) => new Date(Date.UTC(1_900, 0, 1 + (n % 60_000))).toISOString().slice(0, 10);
const xhtml = '<div xmlns="http://www.w3.org/1999/xhtml">t</div>';

const values: Readonly<Record<string, (n: number) => unknown>> = {
  boolean: (n) => n % 2 === 0,
  integer: (n) => n,
  positiveInt: (n) => n + 1,
  unsignedInt: (n) => n,
  decimal: (n) => n / 4,
  date: day,
  dateTime: (n) => String(1_900 + (n % 300)),
  instant: (n) => `${day(n)}T00:00:00Z`,
  time: () => "10:00:00",
  base64Binary: () => "YQ==",
  uri: (n) => `urn:u:${n}`,
  url: (n) => `https://u.example/${n}`,
  canonical: (n) => `https://c.example/${n}`,
  code: (n) => `c${n}`,
  id: (n) => `i${n}`,
  xhtml: () => xhtml,
  Coding: (n) => ({ system: "urn:c", code: `c${n}` }),
  CodeableConcept: (n) => ({ coding: [{ system: "urn:c", code: `c${n}` }] }),
  Identifier: (n) => ({ system: "urn:i", value: `v${n}` }),
  Quantity: (n) => ({ value: n, unit: "mg" }),
  Period: (n) => ({ start: day(n), end: day(n + 1) }),
  HumanName: (n) => ({ family: `é${n}`, given: [`g${n}`] }),
  Extension: (n) => ({ url: `urn:x:${n}`, valueString: "x" }),
  Narrative: () => ({ status: "generated", div: xhtml }),
  // a contained resource refers to its container, or is referred to (dom-3)
  Resource: (n) => ({ resourceType: "Basic", id: `b${n}`, code: { text: "x" }, subject: to("#") }),
};

/** A small row of a patient: its required elements, and the element `owner` that names the patient. */
export function smallRow(type: string, id: string, patient: string, owner: string, more: Json = {}): Json {
  const required = [...elementsOf(type).values()].filter((element) => element.required);
  const members = Object.fromEntries(required.map((element) => memberOf(type, element, 0)));
  const own = type === "Patient" ? {} : ownerIn(type, owner.split("."), patient, members);
  return { resourceType: type, ...members, ...own, ...more, id };
}

function ownerIn(
  type: string,
  [name = "", ...below]: readonly string[],
  patient: string,
  before: Json,
): Json {
  const present = ([before[name]].flat()[0] ?? {}) as Json;
  const value =
    below.length === 0
      ? to(`Patient/${patient}`)
      : { ...present, ...ownerIn(`${type}.${name}`, below, patient, present) };
  return { [name]: elementsOf(type).get(name)?.repeats === true ? [value] : value };
}

/** The modifiers that a parameter's type may have. A question with another modifier is refused. */
export const modifiersOf: Readonly<Partial<Record<string, readonly string[]>>> = {
  token: ["", ":not", ":text"],
  string: ["", ":contains", ":exact"],
  reference: ["", ":Practitioner", ":identifier"],
  uri: ["", ":below"],
};

/** The most values of a parameter that a question may have; a parameter may stand several times. */
const valuesMax = 100;

/** A question with many values for a parameter, of the parameter's form. The last of each hundred finds most rows. */
export function searchedQuery(
  { code, type }: SearchParameterDefinition,
  modifier: string,
  count: number,
): string {
  const make = searched[type] ?? ((n: number) => `x${n}`);
  const groups = Array.from({ length: Math.ceil(count / valuesMax) }, (_, group) => {
    const length = Math.min(valuesMax, count - group * valuesMax) - 1;
    const missing = Array.from({ length }, (_none, n) => make(group * valuesMax + n));
    return `${code}${modifier}=${[...missing, matching[type] ?? "x"].map(encodeURIComponent).join(",")}`;
  });
  return groups.join("&");
}

const matching: Readonly<Partial<Record<string, string>>> = {
  token: "urn:c|c1",
  date: "ge1850",
  string: "é",
  reference: "Practitioner/p1",
  number: "gt0",
  quantity: "gt0",
  uri: "urn:u:1",
};

const searched: Readonly<Partial<Record<string, (n: number) => string>>> = {
  token: (n) => (n % 2 === 0 ? `urn:c|x${n}` : `x${n}`),
  date: (n) => `${n % 2 === 0 ? "lt" : ""}${1_000 + n}-01-01`,
  string: (n) => `${"é".repeat(10)}${n}`,
  reference: (n) => `Practitioner/x${n}`,
  number: (n) => `lt-${n}`,
  quantity: (n) => `lt-${n}`,
  uri: (n) => `urn:x:${n}`,
};
