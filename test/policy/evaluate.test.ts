import * as fc from "fast-check";
import { test } from "vitest";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { parsePolicyDocument } from "#policy/document";
import { isReading, readInteraction } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import { decide, grant, policy, rule } from "./granting.ts";

const lab = { path: "category", in: ["urn:c|lab"] };
const vital = { path: "category", in: ["urn:c|vital"] };

test("a request that no rule grants is refused: type, interaction", ({ expect }) => {
  const readOnly = policy(rule(["Patient"], ["gender"], { interactions: ["read"] }));
  expect(decide(readOnly, "Observation/1")).toEqual({
    reason: "rule_missing",
    type: "Observation",
    interaction: "read",
  });
  expect(decide(readOnly, "Patient")).toEqual({
    reason: "rule_missing",
    type: "Patient",
    interaction: "search",
  });
  expect(decide(readOnly, "Patient/1")).toMatchObject({
    ask: { path: "Patient/1", query: "" },
    expects: { kind: "read", type: "Patient", id: "1" },
  });
});

test("a scope only narrows: without r there is no read, without s no search, of no other type", ({
  expect,
}) => {
  const all = policy(rule(["Patient"], ["gender"]));
  expect(decide(all, "Patient/1", "system/Patient.s")).toMatchObject({
    reason: "scope_insufficient",
    interaction: "read",
  });
  expect(decide(all, "Patient", "system/Patient.r")).toMatchObject({
    reason: "scope_insufficient",
    interaction: "search",
  });
  expect(decide(all, "Patient/1", "system/Observation.rs")).toMatchObject({ reason: "scope_insufficient" });
  expect(decide(all, "Patient/1", "system/Patient.r")).toHaveProperty("ask");
});

test("the origin is asked in rebuilt terms, with our own page size and never the client's", ({ expect }) => {
  const { ask, expects } = grant(
    policy(rule(["Observation"], ["code", "subject"])),
    "Observation?patient=1&code=urn:a%7Cb+c&_count=5&_format=json",
  );
  expect(ask).toEqual({
    path: "Observation",
    query: "patient=1&code=urn%3Aa%7Cb%20c&_count=10",
    posted: false,
  });
  expect(expects).toMatchObject({
    kind: "search",
    type: "Observation",
    question: "patient=1&code=urn%3Aa%7Cb%20c&_count=5",
    posted: false,
    count: 5,
  });
});

test.for([
  ["", 100, 100],
  ["?_count=1", 1, 10],
  ["?_count=200", 200, 200],
  ["?_count=1000", 1_000, 1_000],
  ["?_count=999999", 1_000, 1_000],
] as const)(
  "a page of Patient%s holds %i, and the origin is asked for %i",
  ([query, count, asked], { expect }) => {
    const { ask, expects } = grant(policy(rule(["Patient"], ["gender"])), `Patient${query}`);
    expect(expects).toMatchObject({ count });
    expect(ask.query).toBe(`_count=${asked}`);
  },
);

test("a right to read a resource includes its versions, and the current version is read too", ({
  expect,
}) => {
  const readOnly = policy(rule(["Patient"], ["gender"], { interactions: ["read"] }));
  expect(grant(readOnly, "Patient/1/_history/2")).toMatchObject({
    ask: { path: "Patient/1/_history/2", query: "" },
    expects: {
      kind: "vread",
      type: "Patient",
      id: "1",
      version: "2",
      current: { path: "Patient/1", query: "" },
    },
  });
  expect(decide(readOnly, "Patient/1/_history/2", "system/Patient.s")).toMatchObject({
    reason: "scope_insufficient",
  });
  expect(
    decide(policy(rule(["Patient"], ["gender"], { interactions: ["search"] })), "Patient/1/_history/2"),
  ).toMatchObject({
    reason: "rule_missing",
  });
});

