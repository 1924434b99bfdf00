import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { listingQuery } from "#fhir/listing";
import { searchQuery } from "#fhir/search/search";

const read = (path: string, query = "", method = "GET") => {
  const interaction = readInteraction(method, path.split("/"), query);
  return interaction.ok ? interaction.value : interaction.error;
};

test("a history is for a resource or a type, since a time or at a time", ({ expect }) => {
  const of = { kind: "history", type: "Patient", since: undefined, at: undefined, count: undefined };
  expect(read("Patient/1/_history")).toEqual({ ...of, id: "1" });
  expect(read("Patient/_history", "_format=json")).toEqual({ ...of, id: undefined });
  expect(read("Patient/1/_history", "_since=2026-01-01T10:00:00%2B01:00&_at=2026-02&_count=5")).toEqual({
    ...of,
    id: "1",
    since: "2026-01-01T10:00:00+01:00",
    at: "2026-02",
    count: 5,
  });
  for (const query of [
    "_since=yesterday",
    "_since=ge2026",
    "_since=2026-02-30",
    "_at=",
    "_count=0",
    "_count=x",
  ])
    expect(read("Patient/1/_history", query), query).toMatchObject({ reason: "parameter_value_malformed" });
  expect(read("Patient/1/_history", "_sort=_lastUpdated")).toEqual({
    reason: "parameter_not_supported",
    parameter: "_sort",
  });
  expect(read("Patient/1/_history", "_count=1&_count=2")).toEqual({
    reason: "parameter_repeated",
    parameter: "_count",
  });
  expect(read("Patient/1/_history", "_count:not=1")).toEqual({ reason: "parameter_malformed" });
  expect(read("Patient/1/_history", "_format=xml")).toEqual({ reason: "format_not_supported" });
  expect(read("Patient/1/_history", "", "POST")).toEqual({
    reason: "method_not_supported",
    allow: ["GET", "HEAD"],
  });
});

test("$everything may be narrowed by type and time, and only by parameters that R4 defines", ({ expect }) => {
  expect(
    read(
      "Patient/1/$everything",
      "_type=Observation,Condition&_type=Patient&start=2026&end=2026-03&_count=10",
    ),
  ).toEqual({
    kind: "everything",
    within: "operation",
    type: "Patient",
    id: "1",
    types: ["Observation", "Condition", "Patient"],
    start: "2026",
    end: "2026-03",
    since: undefined,
    count: 10,
  });
  expect(read("Patient/1/$everything", "_type=Observatory")).toEqual({
    reason: "parameter_value_malformed",
    parameter: "_type",
  });
  expect(read("Patient/1/$everything", "start=2026&start=2025")).toEqual({
    reason: "parameter_repeated",
    parameter: "start",
  });
  expect(read("Patient/1/$everything", "code=x")).toEqual({
    reason: "parameter_not_supported",
    parameter: "code",
  });
  expect(read("Patient/1/$everything", "_count=2", "POST")).toEqual(
    read("Patient/1/$everything", "_count=2"),
  );
  expect(read("Patient/1/$everything", "", "PUT")).toEqual({
    reason: "method_not_supported",
    allow: ["GET", "HEAD", "POST"],
  });
});

test("a listing's query is written as it is read", ({ expect }) => {
  for (const [path, query] of [
    [
      "Patient/1/$everything",
      "_type=Observation,Condition&start=2026&end=2026-03&_since=2026-01-01T10%3A00%3A00%2B01%3A00&_count=10",
    ],
    ["Patient/1/_history", "_at=2026&_since=2025&_count=3"],
    ["Patient/1/_history", ""],
  ] as const) {
    const asked = read(path, query);
    expect(
      "kind" in asked && (asked.kind === "history" || asked.kind === "everything") && listingQuery(asked),
    ).toBe(query);
  }
});

test("$lastn needs a patient or subject, and has no order and no pages", ({ expect }) => {
  expect(read("Observation/$lastn", "patient=1&category=laboratory&max=3")).toMatchObject({
    kind: "lastn",
    type: "Observation",
    max: 3,
  });
  expect(read("Observation/$lastn", "subject=Patient/1")).toMatchObject({ kind: "lastn", max: 1 });
  expect(read("Observation/$lastn", "code=1234-5")).toEqual({ reason: "subject_missing" });
  for (const query of [
    "_sort=date",
    "_count=5",
    "_include=Observation:subject",
    "subject:Patient.name=x",
    "_elements=code",
  ])
    expect(read("Observation/$lastn", `patient=1&${query}`), query).toMatchObject({
      reason: "parameter_not_supported",
    });
  for (const max of ["0", "x", "1001"])
    expect(read("Observation/$lastn", `patient=1&max=${max}`)).toMatchObject({
      reason: "parameter_value_malformed",
    });
});

test("a compartment's search is the search for that patient's rows", ({ expect }) => {
  const query = (path: string, text: string) => {
    const asked = read(path, text);
    return "kind" in asked && asked.kind === "search" ? searchQuery(asked) : asked;
  };
  expect(query("Patient/1/Observation", "code=a&_count=5")).toBe("patient=Patient%2F1&code=a&_count=5");
  expect(query("Patient/1/Patient", "")).toBe("_id=1");
  expect(query("Patient/1/Appointment", "patient=2")).toBe("patient=Patient%2F1&patient=2");
  expect(read("Patient/1/Observation/_search", "", "POST")).toMatchObject({ kind: "search", posted: true });
  expect(read("Patient/1/Observation/_search")).toEqual({ reason: "method_not_supported", allow: ["POST"] });
});

test("a structure is validated by POST of a type or an id, with no parameter", ({ expect }) => {
  expect(read("Patient/$validate", "", "POST")).toEqual({ kind: "validate", type: "Patient", id: undefined });
  expect(read("Patient/1/$validate", "", "POST")).toEqual({ kind: "validate", type: "Patient", id: "1" });
  expect(read("Patient/$validate", "profile=urn:x", "POST")).toEqual({
    reason: "parameter_unknown",
    parameter: "profile",
  });
  expect(read("Patient/$validate")).toEqual({ reason: "method_not_supported", allow: ["POST"] });
});
