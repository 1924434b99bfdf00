import { expect, test } from "vitest";
import { deidentify, type DeidContext } from "#deid/deidentify";
import { unknownAmong } from "#deid/known-codes";
import { deidForms, withheldTypes, type DeidForm } from "#policy/form/fates";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { deidElements, storedDeidElements } from "../../scripts/deid-elements.ts";
import { canaryResource } from "./canaries.ts";

const context = (form: DeidForm = "safe-harbor"): DeidContext => ({
  form,
  year: 2026,
  base: "https://fhir.example/r4",
  codeOf: (type, id) => (id === "lost" ? undefined : `code-of-${type}-${id.length}`),
});

/** Reads as a body is read: a number is its own text. */
function read(resource: object): JsonObject {
  const value = readJson(new TextEncoder().encode(JSON.stringify(resource)));
  if (!value.ok || !isObject(value.value)) throw new Error("no resource");
  return value.value;
}

const left = (resource: object, form?: DeidForm): unknown => {
  const result = deidentify(read(resource), context(form));
  return result === undefined ? undefined : JSON.parse(JSON.stringify(result));
};
const patient = (members: object) => ({ resourceType: "Patient", id: "p", ...members });
const observation = (members: object) => ({
  resourceType: "Observation",
  id: "o",
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "29463-7" }] },
  ...members,
});
const code = "code-of-Patient-1";
const years = (value: number, more: object = {}) => ({
  value,
  system: "http://unitsofmeasure.org",
  code: "a",
  ...more,
});

const providers = /^(?:Practitioner)\.name\.(?:family|given|prefix|suffix)$/u;
const ofLimited = /\.(?:city|state|country|postalCode)$/u;

test("no canary leaves from any element of any R4 type, extension or contained resource", () => {
  let planted = 0;
  const leaks: string[] = [];
  for (const form of deidForms)
    for (const type of r4ResourceTypes) {
      const { resource, pathOf } = canaryResource(type);
      const text = JSON.stringify(deidentify(resource, context(form)) ?? {});
      planted += pathOf.size;
      for (const [mark] of text.matchAll(/canary\d{6}/gu)) {
        const path = pathOf.get(mark) ?? "";
        const permitted = providers.test(path) || (form === "limited-data-set" && ofLimited.test(path));
        if (!permitted) leaks.push(`${form} ${path}`);
      }
      if (form === "safe-harbor")
        for (const [found] of text.matchAll(
          /\d{4}-\d{2}|\d{2}:\d{2}|urn:uuid|host\.example|"value":93,"unit":"a"/gu,
        ))
          leaks.push(`${type} ${found}`);
    }
  expect(planted).toBeGreaterThan(20_000);
  expect(leaks).toEqual([]);
});

test("docs/deid-elements.txt has the fate of each element as the table says it", () => {
  expect(storedDeidElements()).toBe(deidElements);
});

test("a date becomes its year, and an impossible date stays back", () => {
  expect(left(patient({ birthDate: "1987-06-05" }))).toEqual(patient({ id: code, birthDate: "1987" }));
  expect(left(patient({ birthDate: "1987-02-30" }))).toEqual(patient({ id: code }));
  expect(left(patient({ birthDate: "born 1987-06-05" }))).toEqual(patient({ id: code }));
  expect(
    left(observation({ effectivePeriod: { start: "2019-12-31T23:59:59Z", end: "2020-01" } })),
  ).toMatchObject({
    effectivePeriod: { start: "2019", end: "2020" },
  });
  expect(
    left(observation({ effectiveInstant: "2019-12-31T23:59:59Z", issued: "2019-12-31T23:59:59Z" })),
  ).toEqual(observation({ id: "code-of-Observation-1" }));
});

test("a year that tells an age over 89 stays back in every element, and 89 stays", () => {
  expect(left(patient({ birthDate: "1937-12-31" }))).toMatchObject({ birthDate: "1937" });
  expect(left(patient({ birthDate: "1936-01-01" }))).toEqual(patient({ id: code }));
  const condition = { resourceType: "Condition", id: "c", subject: { reference: "Patient/p" } };
  expect(left({ ...condition, onsetDateTime: "1930" })).not.toHaveProperty("onsetDateTime");
});

