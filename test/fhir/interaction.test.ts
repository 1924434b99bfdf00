import * as fc from "fast-check";
import { test } from "vitest";
import { readElementList, wantedMembers } from "#fhir/search/element-list";
import { readInteraction } from "#fhir/interaction";
import { searchQuery } from "#fhir/search/search";

const read = (method: string, path: string, query = "") =>
  readInteraction(method, path === "" ? [] : path.split("/"), query);
const refusal = (method: string, path: string, query = "") => {
  const interaction = read(method, path, query);
  return interaction.ok ? interaction.value.kind : interaction.error;
};
const search = (query: string) => {
  const interaction = read("GET", "Observation", query);
  return interaction.ok && interaction.value.kind === "search" ? searchQuery(interaction.value) : interaction;
};

test("a read and a search are read; ids are FHIR's own", ({ expect }) => {
  expect(read("GET", "Patient/abc-1.Z")).toEqual({
    ok: true,
    value: { kind: "read", type: "Patient", id: "abc-1.Z" },
  });
  expect(read("GET", "Observation")).toMatchObject({
    ok: true,
    value: { kind: "search", type: "Observation", parameters: [] },
  });
  expect(refusal("GET", "Patient/1", "_format=json")).toBe("read");
  expect(refusal("GET", "Patient/1", "_format=application/fhir%2Bjson")).toBe("read");
});

test("a version is read by its id, and only by GET", ({ expect }) => {
  expect(read("GET", "Patient/1/_history/2")).toEqual({
    ok: true,
    value: { kind: "vread", type: "Patient", id: "1", version: "2" },
  });
  expect(refusal("GET", "Patient/1/_history/..")).toEqual({ reason: "resource_id_malformed" });
  expect(refusal("GET", "Patient/1/_history/2", "_sort=name")).toMatchObject({
    reason: "parameter_not_supported",
  });
  expect(refusal("POST", "Patient/1/_history/2")).toEqual({
    reason: "method_not_supported",
    allow: ["GET", "HEAD"],
  });
});

test("a posted search is the search of its URL's and its form's parameters together", ({ expect }) => {
  const posted = (query: string, form: string) =>
    readInteraction("POST", ["Observation", "_search"], query, undefined, form);
  const got = readInteraction("GET", ["Observation"], "patient=1&code=a&_count=5");
  const expected = got.ok ? { ok: true, value: { ...got.value, posted: true } } : got;
  expect(posted("", "patient=1&code=a&_count=5")).toEqual(expected);
  expect(posted("patient=1", "code=a&_count=5")).toEqual(expected);
  expect(posted("_count=5", "_count=6")).toMatchObject({ error: { reason: "parameter_repeated" } });
  expect(posted("", "subject:above=x")).toMatchObject({ error: { reason: "modifier_not_supported" } });
  expect(posted("", "code=%ff")).toMatchObject({ error: { reason: "query_malformed" } });
  expect(posted("", "code=\u00e9")).toMatchObject({ error: { reason: "query_malformed" } });
  expect(posted("", `code=${"a".repeat(65_536)}`)).toMatchObject({ error: { reason: "form_too_large" } });
  expect(posted("", Array.from({ length: 4 }, () => `code=${"a".repeat(7_000)}`).join("&"))).toMatchObject({
    error: { reason: "form_too_large" },
  });
  expect(refusal("GET", "Observation/_search")).toEqual({ reason: "method_not_supported", allow: ["POST"] });
});

test.for([
  ["GET", "_history", "history-system"],
  ["GET", "Patient/1/Practitioner", "search-compartment"],
  ["GET", "Encounter/1/*", "search-compartment"],
  ["GET", "Encounter/1/Patient", "search-compartment"],
  ["GET", "Practitioner/1/Observation", "search-compartment"],
  ["GET", "Patient/$everything", "operation"],
  ["GET", "Encounter/1/$everything", "operation"],
  ["GET", "Observation/1/$lastn", "operation"],
  ["POST", "Patient/$member-match", "operation"],
  ["POST", "Patient/$match", "operation"],
  ["POST", "$graphql", "operation"],
] as const)("%s /%s is known and refused by its name: %s", ([method, path, interaction], { expect }) => {
  const operation = /\$[\w-]+$/u.exec(path)?.[0];
  expect(refusal(method, path)).toEqual({
    reason: "interaction_not_supported",
    interaction,
    ...(operation !== undefined && { operation }),
  });
});

