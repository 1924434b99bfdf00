import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readExportParameters, readExportQuery, type ExportLevel } from "#doors/bulk/read-export";
import { readObject, type JsonObject } from "#fhir/json/json";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { must } from "../../support/must.ts";

const base = "https://gateway.example/fhir/main";
const group: ExportLevel = { kind: "group", id: "payer-1" };

const byGet = (query: string, handling: "strict" | "lenient" = "strict", level = group) =>
  readExportQuery(new URLSearchParams(query), level, handling);

const bodyOf = (value: unknown): JsonObject =>
  must(readObject(new TextEncoder().encode(JSON.stringify(value))));
const byPost = (
  parameter: readonly unknown[],
  handling: "strict" | "lenient" = "strict",
  level: ExportLevel = group,
) => readExportParameters(bodyOf({ resourceType: "Parameters", parameter }), level, handling, base);

const refused = (reason: string, parameter: string) => ({ ok: false, error: { reason, parameter } });
const plain = {
  level: group,
  since: undefined,
  until: undefined,
  types: [],
  typeFilters: [],
  elements: [],
  patients: undefined,
  ignored: [],
};

describe("a kick-off request", () => {
  test("without parameters asks for everything of its level, in either form", () => {
    expect(byGet("")).toEqual({ ok: true, value: plain });
    expect(byPost([])).toEqual({ ok: true, value: plain });
    expect(readExportParameters(bodyOf({ resourceType: "Parameters" }), group, "strict", base)).toEqual({
      ok: true,
      value: plain,
    });
  });

  test("names the format by its media type or by a short name, also with a plus that the client did not encode", () => {
    for (const format of [
      "application/fhir%2Bndjson",
      "application/fhir+ndjson",
      "application/ndjson",
      "ndjson",
    ])
      expect(byGet(`_outputFormat=${format}`), format).toEqual({ ok: true, value: plain });
    for (const format of ["application/vnd.apache.parquet", "json", "application/fhir+json"])
      for (const handling of ["strict", "lenient"] as const)
        expect(byGet(`_outputFormat=${format}`, handling), format).toEqual(
          refused("export_format_not_supported", "_outputFormat"),
        );
  });

  test("has times that are instants, as sent", () => {
    const read = byGet("_since=2026-01-01T00:00:00.5%2B01:00&_until=2026-02-01T00:00:00Z");
    expect(read).toEqual({
      ok: true,
      value: { ...plain, since: "2026-01-01T00:00:00.5+01:00", until: "2026-02-01T00:00:00Z" },
    });
    expect(byGet("_since=2026-01-01T00:00:00+01:00")).toMatchObject({
      value: { since: "2026-01-01T00:00:00+01:00" },
    });
    for (const time of ["2026", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "now", ""])
      for (const name of ["_since", "_until"])
        expect(byGet(`${name}=${time}`, "lenient"), time).toEqual(
          refused("export_parameter_malformed", name),
        );
  });

  test("names types by a list, by repetition or by both, each type once", () => {
    const types = ["Patient", "Observation", "Condition"];
    expect(byGet("_type=Patient,Observation&_type=Condition,Patient")).toMatchObject({ value: { types } });
    expect(
      byPost([
        { name: "_type", valueString: "Patient, Observation" },
        { name: "_type", valueCode: "Condition" },
      ]),
    ).toMatchObject({ value: { types } });
  });

  test("with an unknown type is refused in either handling: without it, more or less would leave than was asked for", () => {
    for (const handling of ["strict", "lenient"] as const) {
      expect(byGet("_type=Patient,Nothing", handling)).toEqual(refused("export_type_unknown", "_type"));
      expect(byGet("_typeFilter=Nothing%3Fa%3Db", handling)).toEqual(
        refused("export_type_unknown", "_typeFilter"),
      );
      expect(byGet("_elements=Nothing.id", handling)).toEqual(refused("export_type_unknown", "_elements"));
    }
  });

  test("names queries by repetition, and by 2.0.0's list with commas, where a comma inside a value stays", () => {
    const typeFilters = [
      { type: "MedicationRequest", query: "status=active,completed" },
      { type: "MedicationRequest", query: "status=completed&date=gt2018-07-01T00:00:00Z" },
    ];
    const [first, second] = typeFilters.map(({ type, query }) => `${type}?${query}`);
    expect(
      byPost([first, second].map((valueString) => ({ name: "_typeFilter", valueString }))),
    ).toMatchObject({
      value: { typeFilters },
    });
    const list = encodeURIComponent(`${first},${second}`);
    expect(byGet(`_typeFilter=${list}`)).toMatchObject({ value: { typeFilters } });
  });

  test("has queries that the search reads: characters outside ASCII are encoded", () => {
    expect(byPost([{ name: "_typeFilter", valueString: "Patient?name=Müller Kurt" }])).toMatchObject({
      value: { typeFilters: [{ type: "Patient", query: "name=M%C3%BCller%20Kurt" }] },
    });
  });

  test("with a query that has no criterion, or shapes a result, is refused in either handling", () => {
    for (const query of [
      "Patient",
      "Patient?",
      "Patient?&",
      "?name=a",
      "Patient/1?name=a",
      "Patient?name=%",
      "Patient?_sort=name",
      "Patient?%5Fsort=name",
      "Patient?_include=Patient:link",
      "Patient?_revinclude:iterate=Observation:subject",
      "Patient?name=a&_count=1",
    ])
      for (const handling of ["strict", "lenient"] as const)
        expect(byPost([{ name: "_typeFilter", valueString: query }], handling), query).toEqual(
          refused("export_parameter_malformed", "_typeFilter"),
        );
  });

  test("names elements of a type, or of each type that has the element", () => {
    expect(byGet("_elements=Patient.birthDate,id&_elements=Observation.value")).toMatchObject({
      value: {
        elements: [
          { type: "Patient", path: "birthDate" },
          { type: undefined, path: "id" },
          { type: "Observation", path: "value" },
        ],
      },
    });
    for (const element of [
      "nothing",
      "Patient.nothing",
      "Patient.name.family",
      "name.family.x",
      "",
      ".",
      "Patient.",
    ])
      expect(byGet(`_elements=${element}`, "lenient").ok, element).toBe(false);
    expect(byGet("_elements=Patient.name.family"), "an element inside an element").toEqual(
      refused("export_parameter_malformed", "_elements"),
    );
  });

  test("names patients by references of this base, in a body alone and not at system level", () => {
    const named = [`${base}/Patient/b`, "Patient/a", "Patient/b"].map((reference) => ({
      name: "patient",
      valueReference: { reference },
    }));
    for (const level of [group, { kind: "patient" }] as const)
      expect(byPost(named, "strict", level)).toMatchObject({ value: { patients: ["b", "a"] } });
    for (const handling of ["strict", "lenient"] as const) {
      expect(byPost(named, handling, { kind: "system" })).toEqual(
        refused("export_parameter_unknown", "patient"),
      );
      expect(byGet("patient=Patient/a", handling)).toEqual(refused("export_parameter_unknown", "patient"));
      for (const reference of ["https://elsewhere.example/fhir/Patient/a", "Group/a", "urn:uuid:1", "#a"])
        expect(byPost([{ name: "patient", valueReference: { reference } }], handling), reference).toEqual(
          refused("export_patient_not_here", "patient"),
        );
      for (const value of [{ valueString: "Patient/a" }, { valueReference: { display: "A" } }])
        expect(byPost([{ name: "patient", ...value }], handling)).toEqual(
          refused("export_parameter_malformed", "patient"),
        );
    }
  });

  test("may permit several manifests, and gets one", () => {
    expect(byGet("allowPartialManifests=true")).toEqual({ ok: true, value: plain });
    expect(byPost([{ name: "allowPartialManifests", valueBoolean: true }])).toMatchObject({ ok: true });
    expect(byGet("allowPartialManifests=false")).toEqual({ ok: true, value: plain });
    expect(byGet("allowPartialManifests=yes")).toEqual(
      refused("export_parameter_malformed", "allowPartialManifests"),
    );
  });
});

