import * as fc from "fast-check";
import { test } from "vitest";
import { readCriterion } from "../../../../sandbox/origin/search/read-criterion.ts";
import { dateSpan } from "../../../../sandbox/origin/match/date.ts";
import { ResourceIndex } from "../../../../sandbox/origin/resource-index.ts";

const base = "http://origin.test/fhir";
const index = new ResourceIndex(base);
const observation = {
  resourceType: "Observation",
  id: "o1",
  meta: {
    lastUpdated: "2026-03-01T10:00:00Z",
    security: [{ system: "urn:s", code: "R" }],
    profile: ["http://example.org/p"],
  },
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "8302-2", display: "Body height" }], text: "Height" },
  subject: { reference: "Patient/p1" },
  focus: [{ reference: `${base}/Patient/p2` }],
  performer: [{ reference: "Practitioner/p1" }, { identifier: { system: "urn:npi", value: "77" } }],
  effectivePeriod: { start: "2024-02-28T23:00:00-05:00", end: "2024-03-02" },
  valueQuantity: { value: 170.2, unit: "cm", system: "http://unitsofmeasure.org", code: "cm" },
};
const patient = {
  resourceType: "Patient",
  id: "p1",
  identifier: [{ system: "urn:mrn", value: "A|1,2" }, { value: "bare" }],
  name: [{ family: "Núñez", given: ["José", "Luis"] }],
  telecom: [
    { system: "phone", value: "555" },
    { system: "email", value: "a@b" },
  ],
  birthDate: "1990-05",
  gender: "male",
  active: true,
  deceasedDateTime: "2024",
  address: [{ city: "Saint-Malo", postalCode: "35400" }],
  generalPractitioner: [{ reference: "Practitioner/x/_history/3" }],
};

const resources: Record<string, object> = { Observation: observation, Patient: patient };
function meets(type: string, name: string, value: string): boolean | string {
  const criterion = readCriterion(type, name, value, index);
  return criterion.ok ? criterion.value.meets(resources[type] ?? {}) : criterion.error.reason;
}

test("references match by bare id, by type and id, by this server's URL, in lists, and nothing by prefix", ({
  expect,
}) => {
  for (const [name, value, expected] of [
    ["patient", "p1", true],
    ["patient", "Patient/p1", true],
    ["patient", `${base}/Patient/p1`, true],
    ["patient", "http://elsewhere/Patient/p1", false],
    ["patient", "p", false],
    ["patient", "Patient/p11", false],
    ["patient", "p9,p1", true],
    ["subject", "p1", true],
    ["subject:Patient", "p1", true],
    ["subject:Group", "p1", false],
    ["subject:Practitioner", "p1", "unsupported"], // not a target of the parameter
    ["focus", "Patient/p2", true],
    ["focus", "p2", true],
    ["performer", "Patient/p1", false],
    ["performer", "p1", true],
    ["performer:identifier", "urn:npi|77", true],
    ["performer:identifier", "urn:npi|7", false],
    ["encounter:missing", "true", true],
    ["subject:missing", "true", false],
    ["subject:missing", "maybe", "bad_value"],
  ] as const)
    expect(meets("Observation", name, value), `${name}=${value}`).toBe(expected);
  // a version of a resource is still that resource
  expect(meets("Patient", "general-practitioner", "Practitioner/x")).toBe(true);
});

test("tokens match system and code as R4 §3.1.1.4.10 defines", ({ expect }) => {
  for (const [type, name, value, expected] of [
    ["Observation", "code", "8302-2", true],
    ["Observation", "code", "http://loinc.org|8302-2", true],
    ["Observation", "code", "http://loinc.org|", true],
    ["Observation", "code", "http://snomed.info/sct|8302-2", false],
    ["Observation", "code", "|8302-2", false],
    ["Observation", "code", "8302", false],
    ["Observation", "code", "1,8302-2", true],
    ["Observation", "code", "Height", false], // a text is not a code
    ["Observation", "code:text", "hei", true],
    ["Observation", "code:text", "body", true],
    ["Observation", "code:not", "8302-2", false],
    ["Observation", "code:not", "9", true],
    ["Observation", "code:in", "urn:set", "unsupported"],
    ["Observation", "status", "final", true],
    ["Observation", "status", "http://hl7.org/fhir/observation-status|final", true],
    ["Observation", "_security", "urn:s|R", true],
    ["Observation", "_id", "o1", true],
    ["Observation", "_id", "o2,o3", false],
    ["Patient", "identifier", "urn:mrn|A\\|1\\,2", true],
    ["Patient", "identifier", "urn:mrn|A", false],
    ["Patient", "identifier", "|bare", true],
    ["Patient", "active", "true", true],
    ["Patient", "gender", "female", false],
    ["Patient", "phone", "555", true],
    ["Patient", "email", "555", false],
    ["Patient", "deceased", "true", true],
    ["Patient", "deceased", "false", false],
  ] as const)
    expect(meets(type, name, value), `${name}=${value}`).toBe(expected);
});

