import { test } from "vitest";
import { Facts } from "#fhir/json/facts";
import type { Json, JsonObject } from "#fhir/json/json";
import { isHarmless, labelsOf } from "#policy/labels";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const isLabelled = (resource: JsonObject) =>
  !isHarmless(labelsOf(Facts.of(resource, [["meta", "security"]])));
const labelled = (...security: Json[]) => isLabelled({ resourceType: "Observation", meta: { security } });
const inline: JsonObject = {
  url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
  valueCoding: { system: `${v3}Confidentiality`, code: "R" },
};

test("labels up to normal, and labels that say nothing about sensitivity, withhold nothing", ({ expect }) => {
  for (const code of ["U", "L", "M", "N"])
    expect(labelled({ system: `${v3}Confidentiality`, code }), code).toBe(false);
  expect(labelled({ system: "urn:oid:2.16.840.1.113883.5.25", code: "N" })).toBe(false);
  expect(
    labelled(
      { system: `${v3}ActReason`, code: "HTEST" },
      { system: `${v3}ObservationValue`, code: "SUBSETTED" },
    ),
  ).toBe(false);
  expect(labelled()).toBe(false);
  expect(isLabelled({ resourceType: "Observation" })).toBe(false);
});

test("any label above normal withholds, also among further labels, and so does an unknown or unreadable label", ({
  expect,
}) => {
  for (const label of [
    { system: `${v3}Confidentiality`, code: "R" },
    { system: `${v3}Confidentiality`, code: "V" },
    { system: `${v3}Confidentiality`, code: "n" },
    { system: `${v3}Confidentiality` },
    { system: `${v3}ActCode`, code: "HIV" },
    { system: `${v3}ActCode`, code: "PROCESSINLINELABEL" },
    { system: `${v3}ActUSPrivacyLaw`, code: "42CFRPart2" },
    { system: "https://hospital.example/labels", code: "N" },
    { code: "N" },
    { system: true, code: "N" },
    "N",
    null,
    [],
  ] satisfies Json[]) {
    expect(labelled({ system: `${v3}Confidentiality`, code: "N" }, label), JSON.stringify(label)).toBe(true);
  }
  expect(
    isLabelled({
      resourceType: "Observation",
      meta: { security: { system: `${v3}Confidentiality`, code: "N" } },
    }),
  ).toBe(true);
});

test("a label inside withholds wherever it is: on an element, a primitive, a contained resource", ({
  expect,
}) => {
  for (const resource of [
    { extension: [inline] },
    { valueQuantity: { extension: [inline] } },
    { _status: { extension: [inline] } },
    { component: [{ code: {} }, { code: { coding: [{ extension: [inline] }] } }] },
    { contained: [{ resourceType: "Patient", name: [{ _family: { extension: [inline] } }] }] },
    { extension: [{ url: "urn:a", extension: [inline] }] },
  ]) {
    expect(isLabelled({ resourceType: "Observation", ...resource }), JSON.stringify(resource)).toBe(true);
  }
  expect(
    isLabelled({
      resourceType: "Observation",
      extension: [{ url: "urn:a", valueString: inline["url"] ?? "" }],
    }),
  ).toBe(false);
});
