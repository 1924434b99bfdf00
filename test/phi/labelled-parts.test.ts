import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { inlineLabel } from "#fhir/json/facts";
import type { JsonObject } from "#fhir/json/json";
import { elementsOf, r4ResourceTypes } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { Discloser } from "#phi/disclose";
import { leavingPart } from "#phi/labelled-parts";
import { compilePolicy } from "#policy/compile";
import { neverReadsCutMember, testedMembers } from "#policy/facts";
import { consent, level, resource, sensitivity } from "../policy/consent/scene.ts";
import { policy, rule } from "../policy/granting.ts";
import { bases, grantUnder, readUnder, searchUnder } from "./consented.ts";

const everything = policy(rule(["Patient", "Observation", "Condition", "Practitioner"], "everything"));
const label = (coding: object) => ({ url: inlineLabel, valueCoding: coding });
const restricted = label(level("R"));
const hiv = label(sensitivity("HIV"));
const mark = { meta: { security: [sensitivity("PROCESSINLINELABEL")] } };
const masked = {
  extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
};

const patient = (more: object) => resource({ resourceType: "Patient", id: "a", ...more });
const finding = (more: object) =>
  resource({
    resourceType: "Observation",
    id: "o",
    status: "final",
    subject: { reference: "Patient/a" },
    ...more,
  });
const code = { text: "x" };
const read = (row: JsonObject, consents: readonly JsonObject[] = [], document = everything) =>
  readUnder({ policy: document, consents }, row);
const permit = (...codes: readonly string[]) =>
  consent({ type: "permit", securityLabel: [level("N"), ...codes.map(sensitivity)] });

test("an element with a label is cut, the rest of its row leaves, and no mark tells of it", ({ expect }) => {
  const number = { system: "urn:mrn", value: "1" };
  const whole = patient({
    ...mark,
    identifier: [
      { system: "http://hl7.org/fhir/sid/us-ssn", value: "999-11-2222", extension: [restricted] },
      number,
    ],
    name: [{ family: "Doe", given: ["John"], text: "John Doe", _family: { extension: [restricted] } }],
    birthDate: "1984-03-02",
    _birthDate: { extension: [restricted] },
    gender: "female",
  });
  const rest = patient({ identifier: [number], name: [{ given: ["John"] }], gender: "female" });
  expect(read(whole)).toEqual(rest);
  expect(JSON.stringify(read(whole))).toBe(JSON.stringify(rest));
  const withConsent = consent({ type: "permit", securityLabel: [level("R")] });
  expect(read(whole, [withConsent])).toEqual(whole);
  const leaving = { ...everything, labels: { leave: [{ labels: ["R"], why: "For a test of labels." }] } };
  expect(read(whole, [], leaving)).toEqual(whole);
});

test("each element is weighed by its own labels: a Consent for a kind shows this kind alone", ({
  expect,
}) => {
  const row = finding({
    ...mark,
    code,
    component: [
      { code: { text: "hiv" }, extension: [hiv] },
      { code: { text: "drugs" }, extension: [label(sensitivity("SUD"))] },
      { code: { text: "pulse" } },
    ],
  });
  const shown = (consents: readonly JsonObject[]) => {
    const text = JSON.stringify(read(row, consents));
    return ["hiv", "drugs", "pulse"].filter((each) => text.includes(each));
  };
  expect(shown([])).toEqual(["pulse"]);
  expect(shown([permit("HIV")])).toEqual(["hiv", "pulse"]);
  expect(shown([permit("HIV", "SUD")])).toEqual(["hiv", "drugs", "pulse"]);
  // two Consents that each permit a kind permit no row of both kinds
  const permitOnly = (kind: string) =>
    consent({ type: "permit", securityLabel: [level("N"), sensitivity(kind)] });
  expect(shown([permitOnly("HIV"), permitOnly("SUD")]).includes("pulse")).toBe(true);
  const denial = consent({ type: "deny", securityLabel: [sensitivity("HIV")] });
  const leaving = {
    ...everything,
    labels: { leave: [{ labels: ["HIV", "SUD"], why: "For a test of labels." }] },
  };
  const text = JSON.stringify(readUnder({ policy: leaving, consents: [denial] }, row));
  expect(["hiv", "drugs", "pulse"].filter((each) => text.includes(each))).toEqual(["drugs", "pulse"]);
});

test("a required element that is cut stands as masked, and a datatype leaves whole or not at all", ({
  expect,
}) => {
  const row = finding({
    code: { text: "HIV test", coding: [{ code: "80203-3", extension: [hiv] }] },
    valueQuantity: { value: 3, _value: { extension: [restricted] }, unit: "x" },
    note: [{ text: "shown" }],
  });
  expect(read(row)).toEqual(finding({ note: [{ text: "shown" }], code: masked }));
});

