import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { isObject, textAt, valuesAt } from "#fhir/json/json";
import { isSensitiveCode } from "#phi/bytes/sensitive-code";
import { rowFactsOf } from "#policy/consent/row-facts";
import { mayLabel, sensitiveTexts, sensitivitiesOf } from "#policy/sensitivity/sensitive-codes";
import { sensitiveCodes } from "#policy/sensitivity/sensitivity.gen";
import { noSharedData, resourcesIn } from "../phi/shared-data.ts";
import { base, observation } from "./consent/scene.ts";

const loinc = "http://loinc.org";
const snomed = "http://snomed.info/sct";
const icd = "http://hl7.org/fhir/sid/icd-10-cm";

test.skipIf(noSharedData)(
  "each row of the label bundles gets a label that its source expects (needs ../shared/data)",
  ({ expect }) => {
    const file = join(import.meta.dirname, "../../../shared/data/fhir/label-bundles/expected-labels.json");
    const { expect: expected } = JSON.parse(readFileSync(file, "utf8")) as {
      readonly expect: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
    };
    const wanted = new Map(Object.values(expected).flatMap((rows) => Object.entries(rows)));
    const rows = resourcesIn("label-bundles")
      .flatMap((bundle) => valuesAt(bundle, ["entry", "resource"]).filter(isObject))
      .filter((row) => wanted.has(textAt(row, "id") ?? ""));
    expect(rows.length).toBe(wanted.size);
    for (const row of rows) {
      const { sensitivities } = rowFactsOf(row, base).labels;
      const id = textAt(row, "id") ?? "";
      expect(
        wanted.get(id)?.some((label) => sensitivities.has(label)),
        id,
      ).toBe(true);
    }
  },
);

test("a code labels wherever it is in a row, also in a contained resource, and a general code labels nothing", ({
  expect,
}) => {
  const hiv = { coding: [{ system: loinc, code: "80203-3" }] };
  const labels = (more: object) => [...rowFactsOf(observation(more), base).labels.sensitivities];
  for (const more of [
    { code: hiv },
    { component: [{ code: hiv }] },
    { valueCodeableConcept: hiv },
    { extension: [{ url: "urn:x", valueCoding: hiv.coding[0] }] },
    { contained: [{ resourceType: "Condition", code: hiv }] },
    { contained: [{ resourceType: "MedicationRequest", medicationCodeableConcept: hiv, reasonCode: [hiv] }] },
  ])
    expect(labels(more), JSON.stringify(more)).toEqual(["HIV"]);
  expect(labels({})).toEqual([]);
  for (const code of ["185347001", "185349003", "371883000", "50849002"])
    expect(sensitivitiesOf(snomed, code), code).toEqual([]);
  expect(sensitivitiesOf(loinc, "72514-3")).toEqual([]);
});

test("a block of ICD-10-CM covers the codes below it, in this system and in WHO's alone", ({ expect }) => {
  expect(sensitivitiesOf(icd, "F11.20")).toEqual(["OPIOIDUD"]);
  expect(sensitivitiesOf("http://hl7.org/fhir/sid/icd-10", "B20")).toEqual(["HIV"]);
  expect(sensitivitiesOf(icd, "F17.210"), "nicotine").toEqual([]);
  expect(sensitivitiesOf(loinc, "F11.20")).toEqual([]);
  expect(sensitivitiesOf(icd, "F1")).toEqual([]);
});

test("a code of ICD-10-CM labels without its system, without its dot and in small letters too", ({
  expect,
}) => {
  expect(sensitivitiesOf(undefined, "F11.20")).toEqual(["OPIOIDUD"]);
  for (const code of ["Z33.2", "Z332", "z33.2", "z332"])
    expect(sensitivitiesOf(icd, code), code).toEqual(["SEX"]);
  for (const code of ["Z33.2", "z33.2"]) expect(sensitivitiesOf(undefined, code), code).toEqual(["SEX"]);
  expect(sensitivitiesOf(undefined, "A5051"), "a code of HCPCS").toEqual([]);
  expect(sensitivitiesOf(undefined, "F17.210"), "nicotine").toEqual([]);
  expect(sensitivitiesOf(loinc, "F11.20"), "a different system").toEqual([]);
});

test("the national editions of ICD-10 share the blocks of the value sets, ICD-10-PCS does not", ({
  expect,
}) => {
  for (const system of [
    "http://hl7.org/fhir/sid/icd-10-nl",
    "http://hl7.org/fhir/sid/icd-10-de",
    "urn:oid:2.16.840.1.113883.6.3.2",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
  ])
    expect(sensitivitiesOf(system, "F11.2"), system).toEqual(["OPIOIDUD"]);
  for (const system of ["http://hl7.org/fhir/sid/icd-10-pcs", "http://www.cms.gov/Medicare/Coding/ICD10"])
    expect(sensitivitiesOf(system, "F1120ZZ"), system).toEqual([]);
});

test("a code of ICD-10 without a system labels also with a trailing dot or WHO's marks", ({ expect }) => {
  for (const code of ["F11.", "F11.-", "F11.2-", "f11.2+", "F11.2*", "F11.2†", "F11.2!"])
    expect(sensitivitiesOf(undefined, code), code).toEqual(["OPIOIDUD"]);
  for (const code of ["F11-2", "F11.20.1", "F11.2++"])
    expect(sensitivitiesOf(undefined, code), code).toEqual([]);
});

test("a code system counts by its OID and its earlier names too", ({ expect }) => {
  for (const system of ["urn:oid:2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-us"])
    expect(sensitivitiesOf(system, "F11.20"), system).toEqual(["OPIOIDUD"]);
  const hcpcs =
    Object.entries(sensitiveCodes)
      .find(([key]) => key.includes("HCPCS"))?.[1]
      .split(" ")[0] ?? "";
  for (const system of [
    "urn:oid:2.16.840.1.113883.6.285",
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets/",
  ])
    expect(sensitivitiesOf(system, hcpcs), system).toEqual(["SEX"]);
});

test("the search in bytes misses no code that labels, and finds few that do not", ({ expect }) => {
  const found = (text: string) => {
    const bytes = utf8(text);
    return isSensitiveCode(bytes, 0, bytes.length);
  };
  for (const code of sensitiveTexts) {
    expect(found(code), code).toBe(true);
    if (sensitivitiesOf(icd, code).length > 0)
      for (const below of [
        `${code}.123A`,
        `${code}123A`,
        `${code.toLowerCase()}.123a`,
        `${code}.-`,
        `${code}†`,
      ])
        expect(found(below), below).toBe(true);
  }
  expect(found("8020\\u00333-3"), "an escape").toBe(true);
  for (let number = 0; number < 3_000; number += 1) {
    const code = `${number}-${number % 10}`;
    expect(found(code), code).toBe(mayLabel(code));
  }
});