test.for([
  ["gender=male", ["gender"], "permitted"],
  ["birthdate=2000", ["gender"], "parameter_hidden"],
  ["name=x", ["name"], "permitted"],
  ["name=x", ["name.family"], "parameter_hidden"],
  ["family=x", ["name.family"], "permitted"],
  ["given=x", ["name.family"], "parameter_hidden"],
  ["identifier=1", ["identifier"], "permitted"],
  ["identifier=1", ["identifier.system", "identifier.value"], "permitted"],
  ["identifier=1", ["identifier.value"], "parameter_hidden"],
  ["identifier=1", ["identifier[system=urn:a,urn:b]"], "parameter_needs_system"],
  ["identifier=urn:c%7C1", ["identifier[system=urn:a,urn:b]"], "parameter_needs_system"],
  ["identifier=%7C1", ["identifier[system=urn:a,urn:b]"], "parameter_needs_system"],
  ["identifier=urn:a%7C1,urn:c%7C1", ["identifier[system=urn:a,urn:b]"], "parameter_needs_system"],
  ["identifier=urn:a%7C1,urn:b%7C", ["identifier[system=urn:a,urn:b]"], "permitted"],
  ["identifier=urn:a%7C1", ["identifier[system=urn:a].type"], "parameter_hidden"],
  ["telecom=x", ["telecom"], "permitted"],
  ["phone=x", ["telecom"], "permitted"],
  ["phone=x", ["telecom[system=phone]"], "parameter_hidden"],
  ["telecom=phone%7Cx", ["telecom[system=phone]"], "parameter_hidden"],
  ["death-date=2000", ["gender"], "parameter_hidden"],
  ["death-date=2000", ["deceasedBoolean"], "parameter_hidden"],
  ["death-date=2000", ["deceasedDateTime"], "permitted"],
  ["active=true", ["gender"], "permitted"],
  ["link=Patient/2", ["gender"], "parameter_hidden"],
  ["link=Patient/2", ["link"], "permitted"],
  ["general-practitioner=1", ["generalPractitioner.reference"], "permitted"],
  ["general-practitioner=1", ["generalPractitioner.display"], "parameter_hidden"],
  ["language=urn:l%7Cfr", ["communication.language.coding"], "permitted"],
  ["language=fr", ["communication.language.coding"], "parameter_needs_system"],
  ["language=fr", ["communication.language"], "permitted"],
  ["language:text=fr", ["communication.language"], "permitted"],
  ["language:text=fr", ["communication.language.coding"], "parameter_hidden"],
  ["language:text=fr", ["communication.language.text"], "parameter_hidden"],
  ["language:text=fr", ["communication.language.text", "communication.language.coding.display"], "permitted"],
  ["identifier:text=mrn", ["identifier.system", "identifier.value"], "parameter_hidden"],
  ["identifier:text=mrn", ["identifier[system=urn:a]"], "parameter_hidden"],
  ["identifier:text=mrn", ["identifier.type"], "permitted"],
  ["general-practitioner:identifier=urn:a%7C1", ["generalPractitioner"], "permitted"],
  ["general-practitioner:identifier=1", ["generalPractitioner.reference"], "parameter_hidden"],
  ["general-practitioner:identifier=1", ["generalPractitioner.identifier.value"], "parameter_hidden"],
  ["link:identifier=1", ["link.type"], "parameter_hidden"],
  ["_id=1", ["gender"], "permitted"],
  ["_lastUpdated=gt2020", ["gender"], "parameter_hidden"],
  ["_lastUpdated=gt2020", ["meta.lastUpdated"], "permitted"],
  ["_tag=urn:a%7Cb", ["gender"], "parameter_hidden"],
  ["_security=urn:a%7Cb", ["meta.tag"], "parameter_hidden"],
  ["_sort=gender", ["gender"], "permitted"],
  ["_sort=birthdate", ["gender"], "sort_hidden"],
  ["_sort=-gender,birthdate", ["gender"], "sort_hidden"],
  ["_sort=identifier", ["identifier[system=urn:a]"], "sort_hidden"],
  ["_sort=_lastUpdated", ["gender"], "sort_hidden"],
] as const)("Patient?%s where %j is shown: %s", ([query, shown, outcome], { expect }) => {
  const decision = decide(policy(rule(["Patient"], [...shown])), `Patient?${query}`);
  expect("reason" in decision ? decision.reason : "permitted").toBe(outcome);
});