test("writes are read by method and route; a conditional write has criteria, and HEAD is read as GET", ({
  expect,
}) => {
  expect(read("POST", "Patient")).toEqual({ ok: true, value: { kind: "create", type: "Patient" } });
  expect(read("PUT", "Patient/1")).toEqual({ ok: true, value: { kind: "update", type: "Patient", id: "1" } });
  expect(read("PATCH", "Patient/1")).toEqual({
    ok: true,
    value: { kind: "patch", type: "Patient", id: "1" },
  });
  expect(read("DELETE", "Patient/1")).toEqual({
    ok: true,
    value: { kind: "delete", type: "Patient", id: "1" },
  });
  expect(read("POST", "")).toEqual({ ok: true, value: { kind: "batch" } });
  for (const [method, kind] of [
    ["PUT", "conditional-update"],
    ["PATCH", "conditional-patch"],
    ["DELETE", "conditional-delete"],
  ] as const) {
    const criteria = { parameters: [{ values: [{ system: "urn:a", code: "1" }] }] };
    expect(read(method, "Patient", "identifier=urn:a|1")).toMatchObject({
      ok: true,
      value: { kind, type: "Patient", criteria },
    });
    expect(refusal(method, "Patient")).toEqual({ reason: "criteria_missing" });
    expect(refusal(method, "Patient", "identifier=urn:a|1&_count=1")).toMatchObject({
      reason: "parameter_not_supported",
    });
    expect(refusal(method, "Patient", "identifier=urn:a|1&_sort=name")).toMatchObject({
      reason: "parameter_not_supported",
    });
  }
  expect(refusal("PUT", "Patient/1", "identifier=urn:a|1")).toMatchObject({
    reason: "parameter_not_supported",
  });
  expect(read("HEAD", "Patient/1")).toEqual(read("GET", "Patient/1"));
  expect(read("HEAD", "Patient", "name=a")).toEqual(read("GET", "Patient", "name=a"));
});

test("an unknown method, type, path or id is refused", ({ expect }) => {
  const allow = ["GET", "HEAD", "PUT", "PATCH", "DELETE"];
  expect(refusal("TRACE", "Patient/1")).toEqual({ reason: "method_not_supported", allow });
  expect(refusal("get", "Patient/1")).toEqual({ reason: "method_not_supported", allow });
  expect(refusal("GET", "Toaster/1")).toEqual({ reason: "resource_type_unknown" });
  expect(refusal("GET", "DomainResource")).toEqual({ reason: "resource_type_unknown" });
  expect(refusal("GET", "constructor")).toEqual({ reason: "path_unknown" });
  expect(refusal("GET", "Patient/1/2")).toEqual({ reason: "path_unknown" });
  expect(refusal("GET", "Patient/1/Observation/2")).toEqual({ reason: "path_unknown" });
  expect(refusal("GET", "Patient/1/_history/2/3")).toEqual({ reason: "path_unknown" });
  expect(refusal("POST", "Patient/1")).toEqual({ reason: "method_not_supported", allow });
  expect(refusal("GET", `Patient/${"a".repeat(65)}`)).toEqual({ reason: "resource_id_malformed" });
});

test("a path that could mean a different path is refused: dot segments, encoded slashes, absolute URLs, empty segments", ({
  expect,
}) => {
  for (const path of [
    "Patient/..",
    "Patient/.",
    "Patient/...",
    "Patient/%2e%2e",
    "Patient/1%2FObservation",
    "Patient/1%00",
    "Patient/",
    "Patient/a_b",
    "Patient/ü",
  ]) {
    expect(refusal("GET", path), path).toEqual({ reason: "resource_id_malformed" });
  }
  for (const path of [
    "https://origin.example/fhir/Patient/1",
    "/Patient/1",
    "//origin.example/Patient",
    "..",
    "%50atient/1",
    "Patient;x/1",
  ]) {
    expect(refusal("GET", path), path).toEqual({ reason: "path_unknown" });
  }
});