test("ages of 90 and more are one group in every unit of time, and a smaller age stays", () => {
  const shown = (quantity: object) => left(observation({ valueQuantity: quantity }));
  const group = { value: 90, comparator: ">=", unit: "a", system: "http://unitsofmeasure.org", code: "a" };
  for (const old of [
    years(90),
    years(93.5),
    years(1080, { code: "mo" }),
    years(32_880, { code: "d" }),
    years(95, { comparator: ">" }),
  ])
    expect(shown(old), JSON.stringify(old)).toMatchObject({ valueQuantity: group });
  expect(shown({ value: 97, unit: "years" })).toMatchObject({ valueQuantity: group });
  expect(left(observation({ valueQuantity: years(89), effectiveDateTime: "2026" }))).toMatchObject({
    valueQuantity: { value: 89, code: "a" },
  });
  const odd =
    "12.a a.10*1 a/10*-1 10*1.a a1 s+1 Gs wk.d/d a.kg/kg g.a/mg mo.L/dm3 %.a {score}.a /nHz Hz.s.a J/nW mol/U a.deg mo.[IU] [pH].wk";
  for (const code of odd.split(" "))
    expect(shown(years(8, { code })), code).not.toHaveProperty("valueQuantity");
  expect(shown(years(2.9e12, { code: "ms" }))).toMatchObject({ valueQuantity: group });
  for (const old of [years(95, { comparator: "<" }), years(-95)])
    expect(shown(old), "no true group").not.toHaveProperty("valueQuantity");
  for (const code of [
    "mg/dL",
    "/min",
    "10*3/uL",
    "mL/min/{1.73_m2}",
    "kg/m2",
    "mm[Hg]",
    "%",
    "ng/mL/h",
    "mg/g",
    "ug.h/mL",
    "{tablet}",
  ])
    expect(shown(years(95, { code })), code).toMatchObject({ valueQuantity: { value: 95, code } });
  expect(shown({ value: 3, system: "http://unitsofmeasure.org", code: "Gs" })).not.toHaveProperty(
    "valueQuantity",
  );
  const range = { valueRange: { low: years(60), high: years(95) }, effectiveDateTime: "2026" };
  expect(left(observation(range))).toMatchObject({ valueRange: { low: { value: 60 } } });
  expect(JSON.stringify(left(observation({ valueRange: { high: years(95) } })))).not.toContain("95");
});

test("a number that names nothing may be an age in years, and stays back from 90 on", () => {
  const shown = (value: number, code: string) => left(observation({ valueQuantity: years(value, { code }) }));
  for (const [below, from, code] of [
    [89, 90, "1"],
    [89, 90, "{score}"],
    [89, 90, "{#}"],
    [8.9, 9, "10*1"],
    [8999, 9001, "%"],
    [89_000, 91_000, "mg/g"],
    [8.9, 9.1, "dL/dL.10^1"],
  ] as const) {
    expect(shown(below, code), code).toMatchObject({ valueQuantity: { value: below, code } });
    expect(shown(from, code), code).not.toHaveProperty("valueQuantity");
  }
});

const asked = (system: string, ...codes: readonly string[]) => ({
  code: { coding: codes.map((each) => ({ system, code: each })) },
});
const loinc = "http://loinc.org";

test("a score of 90 to 100 leaves on a scale that its code names, and on no other", () => {
  const score = (value: number, code = "{score}") => ({
    valueQuantity: { value, unit: code, system: "http://unitsofmeasure.org", code },
  });
  const leaves = (question: object, quantity: object) => {
    const row = observation({ ...question, ...quantity });
    const inside = observation({ component: [{ ...question, ...quantity }] });
    const [own, below] = [left(row), left(inside)].map((each) =>
      JSON.stringify(each).includes("valueQuantity"),
    );
    expect(below).toBe(own);
    return own;
  };
  const [karnofsky, barthel] = ["89243-0", "96761-2"];
  for (const value of [90, 100]) {
    expect(leaves(asked(loinc, karnofsky), score(value))).toBe(true);
    expect(leaves(asked(loinc, barthel), score(value, "1"))).toBe(true);
    expect(leaves(asked("http://snomed.info/sct", "273302005"), score(value))).toBe(true);
  }
  expect(leaves(asked(loinc, karnofsky), score(101))).toBe(false);
  expect(leaves(asked(loinc, karnofsky, "30525-0"), score(95))).toBe(false);
  expect(leaves(asked("urn:hospital", karnofsky), score(95))).toBe(false);
  expect(leaves({ code: { text: "Karnofsky" } }, score(95))).toBe(false);
  expect(leaves(asked(loinc, "44261-6"), score(95))).toBe(false);
  expect(leaves(asked(loinc, "44261-6"), score(20))).toBe(true);
});

