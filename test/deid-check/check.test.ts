import { expect, test } from "vitest";
import { findIdentifiers } from "#deid-check/check";
import type { CheckedForm } from "#deid-check/identifiers";
import { likenessOf } from "#deid-check/quasi-identifiers";
import { readLeftJson } from "#deid-check/read-json";
import { deidentify } from "#deid/deidentify";
import { deidForms } from "#policy/form/fates";
import { isObject, readJson } from "#fhir/json/json";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { canaryResource } from "../deid/canaries.ts";
import { dice } from "../phi/random-resource.ts";
import { inLane } from "../support/lane.ts";

function check(resource: object | string, form: CheckedForm = "safe-harbor") {
  const value = readLeftJson(typeof resource === "string" ? resource : JSON.stringify(resource));
  if (value === undefined) throw new Error("no JSON");
  return findIdentifiers(value, form, 2026);
}
const paths = (resource: object | string, form?: CheckedForm) =>
  check(resource, form).map(({ path, paragraph }) => `${path} ${paragraph}`);
const id = "abcdefghijklmnopqrstuvwxyz";
const system = "http://unitsofmeasure.org";
const patient = (members: object) => ({ resourceType: "Patient", id, ...members });

const planted: readonly (readonly [object, string])[] = [
  [{ name: [{ family: "Fox" }] }, "Patient.name.family (A)"],
  [{ address: [{ line: ["1 Main St"] }] }, "Patient.address.line (B)"],
  [{ address: [{ city: "Boston" }] }, "Patient.address.city (B)"],
  [{ address: [{ postalCode: "02118" }] }, "Patient.address.postalCode (B)"],
  [{ address: [{ postalCode: "036" }] }, "Patient.address.postalCode (B)"],
  [{ birthDate: "1987-06-05" }, "Patient.birthDate (C)"],
  [{ birthDate: "1936" }, "Patient.birthDate (C)"],
  [{ telecom: [{ value: "+1 (617) 555-0100" }] }, "Patient.telecom.value (D) (E)"],
  [{ telecom: [{ value: "fox@mail.example" }] }, "Patient.telecom.value (F)"],
  [{ identifier: [{ value: "078-05-1120" }] }, "Patient.identifier.value (G)"],
  [{ identifier: [{ value: "MRN12" }] }, "Patient.identifier.value (H)-(L)"],
  [{ serialNumber: "S1" }, "Patient.serialNumber (M)"],
  [{ photo: [{ url: "https://a.example/b" }] }, "Patient.photo.url (N)"],
  [{ telecom: [{ value: "192.0.2.7" }] }, "Patient.telecom.value (O)"],
  [{ photo: [{ data: "AAAA" }] }, "Patient.photo.data (P) (Q)"],
  [{ id: "fox" }, "Patient.id (R)"],
  [{ text: { div: "<div>Fox</div>" } }, "Patient.text.div (R)"],
];

test("each class of identifiers is found by its place and paragraph, and never shown", () => {
  for (const [members, expected] of planted) expect(paths(patient(members)), expected).toContain(expected);
  const shown = JSON.stringify(planted.flatMap(([members]) => check(patient(members))));
  expect(shown).not.toMatch(/Fox|Boston|02118|555-0100|mail\.example|1120|MRN12|192\.0/u);
});

test("a repeated, unknown or escaped member hides nothing, and its name is not shown", () => {
  expect(paths(`{"resourceType":"Patient","birthDate":"1987","birthDate":"1987-06-05"}`)).toEqual([
    "Patient.? (R)",
  ]);
  expect(paths(patient({ "John Fox": 1 }))).toEqual(["Patient.? (R)"]);
  expect(paths(`{"resourceType":"Patient","birthD\\u0061te":"1987-\\u00306-05"}`)).toEqual([
    "Patient.birthDate (C)",
  ]);
  expect(paths(patient({ extension: [{ url: "http://a.example", valueBoolean: true }] }))).not.toEqual([]);
});

test("a limited data set may have dates, towns and ZIP Codes, and no street, name or number", () => {
  const row = patient({
    birthDate: "1930-06-05",
    address: [{ city: "Boston", state: "Massachusetts", postalCode: "02118", line: ["1 Main St"] }],
    name: [{ family: "Fox" }],
  });
  expect(paths(row, "limited-data-set")).toEqual(["Patient.address.line (ii)", "Patient.name.family (i)"]);
});

