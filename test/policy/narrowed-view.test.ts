import { expect, test } from "vitest";
import { deidentify } from "#deid/deidentify";
import { isObject, readJson, textAt, type JsonObject } from "#fhir/json/json";
import { searchParametersOf } from "#fhir/search/parameters";
import { redactResource } from "#phi/redact";
import { compilePolicy } from "#policy/compile";
import { deidForms, withheldTypes, type DeidForm } from "#policy/form/fates";
import { isSearchableIn } from "#policy/form/form-search";
import { narrowedToForm } from "#policy/form/narrowed-view";
import type { PolicyDocument, PolicyRule } from "#policy/schema";
import { searchableBy } from "#policy/search/searchable";
import { dice, plainTypes, randomResource } from "../phi/random-resource.ts";
import { policy, rule } from "./granting.ts";

const types = plainTypes.filter((type) => !Object.hasOwn(withheldTypes, type));
const under = (table: DeidForm, ...rules: readonly PolicyRule[]): PolicyDocument => ({
  ...policy(...rules),
  form: {
    kind: "expert",
    dataSet: "s",
    table,
    method: "m",
    expert: "e",
    on: "2020-01-01",
    until: "2100-01-01",
  },
});

/** What leaves of a resource under a policy, with the bytes before the form. */
function leftBy(document: PolicyDocument, form: DeidForm) {
  const compiled = compilePolicy(document, "sha256:test");
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
  return (resource: JsonObject) => {
    const view = viewOf(resource);
    const cut = view === undefined ? undefined : redactResource(resource, view, context);
    if (cut?.ok !== true) return { left: cut?.error, text: "" };
    const text = JSON.stringify(cut.value.resource);
    const read = readJson(new TextEncoder().encode(text));
    if (!read.ok || !isObject(read.value)) throw new Error("no resource");
    const left = deidentify(read.value, {
      form,
      year: 2026,
      base: "https://api.example/fhir",
      codeOf: (_, id) => id,
    });
    // Each answer in a form says that it is a part.
    const told: unknown = JSON.parse(
      JSON.stringify(left, (name, value: unknown) => (name === "meta" ? undefined : value)),
    );
    return { left: told, text };
  };
}

test("a narrowed policy leaves the same of each resource, and holds less of it before the form", () => {
  const roll = dice(7);
  for (const form of deidForms) {
    const everything = under(form, rule(types, "everything"));
    const [whole, narrowed] = [everything, narrowedToForm(everything)].map((each) => leftBy(each, form));
    let [before, after] = [0, 0];
    for (const type of types)
      for (let time = 0; time < 12; time++) {
        const resource = randomResource(type, roll);
        const [one, other] = [whole?.(resource), narrowed?.(resource)];
        expect(other?.left, JSON.stringify(resource)).toEqual(one?.left);
        before += one?.text.length ?? 0;
        after += other?.text.length ?? 0;
      }
    expect(after / before).toBeLessThan(0.8);
  }
});

test("a narrowed policy answers each search that its form permits", () => {
  for (const form of deidForms) {
    const compiled = compilePolicy(narrowedToForm(under(form, rule(types, "everything"))), "sha256:test");
    for (const type of types) {
      const { object } = compiled.viewOf(type, compiled.rulesFor(type));
      for (const definition of searchParametersOf(type).values())
        if (isSearchableIn(form, type, definition))
          expect(searchableBy(object, definition).kind, `${type} ${definition.code}`).not.toBe("hidden");
    }
  }
});

test("a path of a policy is narrowed from its end, and a policy without a form stays as it is", () => {
  const shown = rule(
    ["Observation", "Patient"],
    [
      "code",
      "note",
      "value[x]",
      "component.code.text",
      "subject",
      "encounter.reference",
      "encounter.display",
      "category.coding.code",
      "category.coding.display",
      "meta",
      "valueQuantity.unit",
      "birthDate",
    ],
    { extensions: ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "urn:other"] },
  );
  const plain = policy(shown);
  expect(narrowedToForm(plain)).toBe(plain);
  expect(narrowedToForm(under("safe-harbor", shown)).rules[0]).toEqual({
    ...shown,
    show: [
      "code.coding.system",
      "code.coding.code",
      "valueQuantity",
      "valueCodeableConcept.coding.system",
      "valueCodeableConcept.coding.code",
      "valueBoolean",
      "valueRange",
      "valueRatio",
      "valueDateTime",
      "valuePeriod",
      "subject.reference",
      "encounter.reference",
      "category.coding.code",
      "meta.profile",
      "meta.security.system",
      "meta.security.code",
      "meta.tag.system",
      "meta.tag.code",
      "valueQuantity.unit",
      "birthDate",
    ],
    extensions: ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "ombCategory", "detailed"],
  });
  const limited = narrowedToForm(under("limited-data-set", rule(["Observation"], "everything"))).rules[0]
    ?.show;
  expect(limited).toContain("valueDateTime");
  expect(limited).not.toContain("value[x]");
  expect(limited).not.toContain("valueString");
});
