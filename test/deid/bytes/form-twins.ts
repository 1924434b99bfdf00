import { cutInForm, formCounts } from "#deid/bytes/cut-answer";
import { answerInForm, type ShownAnswer } from "#deid/form-answer";
import { jsonNumber, type Json, type JsonObject } from "#fhir/json/json";
import { typeShapeOf, type Slot } from "#fhir/validate/shape";
import { ok } from "#kernel/result";
import { deidForms } from "#policy/form/fates";
import { containing } from "../../phi/bytes/containing.ts";
import { mutate } from "../../phi/bytes/hostile-texts.ts";

const base = "https://gateway.example/v1/fhir/main";

/** A name has the same code of 32 hex digits in each run. `asked` has the names of all calls. */
function codeBook() {
  const asked = new Set<string>();
  const codeOf = (name: string): string => {
    let hash = 7;
    for (const sign of name) hash = (Math.imul(hash, 31) + (sign.codePointAt(0) ?? 0)) | 0;
    return (hash >>> 0).toString(16).padStart(32, "0");
  };
  const codesOf = async (names: readonly string[]) => {
    for (const name of names) asked.add(name);
    return ok(new Map(names.map((name) => [name, codeOf(name)])));
  };
  return { asked, codes: { codesOf } };
}

/**
 * Throws if the bytes, the refusal or the asked codes of the two engines differ.
 *
 * @returns the number of rows by the byte engine, and the number left to the plain engine.
 */
