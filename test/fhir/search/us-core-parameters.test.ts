import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { isObject, readJson } from "#fhir/json/json";
import { isJudgeable, matches, mayMatch } from "#fhir/search/row-judge";

const base = "https://origin.example/fhir";
const coding = (code: string) => ({ coding: [{ system: "urn:s", code }] });

/** The search, a row that it finds, and a row that it does not find. */
const cases: readonly (readonly [string, string, object, object])[] = [
  [
    "CareTeam",
    "role=urn:s%7Cnurse",
    { participant: [{ role: [coding("nurse")] }] },
    { participant: [{ role: [coding("son")] }] },
  ],
  [
    "Encounter",
    "discharge-disposition=home",
    { hospitalization: { dischargeDisposition: coding("home") } },
    { hospitalization: { dischargeDisposition: coding("exp") } },
  ],
  ["Goal", "description=walk", { description: coding("walk") }, { description: coding("run") }],
  // CARIN Blue Button
  ["ExplanationOfBenefit", "type=urn:s%7Cpharmacy", { type: coding("pharmacy") }, { type: coding("oral") }],
  ...[
    { billablePeriod: { start: "2026-02-01", end: "2026-02-03" } },
    { item: [{ servicedDate: "2026-02-02" }] },
    { item: [{ servicedPeriod: { start: "2026-02-01" } }] },
  ].map(
    (row) =>
      [
        "ExplanationOfBenefit",
        "service-date=ge2026-02-01",
        row,
        { item: [{ servicedDate: "2026-01-01" }] },
      ] as const,
  ),
  [
    "ExplanationOfBenefit",
    "billable-period-start=2026-02-01",
    { billablePeriod: { start: "2026-02-01" } },
    { billablePeriod: { end: "2026-02-01" } },
  ],
  [
    "ExplanationOfBenefit",
    "insurer=Organization/1",
    { insurer: { reference: "Organization/1" } },
    { insurer: { reference: "Organization/2" } },
  ],
  // R4: a canonical URL is compared as a URL
  [
    "QuestionnaireResponse",
    "questionnaire=http://q.example/a",
    { questionnaire: "http://q.example/a" },
    { questionnaire: "http://q.example/b" },
  ],
  [
    "CarePlan",
    "instantiates-canonical=http://p.example/a",
    { instantiatesCanonical: ["http://p.example/a"] },
    { instantiatesCanonical: ["http://p.example/b"] },
  ],
  // the text of a code, and the identifier of a reference
  ["Condition", "code:text=dia", { code: { text: "Diabetes" } }, { code: { text: "Asthma" } }],
  ["Condition", "code:text=dia", { code: { coding: [{ display: "Diabetes" }] } }, { code: coding("dia") }],
  [
    "Condition",
    "subject:identifier=urn:s%7C1",
    { subject: { identifier: { system: "urn:s", value: "1" } } },
    { subject: { reference: "Patient/1" } },
  ],
  // URLs by their beginning
  ["Device", "url:below=http://d.example/a", { url: "http://d.example/a/1" }, { url: "http://d.example/b" }],
  [
    "Device",
    "url:above=http://d.example/a/1",
    { url: "http://d.example/a" },
    { url: "http://d.example/a/2" },
  ],
  [
    "Patient",
    "_profile:below=http://p.example/",
    { meta: { profile: ["http://p.example/a"] } },
    { meta: { profile: ["http://q.example/a"] } },
  ],
  [
    "QuestionnaireResponse",
    "questionnaire:below=http://q.example/a",
    { questionnaire: "http://q.example/a|2" },
    { questionnaire: "http://q.example/b" },
  ],
  // R4: email and phone are the contact points of their system
  [
    "Patient",
    "email:missing=false",
    { telecom: [{ system: "email", value: "a@b.example" }] },
    { telecom: [{ system: "phone", value: "555" }] },
  ],
  [
    "Patient",
    "phone=555",
    { telecom: [{ system: "phone", value: "555" }] },
    { telecom: [{ system: "email" }] },
  ],
  ["AllergyIntolerance", "recorder:missing=true", {}, { recorder: { reference: "Practitioner/1" } }],
];
test.for(cases)("%s?%s is judged on the row", ([type, query, found, other], { expect }) => {
  const asked = readInteraction("GET", [type], query);
  if (!asked.ok || asked.value.kind !== "search") throw new Error(JSON.stringify(asked));
  const [parameter, ...more] = asked.value.parameters;
  if (parameter === undefined || more.length > 0) throw new Error("one parameter");
  const row = (elements: object) => {
    const read = readJson(
      new TextEncoder().encode(JSON.stringify({ resourceType: type, id: "x", ...elements })),
    );
    if (!read.ok || !isObject(read.value)) throw new Error("a resource");
    return read.value;
  };
  expect(isJudgeable(type, parameter)).toBe(true);
  for (const judge of [matches, mayMatch]) {
    expect(judge(row(found), parameter, base)).toBe(true);
    expect(judge(row(other), parameter, base)).toBe(false);
  }
});
