import * as fc from "fast-check";
import { expect, test } from "vitest";
import { cutInForm } from "#deid/bytes/cut-answer";
import { nodeOf, rootNodeOf } from "#deid/bytes/form-plan";
import { deidentify } from "#deid/deidentify";
import { isObject, readJson } from "#fhir/json/json";
import { r4Elements } from "#fhir/r4/elements.gen";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { typeShapeOf } from "#fhir/validate/shape";
import { ok } from "#kernel/result";
import { deidForms, fateOf, fates } from "#policy/form/fates";
import { dice } from "../../phi/random-resource.ts";
import { noSharedData, resourcesIn } from "../../phi/shared-data.ts";
import { canaryResource } from "../canaries.ts";
import { compare, compareMade, pageOf } from "./form-twins.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("made rows of every type, and hostile changes of them, are answered by both engines in the same bytes", async () => {
  let [cut, plain] = [0, 0];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...r4ResourceTypes), fc.integer(), async (type, seed) => {
      const rows = await compareMade(type, dice(seed));
      cut += rows.cut;
      plain += rows.plain;
    }),
    { numRuns: 150 },
  );
  expect(cut / (cut + plain)).toBeGreaterThan(0.8);
});

test("the comparison notices a value that leaves in two forms, and a code that one engine alone asks for", async () => {
  const patient = (more: object) => utf8(JSON.stringify({ resourceType: "Patient", id: "a", ...more }));
  await expect(compare(patient({ birthDate: "1950-01-01" }), { year: 2026 }, { year: 2050 })).rejects.toThrow(
    "two results",
  );
  const page = pageOf([patient({}), patient({ id: "b" })]);
  await expect(compare(page, { body: page }, { body: pageOf([patient({})]) })).rejects.toThrow("two results");
});

test("a row without a code lets nothing leave", async () => {
  const answer = {
    body: utf8('{"resourceType":"Patient","id":"a"}'),
    form: "safe-harbor",
    year: 2026,
    base: "https://x",
    sort: [],
    isChosen: false,
  } as const;
  for (const code of [undefined, "", "a", '"'.repeat(32)])
    await expect(
      cutInForm(answer, {
        codesOf: async () => ok(new Map(code === undefined ? [] : [["Patient/a", code]])),
      }),
    ).rejects.toThrow("a row without a code");
});

const observation = (members: string) =>
  utf8(`{"resourceType":"Observation","id":"1","status":"final","code":{"text":"x"},${members}}`);

test.for([
  ['"status":"amended"', "plain"],
  ['"st\\u0061tus":"amended"', "plain"],
  ['"implicitRules":null', "cut"],
  ['"component":[{"modifierExtension":null}]', "cut"],
  [
    '"_status":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}',
    "cut",
  ],
  ['"subject":{"reference":"\\u0050atient/7"}', "cut"],
  ['"subject":{"reference":"\\u0023p"},"contained":[{"resourceType":"Patient","id":"p"}]', "plain"],
  ['"contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"\\u0023p"}', "cut"],
  ['"contained":[{"resourceType":"Patient","id":"p","link":[{"other":{"reference":"Patient/2"}}]}]', "cut"],
  [
    '"contained":[{"resourceType":"Bundle","id":"b","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"MRN-4711"}}]}],"hasMember":[{"reference":"#b"}]',
    "plain",
  ],
  ['"category":[{"coding":[{"system":"http:\\/\\/loinc.org","code":"4548-4"}]}]', "cut"],
  ['"valueQuantity":{"value":91,"code":"\\u0061"}', "cut"],
  ['"valueQuantity":{"value":1e400,"unit":"kg"}', "cut"],
  ['"valueQuantity":{"value":01,"unit":"kg"}', "plain"],
  ['"valueQuantity":{"value":95,"unit":"{score}"}', "cut"],
  [
    '"component":[{"valueQuantity":{"value":95,"unit":"kg"},"code":{"coding":[{"system":"http://loinc.org","code":"30525-0"}]}}]',
    "plain",
  ],
  [
    '"component":[{"valueQuantity":{"value":95,"unit":"1"},"code":{"coding":[{"system":"http://loinc.org","code":"89243-0"}]}}]',
    "cut",
  ],
  [
    '"component":[{"valueCodeableConcept":{"coding":[{"system":"http://loinc.org","code":"LA15-3"}]},"code":{"coding":[{"system":"http://loinc.org","code":"3052\\u0035-0"}]}}]',
    "plain",
  ],
  ['"effectiveDateTime":"2\\u0030 20"', "cut"],
  ['"hidden":{"Aa":1,"BB":2}', "plain"],
  [`"hidden":${"[".repeat(96)}${"]".repeat(96)}`, "cut"],
  [`"hidden":${"[".repeat(97)}${"]".repeat(97)}`, "plain"],
] as const)("an attack by a row's bytes changes nothing: %s", async ([members, way]) => {
  const own = observation(members);
  const found = await compare(pageOf([own]));
  expect(found[way === "cut" ? "plain" : "cut"]).toBe(0);
  const later = utf8(`{${members},"id":"1","code":{"text":"x"},"resourceType":"Observation"}`);
  for (const row of [own, later]) {
    await compare(pageOf([row, observation('"issued":"2020"'), row]));
    await compare(row);
  }
});