test("a narrative leaves only with everything that it may tell of", ({ expect }) => {
  const text = { status: "generated", div: "<div>HIV positive</div>" };
  const row = finding({ text, code, note: [{ text: "hiv", extension: [hiv] }] });
  expect(read(row)).toEqual(finding({ code }));
  expect(read(row, [permit("HIV")])).toEqual(row);
});

test("a cut that would mislead, or would change what the row is, withholds the row", ({ expect }) => {
  for (const more of [
    { _status: { extension: [restricted] } },
    { subject: { reference: "Patient/a", extension: [restricted] } },
    { meta: { security: [level("R")] }, note: [{ text: "x", extension: [restricted] }] },
    { extension: [restricted] },
    { modifierExtension: [{ url: "urn:x", valueBoolean: true, extension: [restricted] }] },
    { meta: { tag: [{ code: "x", extension: [restricted] }] } },
    { _id: { extension: [restricted] } },
  ])
    expect(read(finding({ code, ...more })), JSON.stringify(more)).toBeUndefined();
  const byCategory = policy(
    rule(["Observation"], "everything", { where: [{ path: "category", notIn: ["urn:c|secret"] }] }),
  );
  const tested = finding({
    code,
    category: [{ coding: [{ system: "urn:c", code: "secret" }], extension: [restricted] }],
  });
  expect(read(tested, [], byCategory)).toBeUndefined();
  expect(read(finding({ code }), [], byCategory)).toBeDefined();
});

test("a contained resource with a label stays back alone, with the references to it", ({ expect }) => {
  const inside = (more: object) => ({
    resourceType: "Practitioner",
    id: "p",
    name: [{ family: "Roe" }],
    ...more,
  });
  const row = (more: object) =>
    finding({ contained: [inside(more)], code, performer: [{ reference: "#p" }] });
  expect(read(row({ extension: [restricted] }))).toEqual(finding({ code }));
  expect(read(row({ name: [{ family: "Roe", extension: [restricted] }] }))).toEqual(
    finding({
      contained: [{ resourceType: "Practitioner", id: "p" }],
      code,
      performer: [{ reference: "#p" }],
    }),
  );
});

test("a label that is harmless or says how sure the data are cuts nothing", ({ expect }) => {
  for (const coding of [
    level("N"),
    { system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "PATRPT" },
  ]) {
    const row = finding({ code, subject: { reference: "Patient/a", extension: [label(coding)] } });
    expect(read(row)).toEqual(row);
  }
  for (const each of [{ system: "urn:x", code: "y" }, {}, null])
    expect(
      read(finding({ code, note: [{ text: "x", extension: [{ url: inlineLabel, valueCoding: each }] }] })),
    ).toEqual(finding({ code }));
});

test("L43: a search finds no row by what was cut, and worlds with and without the cut element answer alike", ({
  expect,
}) => {
  const ssn = { system: "urn:ssn", value: "9", extension: [restricted] };
  const number = { system: "urn:mrn", value: "1" };
  const hidden = patient({ ...mark, identifier: [ssn, number], gender: "female" });
  const absent = patient({ identifier: [number], gender: "female" });
  const found = (query: string, row: JsonObject) =>
    searchUnder({ policy: everything, consents: [] }, `Patient?${query}`, [row]);
  for (const query of [
    "gender=female",
    "identifier=urn:mrn%7C1",
    "_id=a",
    "identifier:missing=false",
    "birthdate:missing=true",
    "identifier:not=urn:ssn%7C8",
    "identifier:not=urn:ssn%7C9",
    "identifier:not=urn:mrn%7C1",
  ])
    expect(found(query, hidden), query).toBe(found(query, absent));
  const nothing = searchUnder({ policy: everything, consents: [] }, "Patient?identifier=urn:ssn%7C9", []);
  expect(found("identifier=urn:ssn%7C9", hidden)).toBe(nothing);
  for (const query of ["identifier:missing=true", "gender=female&_sort=identifier"])
    expect(JSON.parse(found(query, hidden)), query).not.toHaveProperty("entry");
});