test("strings match from the beginning of each part, without case and accents", ({ expect }) => {
  for (const [name, value, expected] of [
    ["family", "nun", true],
    ["family", "NÚÑEZ", true],
    ["family", "unez", false],
    ["family:contains", "unez", true],
    ["family:exact", "Nunez", false],
    ["family:exact", "Núñez", true],
    ["name", "luis", true],
    ["address", "saint", true],
    ["address-postalcode", "354", true],
    ["family:above", "x", "unsupported"],
  ] as const)
    expect(meets("Patient", name, value), `${name}=${value}`).toBe(expected);
});

test("dates compare as the spans of time that they are", ({ expect }) => {
  for (const [type, name, value, expected] of [
    ["Patient", "birthdate", "1990", true],
    ["Patient", "birthdate", "1990-05", true],
    ["Patient", "birthdate", "1990-05-04", false], // the month is wider than the day
    ["Patient", "birthdate", "ne1990-05-04", true],
    ["Patient", "birthdate", "lt1990-06", true],
    ["Patient", "birthdate", "ge1990-05", true],
    ["Patient", "birthdate", "gt1990-05", false],
    ["Patient", "birthdate", "sa1990-04", true],
    ["Patient", "birthdate", "eb1990-06", true],
    ["Observation", "date", "2024", true],
    ["Observation", "date", "2024-02", false], // it continues in March
    ["Observation", "date", "ge2024-03-01", true],
    // it ends with that day: neither within the day nor after it
    ["Observation", "date", "ge2024-03-02", false],
    ["Observation", "date", "lt2024-02-29", false], // 23:00 at -05:00 is the 29th in UTC
    ["Observation", "date", "lt2024-03-01", true],
    ["Observation", "_lastUpdated", "gt2026-02-28", true],
    ["Observation", "_lastUpdated", "2026-03-01T10:00:00Z", true],
    ["Observation", "_lastUpdated", "2026-03-01T12:00:00+02:00", true],
    ["Observation", "date", "2024-13", "bad_value"],
    ["Observation", "date", "2023-02-29", "bad_value"],
    ["Observation", "date", "yesterday", "bad_value"],
    ["Observation", "date", "", "bad_value"],
  ] as const)
    expect(meets(type, name, value), `${name}=${value}`).toBe(expected);
});

test("numbers match within their written precision, quantities in their unit", ({ expect }) => {
  for (const [value, expected] of [
    ["170.2", true],
    ["170", true], // 169.5 to 170.5
    ["171", false],
    ["170.20", true],
    ["170.21", false],
    ["gt170", true],
    ["lt170.2", false],
    ["le170.2", true],
    ["ap160", true],
    ["170.2|http://unitsofmeasure.org|cm", true],
    ["170.2|http://unitsofmeasure.org|m", false],
    ["170.2||cm", true],
    ["1.702e2", true],
    ["tall", "bad_value"],
  ] as const)
    expect(meets("Observation", "value-quantity", value), value).toBe(expected);
});

test("an unknown or unsupported parameter is refused, never ignored", ({ expect }) => {
  for (const [name, reason] of [
    ["colour", "parameter_unknown"],
    ["code.name", "unsupported"], // leads nowhere
    ["subject:Practitioner.name", "unsupported"],
    ["subject:Patient.colour", "parameter_unknown"],
    ["colour.name", "parameter_unknown"],
    ["_has:Observation:colour:code", "parameter_unknown"],
    ["_has:Observation:code:status", "unsupported"], // refers to nothing
    ["_has:Observation:patient:status", "unsupported"], // not to Observations
    ["_has:Encounter", "parameter_unknown"],
    ["code-value-quantity", "bad_value"], // one part is missing
    ["_filter", "unsupported"],
  ] as const)
    expect(meets("Observation", name, "x"), name).toBe(reason);
});

test("eq and ne are opposites, and a time is before, within or after any given time", ({ expect }) => {
  const instants = fc
    .date({ min: new Date("1900-01-01"), max: new Date("2100-01-01"), noInvalidDate: true })
    .map((date) => date.toISOString());
  const written = instants.chain((text) =>
    fc.constantFrom(text, text.slice(0, 10), text.slice(0, 7), text.slice(0, 4)),
  );
  fc.assert(
    fc.property(instants, written, (lastUpdated, searched) => {
      const is = (prefix: string) => {
        const criterion = readCriterion("Observation", "_lastUpdated", `${prefix}${searched}`, index);
        return criterion.ok && criterion.value.meets({ meta: { lastUpdated } });
      };
      expect(is("eq")).toBe(!is("ne"));
      expect(is("ge")).toBe(is("eq") || is("gt"));
      expect(is("le")).toBe(is("eq") || is("lt"));
      // an instant is never wider than the searched span
      expect([is("eb"), is("eq"), is("sa")].filter(Boolean)).toHaveLength(1);
    }),
  );
});

test("every date that JavaScript can write covers its own instant", ({ expect }) => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date("0001-01-01"), max: new Date("9999-01-01"), noInvalidDate: true }),
      (date) => {
        for (const length of [4, 7, 10]) {
          const span = dateSpan(date.toISOString().slice(0, length));
          expect(span !== undefined && span.low <= date.getTime() && date.getTime() < span.high).toBe(true);
        }
      },
    ),
  );
});