test("the answer to a question about an age stays back under Safe Harbor, by code or in a unit of no time", () => {
  const answer = { valueCodeableConcept: { coding: [{ system: loinc, code: "LA15-3" }] } };
  for (const [system, code] of [
    [loinc, "30525-0"],
    [loinc, "63900-5"],
    ["http://snomed.info/sct", "397669002"],
    ["http://snomed.info/sct", "424144002"],
  ] as const)
    for (const row of [
      observation({ ...asked(system, code), ...answer }),
      observation({ component: [{ ...answer, ...asked(system, "44261-6", code) }] }),
    ]) {
      expect(JSON.stringify(left(row))).not.toContain("LA15-3");
      expect(JSON.stringify(left(row, "limited-data-set"))).toContain("LA15-3");
    }
  expect(left(observation({ ...asked(loinc, "72166-2"), ...answer }))).toMatchObject(answer);
  const inUnit = (code: string) => ({
    valueQuantity: { value: 95, unit: code, system: "http://unitsofmeasure.org", code },
  });
  for (const unit of ["kg", "{tablet}", "/min"]) {
    expect(left(observation({ ...asked(loinc, "30525-0"), ...inUnit(unit) }))).not.toHaveProperty(
      "valueQuantity",
    );
    expect(left(observation({ ...asked(loinc, "72166-2"), ...inUnit(unit) }))).toMatchObject(inUnit(unit));
  }
});

test("a code of HL7 that spells an age over 89 stays back under Safe Harbor", () => {
  const system = "http://hl7.org/fhir/uv/saner/CodeSystem/age-range";
  const shown = (code: string, form?: DeidForm) =>
    JSON.stringify(left(observation({ category: [{ coding: [{ system, code }] }] }), form)).includes(code);
  for (const code of ["P90Y--P9999Y", "90y", "age-95", "over-90", "90-plus", "100yrs", "Centenarian"]) {
    expect(shown(code), code).toBe(false);
    expect(shown(code, "limited-data-set"), code).toBe(true);
    expect(unknownAmong([{ parameter: "category", system, code }]), code).toBe("category");
  }
  for (const code of ["P80Y--P85Y", "65-plus", "Spencer-94", "age-89", "1990-year", "stage-3"])
    expect(shown(code), code).toBe(true);
});

test("a time of a Timing is judged by the unit beside it", () => {
  const shown = (repeat: object, occurrence = "2026-01-02") =>
    left({
      resourceType: "DeviceRequest",
      id: "d",
      intent: "order",
      authoredOn: occurrence,
      occurrenceTiming: { repeat },
    });
  const repeat = { duration: 30, durationUnit: "min", period: 90, periodUnit: "d" };
  expect(shown(repeat)).toMatchObject({ occurrenceTiming: { repeat } });
  for (const old of [
    { duration: 90, durationUnit: "a" },
    { durationUnit: "mo", durationMax: 1080 },
    { periodUnit: "wk", period: 4700 },
    { period: 95 },
  ])
    expect(JSON.stringify(shown(old)), JSON.stringify(old)).not.toMatch(/"(?:duration|period)(?:Max)?":/u);
  expect(JSON.stringify(shown({ period: 70, periodUnit: "a" }, "2000"))).not.toContain('"period"');
});