test("a parameter over a choice needs every form that it reads; one over several elements needs them all", ({
  expect,
}) => {
  const found = (query: string, ...show: string[]) =>
    !("reason" in decide(policy(rule(["Observation"], show)), `Observation?${query}`));
  expect(found("date=2020", "effectiveDateTime")).toBe(false);
  expect(found("date=2020", "effective[x]")).toBe(true);
  expect(found("value-quantity=5", "valueQuantity")).toBe(false);
  expect(found("value-quantity=5", "valueQuantity", "valueSampledData")).toBe(true);
  expect(found("combo-code=x", "code")).toBe(false);
  expect(found("combo-code=x", "code", "component.code")).toBe(true);
  expect(found("component-code=urn:a%7Cb", "component[code=urn:a|b]")).toBe(false);
});

test("a policy's own list of parameters narrows what its view allows", ({ expect }) => {
  const narrowed = policy(rule(["Patient"], ["gender", "birthDate"], { search: ["birthdate"] }));
  expect(decide(narrowed, "Patient?gender=male")).toEqual({
    reason: "parameter_hidden",
    parameter: "gender",
  });
  expect(decide(narrowed, "Patient?_sort=gender")).toEqual({ reason: "sort_hidden", parameter: "gender" });
  expect(decide(narrowed, "Patient?birthdate=2000")).toHaveProperty("ask");
});

test("a row condition narrows the question beside the client's own parameter, and the answer is checked again", ({
  expect,
}) => {
  const labs = policy(rule(["Observation"], ["category", "code"], { where: [lab] }));
  const { ask, expects, viewOf } = grant(labs, "Observation?category=urn:c%7Cvital");
  expect(ask.query).toBe("category=urn%3Ac%7Cvital&category=urn%3Ac%7Clab&_count=100");
  expect(expects).toMatchObject({ question: "category=urn%3Ac%7Cvital", count: 100 });
  const row = (code: string) => ({
    resourceType: "Observation",
    category: [{ coding: [{ system: "urn:c", code }] }],
  });
  expect(viewOf(row("lab"))).toBeDefined();
  expect(viewOf(row("vital"))).toBeUndefined();
  expect(viewOf({ resourceType: "Observation" })).toBeUndefined();
  expect(
    viewOf({ resourceType: "Observation", category: [{ coding: [{ system: "urn:other", code: "lab" }] }] }),
  ).toBeUndefined();
  expect(viewOf({ resourceType: "Observation", category: [{ text: "lab" }] })).toBeUndefined();
});

test("a condition on excluded codes keeps these rows out, and cannot narrow the question", ({ expect }) => {
  const open = policy(
    rule(["Observation"], "everything", { where: [{ path: "meta.security", notIn: ["urn:s|R"] }] }),
  );
  const { ask, viewOf } = grant(open, "Observation?_id=1");
  expect(ask.query).toBe("_id=1&_count=100");
  expect(
    viewOf({
      resourceType: "Observation",
      meta: {
        security: [
          { system: "urn:s", code: "N" },
          { system: "urn:s", code: "R" },
        ],
      },
    }),
  ).toBeUndefined();
  expect(viewOf({ resourceType: "Observation" })).toBeDefined();
});

const v3 = "http://terminology.hl7.org/CodeSystem/v3";
const unlabelled = policy(
  rule(["Observation"], "everything", {
    where: [
      {
        path: "meta.security",
        notIn: [`${v3}-Confidentiality|R`, `${v3}-ActCode|PSYTHPN`, `${v3}-ActUSPrivacyLaw|42CFRPart2`],
      },
      { path: "status", notIn: ["entered-in-error"] },
    ],
  }),
);

