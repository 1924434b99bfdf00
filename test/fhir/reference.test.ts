import { test } from "vitest";
import { parseReference } from "#fhir/reference";

const base = "https://origin.example/fhir";
const parse = (text: string) => parseReference(text, base);

test("a local reference is read from its relative and its absolute form, a version being the same resource", ({ expect }) => {
  const patient = { kind: "local", type: "Patient", id: "1" };
  for (const text of ["Patient/1", `${base}/Patient/1`, "Patient/1/_history/7", `${base}/Patient/1/_history/7`])
    expect(parse(text), text).toEqual(patient);
});

test("Patient/1 is not Patient/12, and the base is no prefix of another base", ({ expect }) => {
  expect(parse("Patient/12")).toEqual({ kind: "local", type: "Patient", id: "12" });
  for (const text of [
    `${base}2/Patient/1`,
    `${base}2Patient/1`,
    "https://origin.example/Patient/1",
    "https://origin.example.evil/fhir/Patient/1",
    `x${base}/Patient/1`,
    "//origin.example/fhir/Patient/1",
    "Patient/1?x",
    "Patient/1/",
    "Patient//1",
    "/Patient/1",
    "../Patient/1",
    "Patient/1/Observation/2",
    "Patient/a b",
    "patient/1",
    "Toaster/1",
    "Patient/",
    "Patient",
    "",
    `Patient/${"a".repeat(65)}`,
    "Patient/1/_history/",
    "Patient?identifier=x",
    "Patient/1#p",
    "Patient/1\n",
  ])
    expect(parse(text).kind, text).toBe("foreign");
});

test("fragments and URNs are neither local nor foreign", ({ expect }) => {
  expect(parse("#p1")).toEqual({ kind: "fragment", id: "p1" });
  expect(parse("#")).toEqual({ kind: "fragment", id: "" });
  expect(parse("urn:uuid:1d2c3b4a-0000-4000-8000-000000000000")).toEqual({ kind: "urn" });
});