test("a search is rebuilt from its parsed parts: repeated parameters in order, comma lists unchanged", ({
  expect,
}) => {
  expect(
    search(
      "patient=1&patient=Patient/2,3&code=http://loinc.org|8480-6,8462-4&date=ge2020-01-01&date=lt2021&_sort=-date,code&_count=20",
    ),
  ).toBe(
    "patient=1&patient=Patient%2F2,3&code=http%3A%2F%2Floinc.org%7C8480-6,8462-4&date=ge2020-01-01&date=lt2021&_sort=-date,code&_count=20",
  );
  expect(search("value-string=a%5C,b+c%C3%A9")).toBe("value-string=a%5C%2Cb%20c%C3%A9");
  expect(search("_id=1,2&_lastUpdated=gt2020-01-01T00:00:00Z")).toBe(
    "_id=1,2&_lastUpdated=gt2020-01-01T00%3A00%3A00Z",
  );
  expect(search("&patient=1&&")).toBe("patient=1");
  expect(search("_pretty&_count=5&patient=1&_count=5&_format=json&_format=json")).toBe("patient=1&_count=5");
  expect(search("_sort=-date&_elements=status&_sort=code&_elements=code,subject&_sort=code")).toBe(
    "_sort=-date,code,code&_elements=status,code,subject",
  );
  expect(search("_format=json&_count=9999999999")).toBe("_count=1000000000");
});

test("chains, reverse chains, includes and modifiers are read, and rebuilt from their parsed parts", ({
  expect,
}) => {
  for (const [asked, rebuilt = asked] of [
    ["patient.name=x", "patient:Patient.name=x"],
    ["subject:Patient.organization.name=x", "subject:Patient.organization:Organization.name=x"],
    ["_has:Provenance:target:agent=Practitioner/1", "_has:Provenance:target:agent=Practitioner%2F1"],
    ["_has:Provenance:target:agent:Practitioner.name=x"],
    ["_has:DiagnosticReport:result:_has:Provenance:target:agent=1"],
    ["_include=Observation:patient&_include:iterate=Patient:organization&_revinclude=Provenance:target"],
    ["_include=*", "_include=Observation:*"],
    ["_include=Observation:subject:Patient&_revinclude:iterate=Provenance:target:Encounter"],
    [
      "value-string:exact=x&code:not=a&value-string:missing=true&_total=none",
      "value-string:exact=x&code:not=a&value-string:missing=true",
    ],
    ["performer:missing=true&identifier:of-type=urn%3As%7CMR%7C1,urn%3At%7CX%7C2"],
    ["_profile:below=http%3A%2F%2Fp.example&_source:above=urn%3As"],
  ] as const) {
    expect(search(asked), asked).toBe(
      rebuilt
        .replace("Provenance:target&", "Provenance:target&")
        .replace(/_revinclude=Provenance:target$/u, "_revinclude=Provenance:target:Observation"),
    );
  }
});