test("ages over 89 are found by their unit, and the group of 90 and more is none", () => {
  const age = (quantity: object) => paths({ resourceType: "Observation", id, valueQuantity: quantity });
  expect(age({ value: 93, system, code: "a" })).toEqual(["Observation.valueQuantity.value (C)"]);
  expect(age({ value: 1100, system, code: "mo" })).toEqual(["Observation.valueQuantity.value (C)"]);
  expect(age({ value: 90, comparator: ">=", system, code: "a" })).toEqual([]);
});

test("an age in any product of units, or in a number that names nothing, is found", () => {
  const found = (value: string, code: string, more = "") =>
    paths(
      `{"resourceType":"Observation","effectiveDateTime":"2026","valueQuantity":{"value":${value},"system":"http://unitsofmeasure.org","code":"${code}"${more}}}`,
    );
  const age = ["Observation.valueQuantity.value (C)"];
  for (const code of "a a_j a{score} a.kg/kg 10*0.a %.a.10*2 mo.10*1.{#}/10*-1 1 {score} {#} g/g a/a".split(
    " ",
  ))
    expect(found("95", code), code).toEqual(age);
  for (const [value, code] of [
    ["9.5", "10*1"],
    ["9500", "%"],
    ["3e9", "s"],
    ["3", "/nHz.10*0"],
    ["50e6", "mol/U"],
    ["95000", "mg/g"],
  ] as const)
    expect(found(value, code), code).toEqual(age);
  for (const code of "% mg/dL /min {tablet} 10*3/uL mm[Hg] mL/min/{1.73_m2} ug.h/mL /[HPF] {cells}/uL".split(
    " ",
  ))
    expect(found("95", code), code).toEqual([]);
  for (const code of ["a.deg", "mo.[IU]", "[pH].wk", "{Fox}", "fox", "a b", "a..b", "/", ""])
    expect(found("5", code), code).not.toEqual([]);
});

test("a coded answer about an age, a code that spells one, and a score on no named scale are found", () => {
  const found = (question: string, members: object, form?: CheckedForm) =>
    paths(
      {
        resourceType: "Observation",
        id,
        code: { coding: [{ system: "http://loinc.org", code: question }] },
        ...members,
      },
      form,
    );
  const answer = { valueCodeableConcept: { coding: [{ system: "http://loinc.org", code: "LA15-3" }] } };
  expect(found("30525-0", answer)).toEqual(["Observation.valueCodeableConcept (C)"]);
  expect(found("30525-0", answer, "limited-data-set")).toEqual([]);
  expect(found("72166-2", answer)).toEqual([]);
  const range = { category: [{ coding: [{ system: "http://hl7.org/fhir/ages", code: "P90Y--P9999Y" }] }] };
  expect(found("72166-2", range)).toEqual(["Observation.category.coding.code (C)"]);
  expect(found("72166-2", range, "limited-data-set")).toEqual([]);
  const score = (value: number) => ({ valueQuantity: { value, system, code: "{score}" } });
  expect(found("89243-0", score(95))).toEqual([]);
  expect(found("89243-0", { component: [score(95)] })).toEqual([
    "Observation.component.valueQuantity.value (C)",
  ]);
  const weight = { valueQuantity: { value: 95, system, code: "kg" } };
  expect(found("30525-0", weight)).toEqual(["Observation.valueQuantity.value (C)"]);
  expect(found("29463-7", weight)).toEqual([]);
  for (const [question, value] of [
    ["89243-0", 101],
    ["30525-0", 95],
    ["44261-6", 95],
  ] as const)
    expect(found(question, score(value))).toEqual(["Observation.valueQuantity.value (C)"]);
});

test("a time of a Timing is found by the unit beside it", () => {
  const found = (repeat: object) =>
    paths({ resourceType: "DeviceRequest", id, authoredOn: "2026", occurrenceTiming: { repeat } });
  const place = "DeviceRequest.occurrenceTiming.repeat.";
  expect(found({ duration: 95, durationUnit: "a" })).toEqual([`${place}duration (C)`]);
  expect(found({ periodMax: 33_000, periodUnit: "d" })).toEqual([`${place}periodMax (C)`]);
  expect(found({ period: 95 })).toEqual([`${place}period (C)`]);
  expect(found({ period: 95, periodUnit: "min" })).toEqual([]);
});

test("an age without a year, or with a year that makes it 90 by now, is found at the age", () => {
  const onset = (more: object) =>
    paths({ resourceType: "Condition", id, onsetAge: { value: 70, unit: "a", code: "a", system }, ...more });
  expect(onset({})).toEqual(["Condition.onsetAge.value (C)"]);
  expect(onset({ recordedDate: "2005" })).toEqual(["Condition.onsetAge.value (C)"]);
  expect(onset({ recordedDate: "2020" })).toEqual([]);
});