test("an age without a year in its row stays back, since a second row may have the year", () => {
  const condition = (more: object) =>
    left({ resourceType: "Condition", id: "c", subject: { reference: "Patient/p" }, ...more });
  expect(condition({ onsetAge: years(1) })).not.toHaveProperty("onsetAge");
  expect(condition({ onsetAge: years(11, { code: "mo" }) })).toHaveProperty("onsetAge");
  expect(condition({ onsetAge: years(1), recordedDate: "1938-01-01" })).toHaveProperty("onsetAge");
  expect(condition({ onsetAge: years(1), recordedDate: "1937-01-01" })).not.toHaveProperty("onsetAge");
});

test("an age stays back where a year beside it tells a present age over 89", () => {
  const condition = (onset: number, recordedDate: string) =>
    left({ resourceType: "Condition", id: "c", onsetAge: years(onset), recordedDate });
  expect(condition(70, "2005-01-01")).not.toHaveProperty("onsetAge");
  expect(condition(70, "2020-01-01")).toMatchObject({ onsetAge: { value: 70 }, recordedDate: "2020" });
});

test("an address keeps its State and three digits; a small area, or one without a census, is 000", () => {
  const shown = (address: object) => left(patient({ address: [address] }));
  const full = {
    use: "home",
    text: "1 Main St",
    line: ["1 Main St"],
    city: "Boston",
    district: "Suffolk",
    state: "MA",
    postalCode: "02118-1234",
    country: "US",
    period: { start: "2001-02-03" },
  };
  expect(shown(full)).toEqual(
    patient({
      id: code,
      address: [{ use: "home", state: "MA", postalCode: "021", country: "US", period: { start: "2001" } }],
    }),
  );
  for (const zip of ["03601", "82310", "20301", "09012", "34012", "00100"])
    expect(shown({ state: "NH", postalCode: zip }), zip).toMatchObject({ address: [{ postalCode: "000" }] });
  for (const address of [
    { postalCode: "SW1A 1AA", country: "GB" },
    { postalCode: "10115", country: "DE" },
    { postalCode: "2118", state: "MA" },
    { postalCode: "10115" },
    { postalCode: "10115", city: "Berlin", state: "Berlin" },
  ])
    expect(JSON.stringify(shown(address)), address.postalCode).not.toContain("postalCode");
  expect(shown({ state: "Boston area" })).toEqual(patient({ id: code }));
});

test("a limited data set keeps dates, town, State and ZIP Code, and no other part of an address", () => {
  const address = {
    line: ["1 Main St"],
    city: "Boston",
    district: "Suffolk",
    state: "MA",
    postalCode: "02118",
  };
  expect(
    left(
      patient({ birthDate: "1930-06-05", name: [{ family: "F" }], address: [address] }),
      "limited-data-set",
    ),
  ).toEqual(
    patient({
      id: code,
      birthDate: "1930-06-05",
      address: [{ city: "Boston", state: "MA", postalCode: "02118" }],
    }),
  );
});

test("ids and references become codes; a target without a code, or elsewhere, is no reference", () => {
  const subject = (reference: object) => left(observation({ subject: reference }));
  const mine = { subject: { reference: code } };
  expect(subject({ reference: "Patient/p", display: "F", identifier: { value: "1" } })).toMatchObject({
    subject: { reference: `Patient/${mine.subject.reference}` },
  });
  expect(subject({ reference: "https://fhir.example/r4/Patient/p/_history/2" })).toMatchObject({
    subject: { reference: `Patient/${code}` },
  });
  for (const reference of [
    "Patient/lost",
    "https://other.example/Patient/p",
    "urn:uuid:1",
    "Patient?identifier=1",
    "Binary/b",
  ])
    expect(subject({ reference }), reference).not.toHaveProperty("subject");
});

test("a contained resource has the table of its own type, and an id of its position", () => {
  const contained = [
    { resourceType: "Binary", id: "hidden", contentType: "text/plain" },
    {
      resourceType: "Practitioner",
      id: "dr-f",
      name: [{ family: "Fox", text: "F" }],
      telecom: [{ value: "1" }],
    },
  ];
  const reference = { performer: [{ reference: "#dr-f" }, { reference: "#hidden" }] };
  expect(left(observation({ contained, ...reference }))).toMatchObject({
    contained: [{ resourceType: "Practitioner", id: "c1", name: [{ family: "Fox" }] }],
    performer: [{ reference: "#c1" }],
  });
  expect(left(observation({ contained }))).not.toHaveProperty("contained");
  const twice = [...contained, contained[1]];
  expect(left(observation({ contained: twice, ...reference }))).toEqual(left(observation({})));
});

