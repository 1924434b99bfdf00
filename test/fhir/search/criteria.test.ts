import { test } from "vitest";
import { meets, undecidable } from "#fhir/search/criteria";
import { readCriteria } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import { readQuery } from "#fhir/search/query";
import { matches, mayMatch } from "#fhir/search/row-judge";
import type { ResourceType } from "#fhir/r4/elements";
import type { FhirBase } from "#fhir/r4/reference";

const base = "https://api.example/fhir";
function criteriaOf(type: ResourceType, query: string) {
  const pairs = readQuery(query);
  const criteria = pairs.ok ? readCriteria(type, pairs.value, base) : pairs;
  if (!criteria.ok) throw new Error(criteria.error.reason);
  return criteria.value;
}
const met = (query: string, row: JsonObject, type: ResourceType = "Observation") =>
  meets({ resourceType: type, ...row }, criteriaOf(type, query).parameters, base);

test("_id takes an id with the searched type, as HAPI and Medplum do, and with no other type", ({
  expect,
}) => {
  for (const query of ["_id=Observation/a", "_id=b,Observation/a"]) {
    expect(met(query, { id: "a" }), query).toBe(true);
    expect(met(query, { id: "c" }), query).toBe(false);
  }
  for (const text of ["Patient/a", "Observation/", "Observation/a/b", "Observation/Observation/a", "/a"])
    expect(() => criteriaOf("Observation", `_id=${text}`), text).toThrow("parameter_value_malformed");
});

test("a row meets a token by system and code as R4 compares them, exactly", ({ expect }) => {
  const row = { identifier: [{ system: "urn:a", value: "1" }, { value: "2" }] };
  expect(met("identifier=urn:a|1", row)).toBe(true);
  expect(met("identifier=1", row)).toBe(true);
  expect(met("identifier=urn:a|", row)).toBe(true);
  expect(met("identifier=|2", row)).toBe(true);
  expect(met("identifier=|1", row)).toBe(false);
  expect(met("identifier=urn:b|1", row)).toBe(false);
  expect(met("identifier=urn:a|2", row)).toBe(false);
  expect(met("identifier=urn:a|11", row)).toBe(false);
  expect(met("identifier=urn:x|9,urn:a|1", row)).toBe(true);
  expect(met("identifier=urn:a|1&status=final", { ...row, status: "final" })).toBe(true);
  expect(met("identifier=urn:a|1&status=final", row)).toBe(false);
  expect(
    met("code=urn:l|x", {
      code: {
        coding: [
          { system: "urn:l", code: "y" },
          { system: "urn:l", code: "x" },
        ],
      },
    }),
  ).toBe(true);
  expect(met("code=urn:l|x", { code: { text: "x" } })).toBe(false);
  expect(met("active=true", { active: true }, "Patient")).toBe(true);
  expect(met("_id=a", { id: "a" })).toBe(true);
  expect(met("_id=a", { id: "b" })).toBe(false);
});

test("a plain code or a boolean is of the systems that R4 defines for its element, in a condition and in a search alike", ({
  expect,
}) => {
  const cases: readonly (readonly [ResourceType, string, JsonObject, boolean])[] = [
    ["Patient", "gender=http://hl7.org/fhir/administrative-gender|male", { gender: "male" }, true],
    ["Patient", "gender=http://hl7.org/fhir/administrative-gender|", { gender: "male" }, true],
    ["Patient", "gender=http://hl7.org/fhir/administrative-gender|female", { gender: "male" }, false],
    ["Patient", "gender=http://hl7.org/fhir/observation-status|male", { gender: "male" }, false],
    ["Patient", "gender=urn:other|male", { gender: "male" }, false],
    ["Patient", "gender=|male", { gender: "male" }, true],
    ["Patient", "active=http://terminology.hl7.org/CodeSystem/special-values|true", { active: true }, true],
    ["Patient", "active=urn:other|true", { active: true }, false],
    ["Immunization", "status=http://hl7.org/fhir/event-status|completed", { status: "completed" }, true],
    [
      "Immunization",
      "status=http://hl7.org/fhir/immunization-status|completed",
      { status: "completed" },
      false,
    ],
  ];
  for (const [type, query, row, expected] of cases) {
    expect(met(query, row, type), query).toBe(expected);
    const [parameter] = criteriaOf(type, query).parameters;
    if (parameter === undefined) throw new Error(query);
    const whole = { resourceType: type, ...row };
    expect(matches(whole, parameter, base), query).toBe(expected);
    expect(mayMatch(whole, parameter, base), query).toBe(!query.endsWith("female"));
    expect(matches(whole, { ...parameter, modifier: "not" }, base), query).toBe(!expected);
  }
});

test("a row meets a reference to a resource of this origin, by type if the reference has a type", ({
  expect,
}) => {
  expect(met("patient=1", { subject: { reference: "Patient/1" } })).toBe(true);
  expect(met("subject=Patient/1", { subject: { reference: `${base}/Patient/1` } })).toBe(true);
  expect(met("subject=Patient/1", { subject: { reference: "Group/1" } })).toBe(false);
  expect(met("subject=Patient/1", { subject: { reference: "Patient/12" } })).toBe(false);
  expect(
    met("subject=Patient/1", { subject: { reference: "https://elsewhere.example/fhir/Patient/1" } }),
  ).toBe(false);
});

test("the URL of another server is compared literally, and names no resource of this server by any of its addresses", ({
  expect,
}) => {
  const addresses = [base, "https://origin.internal/fhir"] as const;
  const judged = (url: string, reference: string, names: FhirBase = addresses) => {
    const { parameters } = criteriaOf("Observation", `encounter=${encodeURIComponent(url)}`);
    const row = { resourceType: "Observation", encounter: { reference } };
    return [
      meets(row, parameters, names),
      ...parameters.flatMap((one) => [matches(row, one, names), mayMatch(row, one, names)]),
    ];
  };
  const [yes, no] = [true, false].map((one) => [one, one, one]);
  const url = "https://elsewhere.example/fhir/Encounter/1";
  expect(judged(url, url)).toEqual(yes);
  for (const other of [`${url}/`, url.toUpperCase(), "Encounter/1", `${url}/_history/1`])
    expect(judged(url, other), other).toEqual(no);
  const own = "https://origin.internal/fhir/Encounter/1";
  expect(judged(own, own)).toEqual(no);
  expect(judged(own, "Encounter/1")).toEqual(no);
});

test("a criterion that the gateway cannot decide is named, and so never used as a condition", ({
  expect,
}) => {
  const of = (query: string, type: ResourceType = "Observation") => undecidable(criteriaOf(type, query));
  expect(of("identifier=urn:a|1&patient=1&_id=x")).toBeUndefined();
  expect(of("identifier=urn:a|1&date=2020")).toBe("date");
  expect(of("name=x", "Patient")).toBe("name");
  expect(of("code:not=x")).toBe("code");
  expect(of("identifier=1&subject:Patient.name=x")).toBe("subject");
  expect(of("identifier=1&_include=Observation:subject")).toBe("_include");
  expect(of("encounter=https://elsewhere.example/fhir/Encounter/1")).toBe("encounter");
  expect(of("status=final,|amended&code=urn:l|x")).toBeUndefined();
  expect(of("status=http://hl7.org/fhir/observation-status|final")).toBeUndefined();
  expect(of("active=urn:s|true", "Patient")).toBeUndefined();
  expect(of("contenttype=urn:ietf:bcp:13|text/plain", "DocumentReference"), "R4 lists no such codes").toBe(
    "contenttype",
  );
  expect(of("telecom=phone|1&active=true", "Patient")).toBeUndefined();
});
