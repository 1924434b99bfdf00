import { test } from "vitest";
import { fitted } from "#gateway/origin/at-origin";

const served = (...search: readonly string[]) => ({
  interactions: new Set<string>(),
  search: new Set(search),
});
const traits = {
  transactions: undefined,
  honoursIfMatchOnDelete: false,
  acceptsSearchInUrl: false,
  capabilities: {
    types: new Map([
      ["Observation", served("patient", "date", "subject")],
      ["Encounter", served("_id")],
    ]),
  },
};

test("a question loses the criteria that the origin lacks, and keeps its order, includes and form", ({
  expect,
}) => {
  const fit = (query: string, path = "Observation") => {
    const found = fitted({ path, query }, traits);
    return found.ok ? found.value.query : found.error;
  };
  expect(fit("code=a&patient=Patient/1&code:not=b&_sort=-date&_count=400")).toBe(
    "patient=Patient/1&_sort=-date&_count=400",
  );
  expect(fit("_include=Observation:subject&_revinclude=Encounter:_id&_include=*")).toBe(
    "_include=Observation:subject&_revinclude=Encounter:_id&_include=*",
  );
  expect(fit("_include=Observation:performer")).toEqual({
    reason: "parameter_not_at_origin",
    parameter: "_include",
  });
  expect(fit("_sort=date,-code")).toEqual({ reason: "parameter_not_at_origin", parameter: "code" });
  // everything that is no search of a type goes as it is
  expect(fit("_since=2020", "Observation/1/_history")).toBe("_since=2020");
});

test("a type that the origin lacks is never asked for: a search, a read and a history are refused, and an include of it finds nothing", ({
  expect,
}) => {
  for (const [path, query] of [
    ["Condition", "code=a"],
    ["Condition", ""],
    ["Condition/1", ""],
    ["Condition/1/_history", ""],
  ] as const)
    expect(fitted({ path, query }, traits)).toEqual({ ok: false, error: { reason: "type_not_at_origin" } });
  const included = fitted({ path: "Observation", query: "date=2026&_revinclude=Provenance:target" }, traits);
  expect(included).toMatchObject({ value: { query: "date=2026" } });
});

test("a parameter that finds the same rows stands in for one that the origin lacks, and the patient of a question is never lost", ({
  expect,
}) => {
  const fit = (type: string, search: readonly string[], query: string) => {
    const types = new Map([[type, served(...search)]]);
    const found = fitted({ path: type, query }, { ...traits, capabilities: { types } });
    return found.ok ? decodeURIComponent(found.value.query) : found.error;
  };
  const lost = (parameter: string) => ({ reason: "parameter_not_at_origin", parameter });
  for (const [type, search, query, sent] of [
    ["Observation", ["subject"], "patient=1,Patient%2F2&_count=9", "subject=Patient/1,Patient/2&_count=9"],
    ["Observation", ["patient"], "subject=Patient%2F1", "patient=Patient/1"],
    ["Observation", ["patient"], "subject:Patient=1", "patient=Patient/1"],
    ["Observation", ["patient"], "subject=Group%2F1&code=a", ""],
    [
      "Observation",
      ["subject"],
      "patient.general-practitioner=Practitioner%2F1",
      "subject:Patient.general-practitioner=Practitioner/1",
    ],
    [
      "Observation",
      ["patient"],
      "subject:Patient.general-practitioner=Practitioner%2F1",
      "patient.general-practitioner=Practitioner/1",
    ],
    ["Appointment", ["actor"], "patient=1", "actor=Patient/1"],
    ["Observation", ["code"], "patient=1&code=a", lost("patient")],
    ["Observation", ["code"], "subject=Patient%2F1", lost("subject")],
    ["Observation", ["performer"], "patient=1", lost("patient")],
    ["Observation", ["_id"], "patient=1&_id=o1", "_id=o1"],
    ["Observation", ["subject"], "subject=Patient%2F1&patient=1", "subject=Patient/1&subject=Patient/1"],
    ["Patient", ["name"], "_id=1&name=a", lost("_id")],
    ["Observation", ["code"], "patient:missing=true&code=a", "code=a"],
  ] as const)
    expect(fit(type, search, query), `${type}?${query} by ${search.join()}`).toEqual(sent);
});

test("a posted question goes by GET only to an origin that takes no POST and whose operator accepts that", ({
  expect,
}) => {
  const asked = (searchByPost: boolean | undefined, acceptsSearchInUrl: boolean) => {
    const found = fitted(
      { path: "Observation", query: "code=a", posted: true },
      { ...traits, acceptsSearchInUrl, capabilities: { searchByPost } },
    );
    return found.ok ? found.value.posted : found.error.reason;
  };
  expect([undefined, true].map((posts) => asked(posts, true))).toEqual([true, true]);
  expect(asked(false, false)).toBe("posted_search_not_at_origin");
  expect(asked(false, true)).toBe(false);
});