const malformed = ["export_parameter_malformed", "refused"] as const;
const typeUnknown = ["export_type_unknown", "refused"] as const;
const ignorable = ["export_parameter_unknown", "ignored"] as const;

// Each parameter of 3.0.0, by GET and by POST: read, or refused for a reason; and what handling=lenient does then.
test.for([
  ["_outputFormat", { valueString: "ndjson" }, "read"],
  ["_outputFormat", { valueString: "application/ndjson" }, "read"],
  ["_outputFormat", { valueString: "application/fhir+ndjson" }, "read"],
  ["_outputFormat", { valueString: "text/csv" }, ["export_format_not_supported", "refused"]],
  ["_since", { valueInstant: "2026-01-01T00:00:00Z" }, "read"],
  ["_since", { valueInstant: "2026-01-01" }, malformed],
  ["_until", { valueInstant: "2026-01-01T00:00:00+02:00" }, "read"],
  ["_until", { valueInstant: "now" }, malformed],
  ["_type", { valueString: "Patient,Condition" }, "read"],
  ["_type", { valueCode: "Patient" }, "read"],
  ["_type", { valueString: "patient" }, typeUnknown],
  ["_typeFilter", { valueString: "Condition?code=a,b" }, "read"],
  ["_typeFilter", { valueString: "Condition?_sort=code" }, malformed],
  ["_typeFilter", { valueString: "Nothing?code=a" }, typeUnknown],
  ["_elements", { valueString: "id,Patient.birthDate" }, "read"],
  ["_elements", { valueString: "Patient.nothing" }, malformed],
  ["allowPartialManifests", { valueBoolean: true }, "read"],
  ["allowPartialManifests", { valueBoolean: false }, "read"],
  ["allowPartialManifests", { valueString: "yes" }, ["export_parameter_malformed", "ignored"]],
  ["organizeOutputBy", { valueString: "Patient" }, ignorable],
  ["includeAssociatedData", { valueString: "LatestProvenanceResources" }, ignorable],
  ["includeAssociatedData", { valueCode: "RelevantProvenanceResources" }, ignorable],
  ["includeAssociatedData", { valueString: "_custom" }, ignorable],
  ["_limit", { valueString: "10" }, ignorable],
] as const)("%s with %j, by GET and by POST, is %j", ([name, value, verdict]) => {
  const written = new URLSearchParams([[name, String(Object.values(value)[0])]]).toString();
  for (const ask of [
    (handling: "strict" | "lenient") => byGet(written, handling),
    (handling: "strict" | "lenient") => byPost([{ name, ...value }], handling),
  ]) {
    if (verdict === "read") {
      for (const handling of ["strict", "lenient"] as const)
        expect(ask(handling)).toMatchObject({ ok: true, value: { ignored: [] } });
      continue;
    }
    const [reason, lenient] = verdict;
    expect(ask("strict")).toEqual(refused(reason, name));
    expect(ask("lenient")).toEqual(
      lenient === "refused" ? refused(reason, name) : { ok: true, value: { ...plain, ignored: [name] } },
    );
  }
});

