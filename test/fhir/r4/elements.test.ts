import { test } from "vitest";
import { elementsOf, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { r4Paths } from "../../support/r4-paths.ts";

test("R4 has 146 resource types, and every type that an element names is known", ({ expect }) => {
  expect(r4Paths.filter(isResourceType)).toHaveLength(146);
  for (const path of r4Paths) {
    for (const { forms } of elementsOf(path).values()) {
      for (const { name, type } of forms)
        expect(
          /^[a-z]/u.test(type) || type === "Resource" || elementsOf(type).size > 0,
          `${path}.${name}: ${type}`,
        ).toBe(true);
    }
  }
});

test("a text that names no type of R4 has no elements", ({ expect }) => {
  for (const text of ["", "Nothing", "Patient.nothing", "Patient identifier:E*", "\nPatient", "constructor"])
    expect(elementsOf(text).size, text).toBe(0);
});

test("choices, backbones, content references, cardinalities and modifiers are read as R4 defines them", ({
  expect,
}) => {
  const observation = elementsOf("Observation");
  expect(observation.get("value[x]")?.forms.map(({ name }) => name)).toContain("valueQuantity");
  expect(observation.get("status")).toMatchObject({ required: true, repeats: false, isModifier: true });
  expect(observation.get("referenceRange")).toMatchObject({
    repeats: true,
    forms: [{ type: "Observation.referenceRange" }],
  });
  expect(elementsOf("Observation.component").get("referenceRange")?.forms).toEqual([
    { name: "referenceRange", type: "Observation.referenceRange" },
  ]);
  expect(elementsOf("Claim").get("insurance")).toMatchObject({ required: true, repeats: true });
  expect(elementsOf("Extension").get("value[x]")?.forms).toHaveLength(50);
  expect(elementsOf("Timing.repeat").has("modifierExtension")).toBe(false);
  expect(elementsOf("Patient").has("toString")).toBe(false);
  expect(elementsOf("constructor").size).toBe(0);
});

test("every path of a search parameter leads through R4 elements", ({ expect }) => {
  for (const type of r4ResourceTypes) {
    for (const { code, paths } of searchParametersOf(type).values()) {
      for (const path of paths ?? []) {
        let at = type as string;
        for (const step of path) {
          const forms = [...elementsOf(at).values()].flatMap(({ name, forms }) =>
            forms.map((form) => ({ ...form, element: name })),
          );
          const found = forms.find(({ name, element }) => name === step || element === step);
          expect(found, `${type}.${code}: ${path.join(".")}`).toBeDefined();
          at = found?.type ?? "";
        }
      }
    }
  }
});