export async function compare(
  body: Uint8Array,
  more: Partial<ShownAnswer> = {},
  plainMore: Partial<ShownAnswer> = more,
): Promise<{ readonly cut: number; readonly plain: number }> {
  const before = { ...formCounts };
  for (const form of deidForms) {
    const answer = { body, form, year: 2026, base, sort: [], isChosen: false };
    const [books, texts] = [[codeBook(), codeBook()] as const, [] as string[]];
    for (const [engine, book, given] of [
      [cutInForm, books[0], more],
      [answerInForm, books[1], plainMore],
    ] as const) {
      const left = await engine({ ...answer, ...given }, book.codes);
      const asked = [...book.asked].toSorted().join(" ");
      texts.push(left.ok ? `${new TextDecoder().decode(left.value)}\n${asked}` : left.error.reason);
    }
    if (texts[0] !== texts[1])
      throw new Error(`two results, ${form}:\n${texts[0]}\n${texts[1]}\n${new TextDecoder().decode(body)}`);
  }
  return { cut: formCounts.cut - before.cut, plain: formCounts.plain - before.plain };
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A searchset of rows, each as text. */
export function pageOf(rows: readonly Uint8Array[], modes: readonly string[] = []): Uint8Array {
  const entries = rows.flatMap((row, at) => [
    utf8(`${at === 0 ? "" : ","}{"fullUrl":"${base}/x/${at}","resource":`),
    row,
    utf8(`,"search":{"mode":"${modes[at] ?? "match"}"}}`),
  ]);
  const before = `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"${rows.length % 2 === 0 ? "next" : "self"}","url":"${base}/x"}],"entry":[`;
  return Buffer.concat([utf8(before), ...entries, utf8("]}")]);
}

/** The rows that {@link compareMade} makes. */
export const rowsMade = 4;

/** Pages of made rows, and of hostile changes of them. */
export async function compareMade(type: string, roll: () => number) {
  const rowText = () => {
    const made = madeRow(type, roll);
    const row = roll() < 0.25 ? containing(made, roll) : made;
    return utf8(JSON.stringify(row, undefined, roll() < 0.2 ? 2 : undefined));
  };
  const rows = Array.from({ length: rowsMade }, rowText);
  // The page repeats a row: values that depend on the row around them must not be repeated.
  const [first = rowText(), second = first] = rows;
  const page = [...rows, mutate(second, roll), first];
  const modes = page.map(() => (roll() < 0.75 ? "match" : roll() < 0.7 ? "include" : "outcome"));
  const made = await compare(pageOf(rows));
  await compare(pageOf(page, modes), { isChosen: roll() < 0.5 });
  await compare(mutate(pageOf(page), roll));
  await compare(first);
  await compare(mutate(first, roll));
  return made;
}

/** A row with elements of R4: usual values, old and impossible values, and values of a wrong type. */
function madeRow(type: string, roll: () => number): JsonObject {
  const id = pick(["a", "b", "c-1", "d.e", "x y", ""], roll);
  return { resourceType: type, id, ...madeMembers(type, 0, roll) };
}

function pick<T>(list: readonly T[], roll: () => number): T {
  const found = list[Math.floor(roll() * list.length)];
  if (found === undefined) throw new Error("an empty list");
  return found;
}

const apart = new Set(["resourceType", "id", "contained", "modifierExtension", "implicitRules"]);

function madeMembers(type: string, depth: number, roll: () => number): JsonObject {
  const out: Record<string, Json> = {};
  for (const [name, slot] of typeShapeOf(type).slots) {
    if (apart.has(name) && !(roll() < 0.002)) continue;
    const share = slot.element.forms.length > 1 ? 1 / slot.element.forms.length : 1;
    const isWanted = roll() < share * (slot.element.required ? 0.9 : 0.5 / (1 + depth));
    if (!isWanted || depth > 4 || slot.type === "Resource") continue;
    const value = () => (roll() < 0.02 ? pick(strange, roll) : madeValue(slot, depth, roll));
    const repeats = roll() < 0.02 ? !slot.element.repeats : slot.element.repeats;
    out[name] = repeats ? Array.from({ length: Math.floor(roll() * 3) }, value) : value();
    if (slot.isPrimitive && roll() < 0.05) out[`_${name}`] = { extension: [pick(extensions, roll)] };
  }
  // Members come in any order.
  return roll() < 0.1 ? Object.fromEntries(Object.entries(out).toSorted(() => roll() - 0.5)) : out;
}

function madeValue(slot: Slot, depth: number, roll: () => number): Json {
  const { type, binding } = slot;
  if (type === "code" && binding !== undefined && roll() < 0.8) return pick([...binding.codes], roll);
  const values = primitives[type];
  if (values !== undefined) return pick(values, roll);
  switch (type) {
    case "Coding":
      return madeCoding(roll);
    case "Quantity":
    case "Age":
    case "Duration":
      return madeQuantity(roll);
    case "Reference":
      return { display: "Amara", reference: pick(references, roll) };
    case "Extension":
      return pick(extensions, roll);
    default:
      return slot.isPrimitive ? "x" : madeMembers(type, depth + 1, roll);
  }
}

const strange: readonly Json[] = [null, true, "x", [], {}, [null], jsonNumber("5"), { a: [{}] }, [[]]];
const numbers = ["0", "1", "-0", "93", "1.10", "1e2", "2147483648", "123456789", "-5"].map(jsonNumber);
const dates = [
  "1984",
  "1984-03",
  "1984-03-02",
  "1930-01-01",
  "1936",
  "2020-02-29",
  "2019-02-29",
  "2020-04-31",
  "2020-13-01",
  "0000",
  "20",
  "2020-01-02T03:04:05Z",
  "2020-01-02T03:04:05.678-05:00",
  "2016-12-31T23:59:60Z",
  "2020-01-02T03:04:05+14:00",
  "2020-01-02T24:00:00Z",
  "2020-01-02T03:04",
  "2020-01-02T03:04:05.Z",
];
const texts = [
  "Boston",
  "MA",
  "Massachusetts",
  "US",
  "USA",
  "DE",
  "02115",
  "03601",
  "02115-1234",
  "é\u2028",
  'a"b',
  "",
  " ",
];
const urls = [
  "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient",
  "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1",
  "http://host.example/x",
];
const primitives: Readonly<Record<string, readonly Json[]>> = {
  boolean: [true, false],
  decimal: numbers,
  integer: numbers,
  positiveInt: numbers,
  unsignedInt: numbers,
  date: dates,
  dateTime: dates,
  instant: dates,
  time: ["13:14:15", "25:00:00"],
  string: texts,
  markdown: texts,
  code: [...texts, "en-US", "application/pdf", "USD", "final", "mon"],
  uri: urls,
  canonical: urls,
  url: urls,
};
const systems = [
  "http://loinc.org",
  "http://snomed.info/sct",
  "http://unitsofmeasure.org",
  "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
  "http://terminology.hl7.org/CodeSystem/observation-category",
  "urn:local",
  "http:\u2028",
];
const codes = [
  "4548-4",
  "89243-0",
  "30525-0",
  "P90Y--P9999Y",
  "44054006",
  "44054007",
  "kg",
  "SUBSETTED",
  "laboratory",
  "F",
  "12345-6789",
  "",
  'a"b',
];

function madeCoding(roll: () => number): JsonObject {
  const system = { system: pick(systems, roll) };
  const code = { code: pick<Json>([...codes, null], roll) };
  return roll() < 0.5 ? { ...system, ...code, display: "x" } : { display: "x", ...code, ...system };
}

const units = "a mo d year wk 1 kg 10*3/uL {score} furlong % a1 a.kg/kg /nHz mg/g 10*1 {tablet}"
  .split(" ")
  .concat("");

function madeQuantity(roll: () => number): JsonObject {
  const value = pick(
    ["5", "500", "89", "90", "95", "-91", "0.5", "99.95", "1200", "9500", "9e9", "32873"],
    roll,
  );
  const parts: Record<string, Json> = { value: roll() < 0.95 ? jsonNumber(value) : value };
  if (roll() < 0.3) parts["comparator"] = pick(["<", ">=", "ad", ">"], roll);
  if (roll() < 0.8) parts["unit"] = pick(units, roll);
  if (roll() < 0.8)
    parts["system"] = pick(["http://unitsofmeasure.org", "http://unitsofmeasure.org", "urn:x"], roll);
  if (roll() < 0.8) parts["code"] = pick(units, roll);
  return parts;
}

const references = [
  "Patient/1",
  "Patient/1",
  "Observation/a",
  "Practitioner/d.e",
  `${base}/Patient/1`,
  `${base}/Patient/1/_history/2`,
  "http://elsewhere.example/Patient/1",
  "Person/1",
  "Nothing/1",
  "Patient/",
  `Patient/${"x".repeat(65)}`,
  "urn:uuid:6f3f7a52-6c0b-4a75-9a8e-0f1c43f43d36",
  "#",
  "#p1",
  "",
];
const dar = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
const race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const extensions: readonly JsonObject[] = [
  { url: dar, valueCode: "masked" },
  { url: dar, valueCode: "x" },
  { url: "urn:x", valueString: "Amara" },
  {
    url: race,
    extension: [
      { url: "text", valueString: "x" },
      { url: "ombCategory", valueCoding: { system: "urn:oid:2.16.840.1.113883.6.238", code: "2028-9" } },
    ],
  },
];