test("a row with a value in each of its elements is answered by both engines in the same bytes", async () => {
  for (const type of r4ResourceTypes) await compare(utf8(JSON.stringify(canaryResource(type).resource)));
});

test("an extension leaves only beside an absent value of an element that may leave, in both engines", async () => {
  const reason = "asked-declined";
  const beside = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: reason }],
  };
  let left = 0;
  for (const type of r4ResourceTypes)
    for (const [name, slot] of typeShapeOf(type).slots) {
      if (!slot.hasSibling || name === "id" || slot.element.repeats) continue;
      const removed = { resourceType: type, id: "1", [name]: "no value that stays" };
      const rows = [
        { ...removed, [`_${name}`]: beside },
        { resourceType: type, id: "1", [`_${name}`]: beside },
      ].map((row) => utf8(JSON.stringify(row)));
      for (const row of rows) await compare(row);
      for (const form of deidForms) {
        const [withValue, alone] = rows.map((row) => {
          const read = readJson(row);
          if (!read.ok || !isObject(read.value)) throw new Error("no resource");
          return JSON.stringify(
            deidentify(read.value, { form, year: 2026, base: "https://x", codeOf: (_, id) => id }) ?? {},
          );
        });
        const isOut = fates[fateOf(type, name, slot.type)].change[form] === "out";
        expect(withValue, `${type}.${name}`).not.toContain(reason);
        if (isOut) expect(alone, `${type}.${name}`).not.toContain(reason);
        else if (alone?.includes(reason) === true) left += 1;
      }
    }
  expect(left).toBeGreaterThan(500);
});

test.skipIf(noSharedData)("the byte engine cuts each real row (needs ../shared/data)", async () => {
  const rows = resourcesIn("examples-r4", "us-core", "synthea-2019", "synthea-2020", "synthea-2024");
  const byType = Map.groupBy(
    rows.filter(({ resourceType }) => resourceType !== "Bundle"),
    ({ resourceType }) => resourceType,
  );
  for (const list of byType.values())
    for (let at = 0; at < list.length; at += 50) {
      const page = pageOf(list.slice(at, at + 50).map((row) => utf8(JSON.stringify(row))));
      expect((await compare(page)).plain).toBe(0);
    }
});

test("each type has a plan: no two names of it have one hash", () => {
  const types = Array.from(r4Elements.matchAll(/\n(\w+) /gu), ([, type = ""]) => type);
  expect(types.length).toBeGreaterThan(150);
  for (const form of deidForms) {
    for (const type of r4ResourceTypes) expect(() => rootNodeOf(type, form)).not.toThrow();
    for (const type of types) expect(() => nodeOf(type, form, "element")).not.toThrow();
  }
});