test("L43: a search confirms no guess at a cut element by what remains of its member", ({ expect }) => {
  const whole = patient({
    ...mark,
    telecom: [
      { system: "phone", value: "617", extension: [restricted] },
      { system: "email", value: "a@x.example" },
    ],
    name: [{ family: "Ann", extension: [restricted] }, { family: "Hannah" }],
  });
  const seen = finding({
    ...mark,
    code,
    performer: [
      { reference: "Practitioner/secret", extension: [restricted] },
      { reference: "https://elsewhere.example/fhir/Practitioner/open" },
      { reference: "Practitioner/known" },
    ],
    component: [
      { code, valueQuantity: { value: 5, system: "urn:u", code: "mg", extension: [restricted] } },
      { code, valueQuantity: { value: 5, system: "urn:u", code: "kg" } },
    ],
  });
  const labelled = { extension: [restricted] };
  const labelledDeath = { ...mark, _deceasedBoolean: labelled };
  const isFound = (request: string, row: JsonObject) =>
    Object.hasOwn(JSON.parse(searchUnder({ policy: everything, consents: [] }, request, [row])), "entry");
  for (const [request, row, expected] of [
    ["Patient?phone=617", whole, false],
    ["Patient?telecom=phone%7C617", whole, false],
    ["Patient?telecom=a@x.example", whole, true],
    ["Patient?family=ann", whole, false],
    ["Patient?name=ann", whole, false],
    ["Patient?family=hann", whole, true],
    ["Observation?performer=Practitioner/secret", seen, false],
    ["Observation?performer=Practitioner/known", seen, true],
    ["Observation?component-value-quantity=5%7Curn:u%7Cmg", seen, false],
    ["Patient?deceased=false", patient({ deceasedBoolean: false, ...labelledDeath }), false],
    ["Patient?family:missing=true", patient({ name: [{ given: ["A"], _given: [labelled] }] }), true],
    ["Patient?given:missing=true", patient({ name: [{ family: "A", _family: labelled }] }), true],
  ] as const)
    expect(isFound(request, row), request).toBe(expected);
});

test("L57: a search for rows without a value finds a row whose value is withheld, as if the row never had it", ({
  expect,
}) => {
  const labelled = { extension: [restricted] };
  const worlds: readonly (readonly [code: string, hidden: JsonObject, absent: JsonObject])[] = [
    ["birthdate", patient({ ...mark, birthDate: "1984-03-02", _birthDate: labelled }), patient({})],
    [
      "family",
      patient({ ...mark, name: [{ family: "A", _family: labelled, given: ["B"] }] }),
      patient({ name: [{ given: ["B"] }] }),
    ],
    [
      "identifier",
      patient({ ...mark, identifier: [{ system: "urn:ssn", value: "9", extension: [restricted] }] }),
      patient({}),
    ],
  ];
  for (const [code, hidden, absent] of worlds)
    for (const value of ["true", "false"]) {
      const request = `Patient?${code}:missing=${value}&gender:missing=true`;
      const under = { policy: everything, consents: [] };
      const found = searchUnder(under, request, [hidden]);
      expect(found, request).toBe(searchUnder(under, request, [absent]));
      expect(Object.hasOwn(JSON.parse(found), "entry"), request).toBe(value === "true");
      // the origin would leave out the row by its hidden value: it is not asked
      const { ask } = grantUnder(under, request);
      expect(ask.query, request).toMatch(/^_count=\d+$/u);
    }
});

test("L57: a negation and a composite find a row whose value is withheld, as if the row never had it", ({
  expect,
}) => {
  const labelled = { extension: [restricted] };
  const quantity = { value: 5, system: "urn:u", code: "mg" };
  const kind = { coding: [{ system: "urn:c", code: "c" }] };
  const open = { code: kind, valueQuantity: { ...quantity, value: 7 } };
  const secret = { code: kind, valueQuantity: quantity, extension: [restricted] };
  const worlds: readonly (readonly [request: string, hidden: JsonObject, absent: JsonObject, is: boolean])[] =
    [
      ["Patient?gender:not=male", patient({ ...mark, gender: "male", _gender: labelled }), patient({}), true],
      [
        "Patient?gender:not=female",
        patient({ ...mark, gender: "male", _gender: labelled }),
        patient({}),
        true,
      ],
      [
        "Patient?identifier:not=urn:ssn%7C9",
        patient({ ...mark, identifier: [{ system: "urn:ssn", value: "9", extension: [restricted] }] }),
        patient({}),
        true,
      ],
      [
        "Observation?component-code-value-quantity=urn:c%7Cc$7",
        finding({ ...mark, code: kind, component: [secret, open] }),
        finding({ code: kind, component: [open] }),
        true,
      ],
      [
        "Observation?component-code-value-quantity=urn:c%7Cc$5",
        finding({ ...mark, code: kind, component: [secret, open] }),
        finding({ code: kind, component: [open] }),
        false,
      ],
      [
        "Observation?combo-code-value-quantity=urn:c%7Cc$5",
        finding({
          ...mark,
          code: kind,
          valueQuantity: { ...quantity, extension: [restricted] },
          component: [open],
        }),
        finding({ code: kind, component: [open] }),
        false,
      ],
    ];
  for (const [request, hidden, absent, is] of worlds) {
    const under = { policy: everything, consents: [] };
    const found = searchUnder(under, request, [hidden]);
    expect(found, request).toBe(searchUnder(under, request, [absent]));
    expect(Object.hasOwn(JSON.parse(found), "entry"), request).toBe(is);
    const asksNothing = grantUnder(under, request).ask.query.startsWith("_count=");
    expect(asksNothing, request).toBe(request.includes(":not="));
  }
});