test.for([
  ["without its system", [{ code: "R" }]],
  ["by the URL of STU3", [{ system: "http://hl7.org/fhir/v3/Confidentiality", code: "R" }]],
  ["by the system's OID", [{ system: "urn:oid:2.16.840.1.113883.5.25", code: "R" }]],
  ["by a bare OID", [{ system: "2.16.840.1.113883.5.4", code: "PSYTHPN" }]],
  ["by https, a slash and a version", [{ system: `https${v3.slice(4)}-Confidentiality/|1.0`, code: "R" }]],
  ["by the OID of US privacy law", [{ system: "urn:oid:2.16.840.1.113883.5.1138", code: "42CFRPart2" }]],
  ["in another case", [{ system: `${v3}-Confidentiality`, code: "r" }]],
  ["in another case, padded", [{ system: `${v3}-ActCode`, code: " psythpn " }]],
  ["as a string", ["R"]],
  ["as a list in a list", [[{ code: "R" }]]],
  ["as one object, not a list", { system: `${v3}-Confidentiality`, code: "R" }],
  ["as a string, not a list", "R"],
  ["as null", [null]],
  ["as a number", [{ rawJSON: "1" }]],
  ["with a code that is no text", [{ system: `${v3}-Confidentiality`, code: ["R"] }]],
  ["with a system that is no text", [{ system: [], code: "R" }]],
  ["with its system alone", [{ system: `${v3}-Confidentiality`, display: "restricted" }]],
  ["with its display alone", [{ display: "restricted" }]],
  ["beside one that may leave", [{ system: `${v3}-Confidentiality`, code: "N" }, { code: "R" }]],
] as const)(
  "a label that a row must not have keeps it in when it is written %s",
  ([, security], { expect }) => {
    const { viewOf } = grant(unlabelled, "Observation/1");
    expect(viewOf({ resourceType: "Observation", meta: { security } })).toBeUndefined();
  },
);

test("an unreadable label or code keeps the row in: meta, a plain code", ({ expect }) => {
  const { viewOf } = grant(unlabelled, "Observation/1");
  for (const resource of [
    { meta: "R" },
    { meta: null },
    { meta: ["R"] },
    { status: "Entered-In-Error" },
    { status: null },
    { status: {} },
  ]) {
    expect(viewOf({ resourceType: "Observation", ...resource }), JSON.stringify(resource)).toBeUndefined();
  }
});