test.for([
  ["patient:not=1", { reason: "modifier_not_supported", parameter: "patient" }],
  ["subject:Patient=Group/1", { reason: "parameter_value_malformed", parameter: "subject" }],
  ["subject:Practitioner=1", { reason: "parameter_value_malformed", parameter: "subject" }],
  ["subject:patient=1", { reason: "modifier_not_supported", parameter: "subject" }],
  ["code:Patient=1", { reason: "modifier_not_supported", parameter: "code" }],
  ["_pretty:Patient=true", { reason: "modifier_not_supported", parameter: "_pretty" }],
  ["_pretty=maybe", { reason: "parameter_value_malformed", parameter: "_pretty" }],
  ["_pretty=true&_pretty=false", { reason: "parameter_repeated", parameter: "_pretty" }],
  ["_summary=brief", { reason: "parameter_not_supported", parameter: "_summary" }],
  ["_format=application/fhir%2Bjson;fhirVersion=3.0", { reason: "format_not_supported" }],
  ["_format=application/fhir%2Bxml;fhirVersion=4.0", { reason: "format_not_supported" }],
  ["date=2020-01-01 00:00:00", { reason: "query_malformed" }],
  ["date=2020-01-01T00:00:00++00:00", { reason: "parameter_value_malformed", parameter: "date" }],
  ["patient:missing=true", { reason: "modifier_not_supported", parameter: "patient" }],
  ["subject:above=x%7C1", { reason: "modifier_not_supported", parameter: "subject" }],
  ["code:above=x%7C1", { reason: "modifier_not_supported", parameter: "code" }],
  ["code:below=x%7C1", { reason: "modifier_not_supported", parameter: "code" }],
  ["code:in=http://x.example/v", { reason: "modifier_not_supported", parameter: "code" }],
  ["code:not-in=http://x.example/v", { reason: "modifier_not_supported", parameter: "code" }],
  ["code:of-type=a%7Cb%7Cc", { reason: "modifier_not_supported", parameter: "code" }],
  ["identifier:of-type=a%7Cb", { reason: "parameter_value_malformed", parameter: "identifier" }],
  ["identifier:of-type=a%7Cb%7C", { reason: "parameter_value_malformed", parameter: "identifier" }],
  ["identifier:of-type=a%7Cb%7Cc%7Cd", { reason: "parameter_value_malformed", parameter: "identifier" }],
  ["status:text=x", { reason: "modifier_not_supported", parameter: "status" }],
  ["subject:text=x", { reason: "modifier_not_supported", parameter: "subject" }],
  ["code:identifier=x", { reason: "modifier_not_supported", parameter: "code" }],
  ["_tag:text=x", { reason: "modifier_not_supported", parameter: "_tag" }],
  ["code:text=", { reason: "parameter_value_malformed", parameter: "code" }],
  ["patient.favourite=x", { reason: "parameter_unknown", parameter: "favourite" }],
  ["code.name=x", { reason: "parameter_unknown", parameter: "code" }],
  ["focus.identifier=x", { reason: "chain_needs_type", parameter: "focus" }],
  ["based-on.subject.name=x", { reason: "chain_needs_type", parameter: "subject" }],
  ["subject:Practitioner.name=x", { reason: "modifier_not_supported", parameter: "subject" }],
  [
    "subject:Patient.organization.partof.partof.partof.name=x",
    { reason: "chain_too_long", parameter: "partof" },
  ],
  ["patient.name.=x", { reason: "parameter_malformed" }],
  ["patient..name=x", { reason: "parameter_malformed" }],
  ["_has:Toaster:target:agent=1", { reason: "parameter_malformed" }],
  ["_has:Provenance:target=1", { reason: "parameter_malformed" }],
  ["_has:Encounter:patient:class=a", { reason: "parameter_unknown", parameter: "patient" }],
  ["_has:Provenance:favourite:agent=1", { reason: "parameter_unknown", parameter: "favourite" }],
  ["_has:Provenance:target:agent=%20", { reason: "parameter_value_malformed", parameter: "agent" }],
  ["_include=Encounter:patient", { reason: "parameter_value_malformed", parameter: "_include" }],
  ["_include=Observation:code", { reason: "parameter_value_malformed", parameter: "_include" }],
  [
    "_include=Observation:subject:Practitioner",
    { reason: "parameter_value_malformed", parameter: "_include" },
  ],
  ["_include:repeat=Observation:subject", { reason: "parameter_value_malformed", parameter: "_include" }],
  ["_include=Observation:patient:Patient:x", { reason: "parameter_value_malformed", parameter: "_include" }],
  ["_revinclude=*:subject", { reason: "parameter_value_malformed", parameter: "_revinclude" }],
  ["_revinclude=Encounter:patient", { reason: "parameter_value_malformed", parameter: "_revinclude" }],
  [Array.from({ length: 17 }, () => "_include=*").join("&"), { reason: "too_many_joins" }],
  [Array.from({ length: 5 }, () => "patient.name=x").join("&"), { reason: "too_many_joins" }],
  ["_summary=brief", { reason: "parameter_not_supported", parameter: "_summary" }],
  ["_summary=true&_summary=text", { reason: "parameter_repeated", parameter: "_summary" }],
  ["_elements=subjects", { reason: "parameter_value_malformed", parameter: "_elements" }],
  ["_total=roughly", { reason: "parameter_not_supported", parameter: "_total" }],
  ["_filter=code%20eq%20x", { reason: "parameter_not_supported", parameter: "_filter" }],
  ["_text=x", { reason: "parameter_not_supported", parameter: "_text" }],
  ["_content=x", { reason: "parameter_not_supported", parameter: "_content" }],
  ["_query=x", { reason: "parameter_not_supported", parameter: "_query" }],
  ["_contained=true", { reason: "parameter_not_supported", parameter: "_contained" }],
  ["_list=x", { reason: "parameter_not_supported", parameter: "_list" }],
  ["code-value-quantity=a$b", { reason: "parameter_value_malformed", parameter: "code-value-quantity" }],
  ["code-value-quantity=a", { reason: "parameter_value_malformed", parameter: "code-value-quantity" }],
  ["code-value-quantity=a$5$6", { reason: "parameter_value_malformed", parameter: "code-value-quantity" }],
  ["gene-identifier=a", { reason: "parameter_not_supported", parameter: "gene-identifier" }],
  ["dna-variant=x", { reason: "parameter_not_supported", parameter: "dna-variant" }],
  ["_sort=code-value-quantity", { reason: "parameter_not_supported", parameter: "code-value-quantity" }],
  ["favourite=x", { reason: "parameter_unknown", parameter: "favourite" }],
  ["constructor=x", { reason: "parameter_unknown", parameter: "constructor" }],
  ["birthdate=2000", { reason: "parameter_unknown", parameter: "birthdate" }],
  ["_count=1&_count=2", { reason: "parameter_repeated", parameter: "_count" }],
  ["_sort=birthdate", { reason: "parameter_value_malformed", parameter: "_sort" }],
  ["_count=00", { reason: "parameter_value_malformed", parameter: "_count" }],
  ["_count=-1", { reason: "parameter_value_malformed", parameter: "_count" }],
  ["_format=xml", { reason: "format_not_supported" }],
  ["patient=Group/1", { reason: "parameter_value_malformed", parameter: "patient" }],
  [
    "patient=https://origin.example/fhir/Patient/1",
    { reason: "reference_to_other_server", parameter: "patient" },
  ],
  ["encounter=https://origin.example", { reason: "parameter_value_malformed", parameter: "encounter" }],
  ["encounter=ftp://x/Encounter/1", { reason: "parameter_value_malformed", parameter: "encounter" }],
  ["patient=//x/Patient/1", { reason: "parameter_value_malformed", parameter: "patient" }],
  ["patient=Patient/1/_history/2", { reason: "parameter_value_malformed", parameter: "patient" }],
  ["patient=Patient/1%26code=x", { reason: "parameter_value_malformed", parameter: "patient" }],
  ["patient=1,,2", { reason: "parameter_value_malformed", parameter: "patient" }],
  ["patient=", { reason: "parameter_value_malformed", parameter: "patient" }],
  ["_id=Patient/1", { reason: "parameter_value_malformed", parameter: "_id" }],
  ["code=a%7Cb%7Cc", { reason: "parameter_value_malformed", parameter: "code" }],
  ["code=%7C", { reason: "parameter_value_malformed", parameter: "code" }],
  ["code=a%5Cb", { reason: "parameter_value_malformed", parameter: "code" }],
  ["date=yesterday", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=zz2020", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=2023-02-29", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=ge2020-02-31", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=1900-02-29T10:00:00Z", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=2020-01-01,2021-04-31", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=0000-01-01", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=2020-01-01T00:00:00%2B14:30", { reason: "parameter_value_malformed", parameter: "date" }],
  ["date=2020-13-01", { reason: "parameter_value_malformed", parameter: "date" }],
  ["value-quantity=x%7C%7Cmg", { reason: "parameter_value_malformed", parameter: "value-quantity" }],
  [`code=${"a,".repeat(101)}a`, { reason: "too_many_values", parameter: "code" }],
  ["code", { reason: "parameter_value_malformed", parameter: "code" }],
  ["=x", { reason: "query_malformed" }],
  ["code=%", { reason: "query_malformed" }],
  ["code=%G1", { reason: "query_malformed" }],
  ["code=%C0%AF", { reason: "query_malformed" }],
  ["code=%ED%A0%80", { reason: "query_malformed" }],
  ["code=%00", { reason: "query_malformed" }],
  ["code=a%0D%0Ab", { reason: "query_malformed" }],
  ["code=ü", { reason: "query_malformed" }],
  ["co%20de=x", { reason: "parameter_malformed" }],
  ["a=1&".repeat(65), { reason: "too_many_parameters" }],
  [`code=${"x".repeat(8_192)}`, { reason: "query_too_long" }],
] as const)("the query %s is refused", ([query, error], { expect }) => {
  expect(refusal("GET", "Observation", query)).toEqual(error);
});

test("_elements names a choice as a whole, or one of its forms", ({ expect }) => {
  const wanted = (elements: string) => {
    const list = readElementList("Observation", elements);
    return [...(wantedMembers("Observation", { elements: list }) ?? [])].filter((name) =>
      name.startsWith("value"),
    );
  };
  expect(wanted("valueQuantity")).toEqual(["valueQuantity"]);
  expect(wanted("value")).toEqual(wanted("value[x]"));
  expect(wanted("value").length).toBeGreaterThan(10);
  expect(wanted("status")).toEqual([]);
});

test("_elements names elements of the type itself, at its top level", ({ expect }) => {
  expect(read("GET", "Patient/1", "_elements=name,deceased[x],birthDate")).toMatchObject({
    value: { elements: ["name", "deceased", "birthDate"] },
  });
  expect(read("GET", "Observation", "code=x&_elements=value")).toMatchObject({
    value: { elements: ["value"] },
  });
  for (const list of ["", "name.family", "Patient.name", "nickname", "name,", "constructor"])
    expect(refusal("GET", "Patient/1", `_elements=${list}`), list).toEqual({
      reason: "parameter_value_malformed",
      parameter: "_elements",
    });
  expect(read("GET", "Patient/1", "_elements=name&_elements=id")).toMatchObject({
    value: { elements: ["name", "id"] },
  });
  expect(refusal("PUT", "Patient", "identifier=1&_elements=name")).toEqual({
    reason: "parameter_not_supported",
    parameter: "_elements",
  });
  expect(refusal("PUT", "Patient/1", "_elements=name")).toMatchObject({ parameter: "_elements" });
});

test("a read takes no search parameter", ({ expect }) => {
  expect(refusal("GET", "Patient/1", "name=x")).toEqual({
    reason: "parameter_not_supported",
    parameter: "name",
  });
  expect(refusal("GET", "Patient/1", "nonsense=x")).toEqual({
    reason: "parameter_unknown",
    parameter: "nonsense",
  });
  expect(refusal("GET", "Patient/1", "_format=xml")).toEqual({ reason: "format_not_supported" });
});

test("a reference may be the full URL of an answer, but only below the base that the client calls", ({
  expect,
}) => {
  const base = "https://gateway.example/v1/fhir/main";
  const asked = (value: string) => {
    const interaction = readInteraction("GET", ["Observation"], `patient=${encodeURIComponent(value)}`, base);
    return interaction.ok && interaction.value.kind === "search"
      ? searchQuery(interaction.value)
      : interaction;
  };
  expect(asked(`${base}/Patient/1`)).toBe("patient=Patient%2F1");
  const refused = (reason: string) => ({ ok: false, error: { reason, parameter: "patient" } });
  for (const own of [
    `${base}/Group/1`,
    `${base}/Patient/1/_history/2`,
    `${base}/Patient/1?x`,
    `${base}//Patient/1`,
    `${base}/${base}/Patient/1`,
  ])
    expect(asked(own), own).toEqual(refused("parameter_value_malformed"));
  for (const other of [
    `${base}2/Patient/1`,
    "https://gateway.example/v1/fhir/other/Patient/1",
    "https://gateway.example@evil.example/v1/fhir/main/Patient/1",
  ])
    expect(asked(other), other).toEqual(refused("reference_to_other_server"));
});

test("a type modifier of a reference is a second spelling of Type/id", ({ expect }) => {
  expect(search("subject:Patient=1&patient:Patient=2,Patient/3")).toBe(
    "subject=Patient%2F1&patient=Patient%2F2,Patient%2F3",
  );
});

test("the default presentation may be requested, and is not passed on to the origin", ({ expect }) => {
  for (const asked of [
    "_pretty=true",
    "_pretty=false",
    "_summary=false",
    "_format=application/fhir%2Bjson;fhirVersion=4.0",
    "_format=application/fhir+json;%20fhirVersion=4.0.1;charset=UTF-8",
  ]) {
    expect(search(`patient=1&${asked}`), asked).toBe("patient=1");
    expect(refusal("GET", "Patient/1", asked), asked).toBe("read");
  }
});

test("the raw plus of a time zone is read as a plus, and written so that it stays a plus", ({ expect }) => {
  const encoded = "date=ge2020-01-01T00%3A00%3A00%2B05%3A30";
  expect(search("date=ge2020-01-01T00:00:00+05:30")).toBe(encoded);
  expect(search("date=ge2020-01-01T00:00:00%2B05:30")).toBe(encoded);
});

test("a day is a day of its month, leap years too", ({ expect }) => {
  for (const day of [
    "2024-02-29",
    "2000-02-29",
    "0004-02-29",
    "2023-02-28",
    "2023-12-31",
    "2020-02-29T23:59:59.5-14:00",
  ]) {
    expect(search(`date=${day}`), day).toBe(`date=${encodeURIComponent(day)}`);
  }
});

test("a comma and a bar that are escaped belong to the value", ({ expect }) => {
  const interaction = read("GET", "Observation", "code=http://x%7Ca%5C,b%5C%7Cc,d%5C%5C");
  expect(interaction).toMatchObject({
    value: {
      parameters: [
        {
          values: [
            { system: "http://x", code: "a,b|c" },
            { system: undefined, code: "d\\" },
          ],
        },
      ],
    },
  });
});

test("no request makes the reader throw, and an accepted request is read the same again", ({ expect }) => {
  const piece = fc.oneof(
    fc.constantFrom(
      "Patient",
      "Observation",
      "1",
      "_history",
      "_search",
      "$everything",
      "*",
      "..",
      "%2e",
      "metadata",
    ),
    fc.string({ maxLength: 12 }),
  );
  const name = fc.oneof(
    fc.constantFrom(
      "patient",
      "code",
      "date",
      "_sort",
      "_count",
      "_has",
      "_id",
      "subject",
      "value-quantity",
      "_format",
    ),
    fc.string({ maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.constantFrom("1", "Patient/1", "2020-01-01", "a|b", "5|u|mg", "-date", "json", "%41", "a%2Cb"),
    fc.string({ maxLength: 20 }),
  );
  const query = fc
    .array(
      fc
        .tuple(name, fc.constantFrom("", ":not", ":Patient.name", ".x"), value)
        .map(([n, m, v]) => `${n}${m}=${v}`),
      { maxLength: 5 },
    )
    .map((pairs) => pairs.join("&"));
  fc.assert(
    fc.property(
      fc.constantFrom("GET", "POST", "HEAD", "PUT", "X"),
      fc.array(piece, { maxLength: 5 }),
      query,
      (method, segments, raw) => {
        const first = readInteraction(method, segments, raw);
        if (!first.ok || first.value.kind !== "search") return;
        const rebuilt = searchQuery(first.value);
        expect(rebuilt).toMatch(/^[!-~]*$/u);
        // The address of a compartment search is a criterion itself, which the rebuilt query contains, so
        // it is read below the type's own address.
        const address =
          segments.length > 2 ? [first.value.type, ...(first.value.posted ? ["_search"] : [])] : segments;
        expect(readInteraction(method, address, rebuilt)).toEqual(first);
      },
    ),
    { numRuns: 1_000 },
  );
});