test("an ignored parameter is named once, and the others count", () => {
  const twice = "organizeOutputBy=Patient&_type=Patient&organizeOutputBy=Patient";
  expect(byGet(twice, "lenient")).toEqual({
    ok: true,
    value: { ...plain, types: ["Patient"], ignored: ["organizeOutputBy"] },
  });
});

test("a parameter for one value must not come twice, and no parameter may be empty", () => {
  for (const [name, value] of [
    ["_since", "2026-01-01T00:00:00Z"],
    ["_until", "2026-01-01T00:00:00Z"],
    ["_outputFormat", "ndjson"],
    ["allowPartialManifests", "true"],
  ] as const)
    expect(byGet(`${name}=${value}&${name}=${value}`)).toEqual(refused("export_parameter_malformed", name));
  for (const name of ["_type", "_typeFilter", "_elements"])
    for (const empty of ["", "Patient,", ","])
      expect(byGet(`${name}=${empty}`).ok, `${name}=${empty}`).toBe(false);
});

test("the presentation of the answer changes no export", () => {
  expect(byGet("_format=json&_pretty=true")).toEqual({ ok: true, value: plain });
});

test("a body with anything that would be passed over is refused in either handling", () => {
  for (const body of [
    {},
    { resourceType: "Bundle" },
    { resourceType: "Parameters", parameter: {} },
    { resourceType: "Parameters", extension: [] },
    { resourceType: "Parameters", parameter: ["_type"] },
    { resourceType: "Parameters", parameter: [{ valueString: "Patient" }] },
    { resourceType: "Parameters", parameter: [{ name: "_type" }] },
    { resourceType: "Parameters", parameter: [{ name: "_type", resource: { resourceType: "Patient" } }] },
    { resourceType: "Parameters", parameter: [{ name: "_type", valueString: "Patient", part: [] }] },
    { resourceType: "Parameters", parameter: [{ name: "_type", valueString: "a", valueCode: "b" }] },
    { resourceType: "Parameters", parameter: [{ name: "_type", valueString: "a", _valueString: {} }] },
  ])
    expect(readExportParameters(bodyOf(body), group, "lenient", base), JSON.stringify(body)).toEqual(
      refused("export_parameter_malformed", "Parameters"),
    );
  for (const value of [{ valueInteger: 1 }, { valueCoding: { code: "Patient" } }, { valueReference: {} }])
    expect(byPost([{ name: "_type", ...value }])).toEqual(refused("export_parameter_malformed", "_type"));
});