test("a row with a label of nothing beyond normal, or with none, leaves", ({ expect }) => {
  const { viewOf } = grant(unlabelled, "Observation/1");
  for (const security of [
    [],
    [{ system: `${v3}-Confidentiality`, code: "N" }],
    [{ system: "urn:oid:2.16.840.1.113883.5.25", code: "N" }],
    [{ system: `${v3}-Confidentiality`, code: "L" }],
    [{ system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "SUBSETTED" }],
    [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActReason", code: "HTEST" }],
  ]) {
    expect(
      viewOf({ resourceType: "Observation", status: "final", meta: { security } }),
      JSON.stringify(security),
    ).toBeDefined();
  }
  const typed = policy(
    rule(["Observation"], "everything", { where: [{ path: "code", notIn: ["http://loinc.org|80741-8"] }] }),
  );
  const note = (code: JsonObject) =>
    grant(typed, "Observation/1").viewOf({ resourceType: "Observation", code });
  expect(note({ text: "Progress note" })).toBeDefined();
  expect(note({ coding: [{ system: "http://loinc.org", code: "11506-3" }] })).toBeDefined();
  expect(
    note({ coding: [{ system: "http://loinc.org", code: "11506-3" }, { code: "80741-8" }] }),
  ).toBeUndefined();
  expect(note({ coding: "80741-8" })).toBeUndefined();
  expect(note({ system: "http://loinc.org", code: "80741-8" })).toBeUndefined();
});

test("a search by an element that the first of two rules hides finds only the rows of the second", ({
  expect,
}) => {
  const two = policy(
    rule(["Observation"], ["code", "category"], { where: [lab] }),
    rule(["Observation"], ["category", "valueQuantity", "valueSampledData"], { where: [vital] }),
  );
  const row = (...codes: string[]) => ({
    resourceType: "Observation",
    category: [{ coding: codes.map((code) => ({ system: "urn:c", code })) }],
  });
  const byCode = grant(two, "Observation?code=urn:a%7Cb");
  expect(byCode.ask.query).toBe("code=urn%3Aa%7Cb&category=urn%3Ac%7Clab&_count=100");
  expect(byCode.viewOf(row("vital"))).toBeUndefined();
  expect(byCode.viewOf(row("lab"))?.object.elements.has("valueQuantity")).toBe(false);
  // Each of two rules granted a row that both cover.
  expect(byCode.viewOf(row("lab", "vital"))?.object.elements.has("valueQuantity")).toBe(true);
  expect(decide(two, "Observation?code=urn:a%7Cb&value-quantity=5")).toEqual({
    reason: "parameter_hidden",
    parameter: "value-quantity",
  });
  expect(decide(two, "Observation?code=urn:a%7Cb&_sort=value-quantity")).toEqual({
    reason: "sort_hidden",
    parameter: "value-quantity",
  });
  expect(grant(two, "Observation?_id=1").ask.query).toBe(
    "_id=1&category=urn%3Ac%7Clab,urn%3Ac%7Cvital&_count=100",
  );
});

test("a resource inside another is granted by the rules to read its own type, and by scope", ({ expect }) => {
  const both = policy(
    rule(["Observation"], ["contained"]),
    rule(["Patient"], ["gender"], { interactions: ["read"] }),
    rule(["Device"], ["status"], { interactions: ["search"] }),
  );
  const inside = (type: string, scope?: string) =>
    grant(both, "Observation/1", scope).viewInside({ resourceType: type });
  expect(inside("Patient")).toBeDefined();
  expect(inside("Device")).toBeUndefined();
  expect(inside("Practitioner")).toBeUndefined();
  expect(inside("Patient", "system/Observation.r")).toBeUndefined();
});

test("taking a scope or a shown path away never turns a refusal into a grant", ({ expect }) => {
  const paths = [
    "gender",
    "birthDate",
    "name",
    "name.family",
    "identifier",
    "identifier[system=urn:a]",
    "telecom",
    "address.city",
    "meta",
    "link",
  ];
  const queries = [
    "gender=male",
    "birthdate=2000",
    "name=x",
    "family=x",
    "identifier=urn:a%7C1",
    "identifier=1",
    "phone=5",
    "address-city=x",
    "_lastUpdated=2020",
    "link=1",
    "_sort=gender,name",
  ];
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.constantFrom(...paths), { minLength: 2 }),
      fc.subarray(queries),
      fc.nat(),
      fc.subarray(["system/Patient.r", "system/Patient.s", "system/*.s"], { minLength: 1 }),
      (shown, asked, at, scopes) => {
        const request = `Patient?${asked.join("&")}`;
        const fewer = shown.filter((_path, index) => index !== at % shown.length);
        const wide = decide(policy(rule(["Patient"], shown)), request, scopes.join(" "));
        const narrow = decide(policy(rule(["Patient"], fewer)), request, scopes.join(" "));
        if ("reason" in wide) expect(narrow).toHaveProperty("reason");
        const fewerScopes = decide(policy(rule(["Patient"], shown)), request, scopes[0]);
        if ("reason" in wide) expect(fewerScopes).toHaveProperty("reason");
      },
    ),
  );
});

test("no accepted document and readable request make the evaluation throw", ({ expect }) => {
  const shown = fc.uniqueArray(
    fc.constantFrom(
      "name",
      "identifier[system=urn:a]",
      "telecom",
      "link.type",
      "contact.name",
      "meta",
      "deceased[x]",
      "text",
      "contained",
      "address.city",
    ),
    { minLength: 1 },
  );
  const query = fc.constantFrom(
    "",
    "name=x",
    "identifier=urn:a%7Cx",
    "_sort=name",
    "telecom=x",
    "deceased=true",
    "_tag=x",
  );
  fc.assert(
    fc.property(shown, query, (show, raw) => {
      const document = parsePolicyDocument(policy(rule(["Patient"], show)));
      const interaction = readInteraction("GET", ["Patient"], raw);
      if (!document.ok || !interaction.ok || !isReading(interaction.value)) return;
      const decision = evaluate(
        compilePolicy(document.value, ""),
        {
          scopes: [{ context: "system", type: "*", permissions: ["s"], filters: [] }],
          patient: undefined,
        },
        interaction.value,
      );
      expect(typeof decision.ok).toBe("boolean");
    }),
  );
});
