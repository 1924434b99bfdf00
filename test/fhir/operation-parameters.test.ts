import { test } from "vitest";
import { formOfParameters } from "#fhir/operation-parameters";

const read = (body: unknown) => formOfParameters(new TextEncoder().encode(JSON.stringify(body)));
const parameters = (...parameter: object[]) => ({ resourceType: "Parameters", parameter });

test("Parameters with primitive values are the form that a GET has", ({ expect }) => {
  expect(read({ resourceType: "Parameters" })).toBe("");
  expect(
    read(
      parameters(
        { name: "_type", valueCode: "Observation" },
        { name: "_count", valueInteger: 20 },
        { name: "start", valueDate: "2026-01-01" },
        { name: "_since", valueInstant: "2026-01-01T10:00:00+01:00" },
        { name: "a&b", valueString: "c=d&_count=1" },
      ),
    ),
  ).toBe(
    "_type=Observation&_count=20&start=2026-01-01&_since=2026-01-01T10%3A00%3A00%2B01%3A00&a%26b=c%3Dd%26_count%3D1",
  );
});

test("a body with anything more is no form: nothing in it is passed over", ({ expect }) => {
  for (const body of [
    [],
    {},
    { resourceType: "Bundle" },
    { ...parameters(), extension: [] },
    { resourceType: "Parameters", parameter: {} },
    parameters({ name: "a" }),
    parameters({ valueCode: "a" }),
    parameters({ name: "a", valueCode: null }),
    parameters({ name: "a", valueCode: ["b"] }),
    parameters({ name: "a", valueReference: { reference: "Patient/1" } }),
    parameters({ name: "a", resource: { resourceType: "Patient" } }),
    parameters({ name: "a", part: [{ name: "b", valueCode: "c" }] }),
    parameters({ name: "a", valueCode: "b", _valueCode: { id: "c" } }),
    parameters({ name: "a", valueCode: "b", valueString: "c" }),
  ])
    expect(read(body), JSON.stringify(body)).toBeUndefined();
  expect(formOfParameters(new TextEncoder().encode('{"resourceType":"Parameters"'))).toBeUndefined();
});
