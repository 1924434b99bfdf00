import { test } from "vitest";
import type { Json } from "#fhir/json/json";
import { elementsLeft } from "#phi/elements-left";

const left = (body: object) => elementsLeft(JSON.parse(JSON.stringify(body)) as Json);

const patient = {
  resourceType: "Patient",
  id: "amara",
  _birthDate: { extension: [{ url: "u", valueCode: "unknown" }] },
  name: [{ family: "F", given: ["A", "B"] }, { given: [null, "C"] }],
  active: false,
  contained: [{ resourceType: "Organization", id: "o", name: "N" }],
};

test("the values of an answer are counted by their element paths, nested resources under their own type", ({
  expect,
}) => {
  expect(Object.fromEntries(left(patient))).toEqual({
    "Patient.id": 1,
    "Patient.birthDate.extension.url": 1,
    "Patient.birthDate.extension.valueCode": 1,
    "Patient.name.family": 1,
    "Patient.name.given": 3,
    "Patient.active": 1,
    "Organization.id": 1,
    "Organization.name": 1,
  });
});

test("a list counts its resources, and nothing of itself", ({ expect }) => {
  const entry = { fullUrl: "https://gateway/Patient/amara", resource: patient, search: { mode: "match" } };
  const list = { resourceType: "Bundle", total: 2, link: [{ url: "u" }], entry: [entry, entry] };
  expect([...left(list)]).toEqual([...left(patient)].map(([path, n]) => [path, 2 * n]));
  const outcome = { resourceType: "OperationOutcome", issue: [{ severity: "error", code: "forbidden" }] };
  const refused = { response: { status: "403", outcome } };
  expect(left({ resourceType: "Bundle", total: 0, entry: [refused, { resource: outcome }] }).size).toBe(0);
});

test("a resource that nests without end counts as the beginning of its path", ({ expect }) => {
  const nested = Array.from({ length: 40 }).reduce<object>((item) => ({ item: [item], linkId: "1" }), {});
  const paths = [...left({ resourceType: "Questionnaire", ...nested }).keys()];
  expect(Math.max(...paths.map((path) => path.split(".").length))).toBe(13);
});