test("L57: an origin is asked for a negation of each member whose labelled part withholds the row, and of no member that is cut", ({
  expect,
}) => {
  const byCategory = policy(
    rule(["Observation"], "everything", { where: [{ path: "category", notIn: ["urn:c|secret"] }] }),
  );
  for (const [document, request, isAsked] of [
    [everything, "Observation?status:not=final", true],
    [everything, "Patient?active:not=true", true],
    [everything, "Patient?deceased:missing=true", true],
    [everything, "Observation?category:not=lab", false],
    [byCategory, "Observation?category:not=lab", true],
    [byCategory, "Observation?code:not=lab", false],
    [everything, "Patient?birthdate:missing=true", false],
  ] as const) {
    const { ask } = grantUnder({ policy: document, consents: [] }, request);
    expect(ask.query.startsWith(request.slice(request.indexOf("?") + 1)), request).toBe(isAsked);
  }
  const compiled = compilePolicy(everything, "sha256:test");
  let asked = 0;
  for (const type of r4ResourceTypes)
    for (const definition of searchParametersOf(type).values()) {
      if (definition.code.startsWith("_")) continue;
      if (!neverReadsCutMember(compiled, { scopes: [] }, type, definition)) continue;
      for (const [first = ""] of definition.paths ?? [])
        for (const { name } of elementsOf(type).get(first)?.forms ?? []) {
          asked += 1;
          const row = resource({
            resourceType: type,
            id: "x",
            [name]: { text: "x", extension: [restricted] },
            [`_${name}`]: { extension: [restricted] },
          });
          const part = leavingPart(row, {
            mayLeave: (labels) => labels.length === 0,
            isTested: (tested, member) => testedMembers(compiled, { scopes: [] }, tested).has(member),
          });
          expect(part, `${type}.${name}`).toBeUndefined();
        }
    }
  expect(asked).toBeGreaterThan(100);
});

test("a label that came later hides the member in earlier versions too", ({ expect }) => {
  const version = (versionId: string, more: object) => patient({ meta: { versionId }, ...more });
  const old = version("1", {
    birthDate: "1984-03-02",
    telecom: [{ system: "phone", value: "617" }],
    gender: "female",
  });
  const now = version("2", {
    telecom: [{ system: "phone", value: "617", extension: [restricted] }],
    gender: "female",
  });
  const grant = grantUnder({ policy: everything, consents: [] }, "Patient/a/_history/1");
  const text = (value: JsonObject) => utf8(JSON.stringify(value));
  const disclosed = new Discloser(grant, bases).version(text(old), text(now), {
    type: "Patient",
    id: "a",
    version: "1",
  });
  if (!disclosed.ok) throw new Error(disclosed.error.reason);
  expect(JSON.parse(new TextDecoder().decode(disclosed.value.windows[0]?.body))).toEqual(
    version("1", { birthDate: "1984-03-02", gender: "female" }),
  );
});

test("a label on one form of a choice hides every form in earlier versions and in the history", ({
  expect,
}) => {
  const concept = { text: "HIV positive", extension: [restricted] };
  const version = (versionId: string, more: object) => finding({ meta: { versionId }, code, ...more });
  const now = version("2", { valueCodeableConcept: concept });
  const grant = grantUnder({ policy: everything, consents: [] }, "Observation/o/_history/1");
  const text = (value: JsonObject) => utf8(JSON.stringify(value));
  for (const earlier of [
    { valueString: "HIV positive" },
    { valueString: "HIV positive", _valueString: { id: "x" } },
    { _valueString: { extension: [{ url: "urn:x", valueString: "HIV positive" }] } },
    { valueCodeableConcept: { text: "HIV positive" } },
  ]) {
    const old = version("1", earlier);
    const asked = { type: "Observation", id: "o", version: "1" };
    const disclosed = new Discloser(grant, bases).version(text(old), text(now), asked);
    if (!disclosed.ok) throw new Error(disclosed.error.reason);
    const shown: unknown = JSON.parse(new TextDecoder().decode(disclosed.value.windows[0]?.body));
    expect(shown).toEqual(version("1", {}));
    expect(new Discloser(grant, bases).step(old, now)?.resource).toEqual(version("1", {}));
  }
});