test("no product of units that the engine lets leave tells an age that the checker finds", () => {
  const roll = dice(34);
  const pick = (list: readonly string[]) => list[Math.floor(roll() * list.length)] ?? "";
  const factors =
    "m cm g kg s ms L mL dL mol mmol eq U [IU] cal K J W Pa N V A Hz nHz Bq bit By Cel mm[Hg] min h d wk mo a a_j % deg bar " +
    "[degF] [lb_av] [in_i] [pH] [drp] [ppm] [HPF] [copies] dB {score} {#} {tablet} 1 10*1 10*-3 m2 cm3 s2 s-1 m-1 N kg kat Gs";
  const signs = [".", "/"];
  let kept = 0;
  for (let at = 0; at < 4_000; at += 1) {
    const more = Array.from({ length: Math.floor(roll() * 4) }, () => pick(signs) + pick(factors.split(" ")));
    const code = `${roll() < 0.2 ? "/" : ""}${pick(factors.split(" "))}${more.join("")}`;
    const value = pick(["1", "9", "89", "90", "95", "1e4", "33000", "3e9", "-95", "0.95"]);
    const read = readJson(
      new TextEncoder().encode(
        `{"resourceType":"Observation","id":"o","effectiveDateTime":"2026","valueQuantity":{"value":${value},"system":"${system}","code":"${code}"}}`,
      ),
    );
    if (!read.ok || !isObject(read.value)) throw new Error(code);
    const context = { form: "safe-harbor", year: 2026, base: "urn:none", codeOf: () => id } as const;
    const left = JSON.stringify(deidentify(read.value, context));
    expect(paths(left), `${value} ${code}: ${left}`).toEqual([]);
    if (left.includes("valueQuantity")) kept += 1;
  }
  expect(kept).toBeGreaterThan(1_000);
});

test("text that is no JSON, or is too deep, is not read", () => {
  for (const text of ["", "{", '{"a":1,}', "[1 2]", '"\u0001"', "01", `${"[".repeat(200)}${"]".repeat(200)}`])
    expect(readLeftJson(text), text.slice(0, 9)).toBeUndefined();
});

test("the checker finds each text that the table takes out, in every R4 type, and nothing in what left", () => {
  const context = { year: 2026, base: "urn:none", codeOf: () => id };
  const missed = new Set<string>();
  const wrong = new Set<string>();
  const stride = inLane({ fast: 6, slow: 1, long: 1 });
  for (const type of r4ResourceTypes.filter((_, at) => at % stride === 0)) {
    const { resource, pathOf } = canaryResource(type);
    const found = new Set(check(resource).map(({ path }) => path.slice(path.lastIndexOf(".") + 1)));
    for (const path of pathOf.values()) {
      const last = path.slice(path.lastIndexOf(".") + 1);
      if (!found.has(last) && !last.startsWith("_")) missed.add(last);
    }
    for (const form of deidForms) {
      const left = deidentify(resource, { ...context, form });
      if (left !== undefined) for (const { path } of check(left, form)) wrong.add(`${form} ${path}`);
    }
  }
  expect([...missed]).toEqual([]);
  expect([...wrong]).toEqual([]);
});

test("the table of like patients has the smallest group first", () => {
  const row = (birthDate: string) => readLeftJson(JSON.stringify(patient({ birthDate, gender: "female" })));
  const rows = ["1987", "1987", "1960"].flatMap((year) => row(year) ?? []);
  expect(likenessOf(rows)).toEqual([
    { shown: "1960 female - - - - -", patients: 1 },
    { shown: "1987 female - - - - -", patients: 2 },
  ]);
  expect(JSON.stringify(likenessOf(["1987-06-05", "1987-06-06"].flatMap((day) => row(day) ?? [])))).toBe(
    JSON.stringify([1, 1].map((patients) => ({ shown: "? female - - - - -", patients }))),
  );
});

test("the table of like patients counts the dates of their rows", () => {
  const patients = ["a", "b", "c"].map((each) => ({ resourceType: "Patient", id: each, gender: "female" }));
  const visit = (to: string, start: string) => ({
    resourceType: "Encounter",
    subject: { reference: `Patient/${to}` },
    period: { start },
  });
  const rows = [
    ...patients,
    visit("a", "2021"),
    visit("b", "2021"),
    visit("a", "2020"),
    visit("c", "2021-02-03"),
  ];
  expect(likenessOf(rows.flatMap((row) => readLeftJson(JSON.stringify(row)) ?? []))).toEqual([
    { shown: "- female - - - - 2020,2021", patients: 1 },
    { shown: "- female - - - - 2021", patients: 1 },
    { shown: "- female - - - - ?", patients: 1 },
  ]);
});