test("a refusal and the list of ignored names have no text of the client that is no name", () => {
  for (const name of ["patient 1234", "a\nb", "x".repeat(70), ""])
    for (const handling of ["strict", "lenient"] as const)
      expect(byPost([{ name, valueString: "a" }], handling)).toEqual(
        refused("export_parameter_unknown", "Parameters"),
      );
});

const sentence = fc.record({
  _type: fc.uniqueArray(fc.constantFrom(...r4ResourceTypes), { maxLength: 4 }),
  _elements: fc.uniqueArray(fc.constantFrom("id", "Patient.birthDate", "Observation.value[x]", "nothing"), {
    maxLength: 3,
  }),
  _typeFilter: fc.uniqueArray(
    fc.constantFrom(
      "Patient?name=a,b",
      "Observation?code=x|y&date=ge2026",
      "Patient?_sort=name",
      "Condition",
    ),
    { maxLength: 2 },
  ),
  includeAssociatedData: fc.uniqueArray(
    fc.constantFrom("LatestProvenanceResources", "RelevantProvenanceResources", "_own"),
    { maxLength: 2 },
  ),
  _since: fc.array(fc.constantFrom("2026-01-01T00:00:00+02:00", "2026-01-01"), { maxLength: 2 }),
  _outputFormat: fc.array(fc.constantFrom("ndjson", "application/fhir+ndjson", "csv"), { maxLength: 1 }),
  allowPartialManifests: fc.array(fc.constantFrom("true", "false"), { maxLength: 1 }),
  organizeOutputBy: fc.array(fc.constant("Patient"), { maxLength: 1 }),
});

test("GET and POST of one request read the same, with lists or with repetitions", () => {
  fc.assert(
    fc.property(sentence, fc.constantFrom("strict", "lenient"), fc.boolean(), (request, handling, joins) => {
      const sent = Object.entries(request).flatMap(([name, values]) =>
        joins && /^(?:_type|_elements|includeAssociatedData)$/u.test(name) && values.length > 0
          ? [[name, values.join(",")]]
          : values.map((value: string) => [name, value]),
      );
      const query = new URLSearchParams(sent).toString();
      const repeated = Object.entries(request).flatMap(([name, values]) =>
        values.map((value: string) => ({ name, valueString: value })),
      );
      expect(byGet(query, handling)).toEqual(byPost(repeated, handling));
    }),
  );
});