test("only a code in the grammar of a public system stays", () => {
  const shown = (coding: object) =>
    left(observation({ valueCodeableConcept: { coding: [coding], text: "F" } }));
  expect(
    shown({ system: "http://snomed.info/sct", code: "44054006", display: "D", version: "F" }),
  ).toMatchObject({
    valueCodeableConcept: { coding: [{ system: "http://snomed.info/sct", code: "44054006" }] },
  });
  for (const coding of [
    { code: "44054006" },
    { system: "http://hospital.example/codes", code: "1" },
    { system: "http://snomed.info/sct", code: "078-05-1120" },
    { system: "http://snomed.info/sct", code: "078051120" },
    { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "MRN-0012345" },
    { system: "http://unitsofmeasure.org", code: "{John Fox}" },
  ])
    expect(JSON.stringify(shown(coding)), coding.code).not.toContain("valueCodeableConcept");
});

test("race, ethnicity and birth sex stay by their codes, and no other extension", () => {
  const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";
  const coding = { system: "urn:oid:2.16.840.1.113883.6.238", code: "2028-9" };
  const race = { url: `${usCore}race`, extension: [{ url: "ombCategory", valueCoding: coding }] };
  const sex = { url: `${usCore}birthsex`, valueCode: "F" };
  const place = {
    url: "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
    valueAddress: { city: "B" },
  };
  const text = { url: "text", valueString: "Fox" };
  const all = { extension: [{ ...race, extension: [...race.extension, text] }, sex, place] };
  expect(left(patient(all))).toEqual(patient({ id: code, extension: [race, sex] }));
});

test("a resource of a withheld type, with implicitRules or with a modifier extension stays back whole", () => {
  for (const resourceType of Object.keys(withheldTypes))
    expect(left({ resourceType, id: "x" })).toBeUndefined();
  expect(left(patient({ implicitRules: "http://rules.example" }))).toBeUndefined();
  const modifierExtension = [{ url: "http://not.example", valueBoolean: true }];
  expect(left(patient({ contact: [{ modifierExtension }] }))).toBeUndefined();
  expect(left({ resourceType: "Fox", id: "x" })).toBeUndefined();
});

test("an element that R4 requires says `masked`, and a member that R4 lacks stays back with its name", () => {
  const slot = {
    resourceType: "Slot",
    id: "s",
    status: "free",
    start: "2020-01-02T03:04:05Z",
    schedule: { display: "F" },
  };
  const masked = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
  };
  expect(left(slot)).toMatchObject({ _start: masked, _end: masked, schedule: masked });
  expect(left(patient({ "John Fox": "1", "_John Fox": masked }))).toEqual(patient({ id: code }));
});

test("a modifier of extensions alone is masked: a death without a date shows", () => {
  const masked = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
  };
  const unnamed = { extension: [{ url: "http://not.example", valueString: "F" }] };
  for (const form of deidForms) {
    for (const name of ["_deceasedDateTime", "_deceasedBoolean", "_active"])
      expect(left(patient({ [name]: unnamed, gender: "male" }), form), name).toEqual(
        patient({ id: code, [name]: masked, gender: "male" }),
      );
    expect(left(patient({ _deceasedDateTime: masked }), form)).toEqual(
      patient({ id: code, _deceasedDateTime: masked }),
    );
    expect(left(patient({ _gender: unnamed, active: true, _active: unnamed }), form)).toEqual(
      patient({ id: code, active: true }),
    );
  }
});

test("rows that differ only in what stays back leave the same bytes", () => {
  const row = (name: string, day: string, id: string) =>
    patient({
      birthDate: `1987-06-${day}`,
      name: [{ family: name }],
      identifier: [{ value: name }],
      photo: [{ url: name }],
      contact: [{ name: { family: name }, gender: "female" }],
      generalPractitioner: [{ reference: `Practitioner/${id}` }],
      text: { status: "generated", div: name },
    });
  expect(JSON.stringify(left(row("Fox", "05", "a")))).toBe(JSON.stringify(left(row("Hare", "25", "b"))));
});
