import { expect, test } from "vitest";
import { deidentify } from "#deid/deidentify";
import { isArray, isObject, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { redactResource } from "#phi/redact";
import { compilePolicy } from "#policy/compile";
import { deidForms, withheldTypes, type DeidForm } from "#policy/form/fates";
import { dice, plainTypes, randomResource } from "../phi/random-resource.ts";
import { policy, rule } from "../policy/granting.ts";

// A row that the form alone withheld would have a place on its page, and decide about joins and budgets.

const listed = "urn:listed";
const types = plainTypes.filter((type) => !Object.hasOwn(withheldTypes, type));
const formOf = (table: DeidForm) =>
  ({
    kind: "expert",
    dataSet: "s",
    table,
    method: "m",
    expert: "e",
    on: "2020-01-01",
    until: "2100-01-01",
  }) as const;
const marks: readonly Record<string, Json>[] = [
  { modifierExtension: [{ url: listed, valueBoolean: true }] },
  { modifierExtension: [] },
  { modifierExtension: null },
  { implicitRules: "urn:rules" },
  { _implicitRules: { extension: [{ url: listed, valueBoolean: true }] } },
];

/** The value with a mark in one of its objects. */
function marked(value: Json, roll: () => number): Json {
  if (isArray(value)) return value.map((item) => (roll() < 0.5 ? marked(item, roll) : item));
  if (!isObject(value)) return value;
  const members = Object.entries(value);
  const [name, below] = members[Math.floor(roll() * members.length)] ?? ["", null];
  if (roll() < 0.6 && typeof below === "object" && below !== null)
    return { ...value, [name]: marked(below, roll) };
  return { ...value, ...marks[Math.floor(roll() * marks.length)] };
}

test("a form withholds no resource that the view of its policy shows", () => {
  const roll = dice(164_514);
  let [shown, hidden] = [0, 0];
  for (const form of deidForms) {
    const everything = rule(types, "everything", { extensions: [listed] });
    const compiled = compilePolicy({ ...policy(everything), form: formOf(form) }, "sha256:test");
    const viewOf = (resource: JsonObject) => {
      const type = textAt(resource, "resourceType") ?? "";
      const rules = compiled.rulesTo(type, "read");
      return rules.length === 0 ? undefined : compiled.viewOf(type, rules);
    };
    const same = (text: string) => text;
    const context = {
      bases: { origin: "https://origin.example/fhir", public: "https://api.example/fhir" },
      urls: { inText: same, address: same, name: same },
      mayLinkTo: () => true,
      viewInside: viewOf,
    };
    for (const type of types)
      for (let time = 0; time < 12; time++) {
        const inside = { ...randomResource(types[time] ?? type, roll), id: "c1" };
        const row = { ...randomResource(type, roll), ...(roll() < 0.3 && { contained: [inside] }) };
        const resource = time % 2 === 0 ? marked(row, roll) : row;
        const view = isObject(resource) ? viewOf(resource) : undefined;
        if (!isObject(resource) || view === undefined) throw new Error("no resource");
        const cut = redactResource(resource, view, context);
        if (!cut.ok) {
          hidden += 1;
          continue;
        }
        const text = new TextEncoder().encode(JSON.stringify(cut.value.resource));
        const read = readJson(text);
        if (!read.ok || !isObject(read.value)) throw new Error("no resource");
        shown += 1;
        const left = deidentify(read.value, {
          form,
          year: 2026,
          base: "https://api.example/fhir",
          codeOf: (_, id) => id,
        });
        expect(left, JSON.stringify(resource)).toBeDefined();
      }
  }
  expect(Math.min(shown, hidden)).toBeGreaterThan(100);
});
