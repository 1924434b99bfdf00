import { test } from "vitest";
import { typeShapeOf } from "#fhir/validate/shape";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { bodyOutcome } from "#fhir/outcome";
import { validateResource } from "#fhir/validate/validate";
import { r4Paths } from "../../support/r4-paths.ts";

const read = (text: string): JsonObject => {
  const value = readJson(new TextEncoder().encode(text));
  if (!value.ok || !isObject(value.value)) throw new Error("not an object");
  return value.value;
};
const body = (members: object) => read(JSON.stringify(members));
/** The issues as `code path`. */
const issues = (members: object) =>
  validateResource(body(members)).map(({ code, expression }) => `${code} ${expression}`);
const patient = (members: object) => issues({ resourceType: "Patient", ...members });
const observation = (members: object) =>
  issues({ resourceType: "Observation", status: "final", code: { text: "x" }, ...members });
const extension = { url: "https://example.org/x", valueString: "x" };

test("a resource with all kinds of elements has no issue", ({ expect }) => {
  const resource =
    read(`{"resourceType":"Observation","id":"o1","meta":{"profile":["https://example.org/p"],"versionId":"1"},
    "text":{"status":"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><p>x</p></div>"},
    "contained":[{"resourceType":"Practitioner","id":"p","name":[{"given":["A","B"],"_given":[null,{"id":"g"}]}]}],
    "status":"final","_status":{"extension":[{"url":"https://example.org/x","valueDecimal":1.10}]},
    "code":{"coding":[{"system":"http://loinc.org","code":"1-1","userSelected":true}]},
    "subject":{"reference":"Patient/1"},"performer":[{"reference":"#p"}],"effectiveDateTime":"2020-02-29T10:00:00Z",
    "valueQuantity":{"value":1.10,"comparator":"<","unit":"kg"},
    "component":[{"code":{"text":"y"},"_valueString":{"extension":[{"url":"https://example.org/x","extension":[{"url":"in","valueCode":"y"}]}]}}],
    "referenceRange":[{"low":{"value":1,"unit":"kg"}}]}`);
  expect(validateResource(resource)).toEqual([]);
});

test.for<[string, () => string[], string[]]>([
  ["an element of no type", () => patient({ birthdate: "2020" }), ["structure Patient.birthdate"]],
  [
    "an element of another type",
    () => patient({ name: [{ value: "x" }] }),
    ["structure Patient.name[0].value"],
  ],
  [
    "an element of Object's own",
    () => patient({ constructor: "x", toString: "x" }),
    ["structure Patient.constructor", "structure Patient.toString"],
  ],
  ["a text where an object belongs", () => patient({ name: ["x"] }), ["structure Patient.name[0]"]],
  ["an object where a text belongs", () => patient({ birthDate: {} }), ["structure Patient.birthDate"]],
  ["a text where a boolean belongs", () => patient({ active: "true" }), ["structure Patient.active"]],
  [
    "a text in place of a number",
    () => patient({ multipleBirthInteger: "2" }),
    ["structure Patient.multipleBirth"],
  ],
  [
    "a fraction in place of an integer",
    () => patient({ multipleBirthInteger: 1.5 }),
    ["value Patient.multipleBirth"],
  ],
  ["a list where one belongs", () => patient({ birthDate: ["2020"] }), ["structure Patient.birthDate"]],
  ["one where a list belongs", () => patient({ name: { family: "x" } }), ["structure Patient.name"]],
  ["a list in a list", () => patient({ name: [[{ family: "x" }]] }), ["structure Patient.name[0]"]],
  [
    "a day that is not in the calendar",
    () => patient({ birthDate: "2021-02-29" }),
    ["value Patient.birthDate"],
  ],
  ["an id that is none", () => patient({ id: "a/b" }), ["value Patient.id"]],
  [
    "a URI with a space",
    () => patient({ identifier: [{ system: "a b" }] }),
    ["value Patient.identifier[0].system"],
  ],
  [
    "an empty text",
    () => patient({ name: [{ family: "x", given: ["y", ""] }] }),
    ["value Patient.name[0].given[1]"],
  ],
  ["an empty object", () => patient({ maritalStatus: {} }), ["invariant Patient.maritalStatus"]],
  [
    "an object with only an id",
    () => patient({ maritalStatus: { id: "x" } }),
    ["invariant Patient.maritalStatus"],
  ],
  ["an empty list", () => patient({ name: [] }), ["structure Patient.name"]],
  ["a null", () => patient({ birthDate: null }), ["structure Patient.birthDate"]],
  [
    "a null in a list",
    () => patient({ name: [{ given: ["x", null] }] }),
    ["structure Patient.name[0].given[1]"],
  ],
  [
    "a required element that is missing",
    () => issues({ resourceType: "Observation" }),
    ["required Observation.status", "required Observation.code"],
  ],
  [
    "a required choice that is missing",
    () =>
      issues({
        resourceType: "MedicationRequest",
        status: "active",
        intent: "order",
        subject: { display: "x" },
      }),
    ["required MedicationRequest.medication"],
  ],
  [
    "a required element of a backbone",
    () => patient({ link: [{ type: "refer" }] }),
    ["required Patient.link[0].other"],
  ],
  [
    "a choice given twice",
    () => observation({ valueString: "x", valueInteger: 1 }),
    ["structure Observation.value"],
  ],
  [
    "a choice given twice, once by its sibling",
    () => observation({ valueString: "x", _valueDateTime: { extension: [extension] } }),
    ["structure Observation.value"],
  ],
  [
    "a type that the choice does not have",
    () => observation({ valueUri: "x" }),
    ["structure Observation.valueUri"],
  ],
  ["a choice without its type", () => observation({ value: "x" }), ["structure Observation.value"]],
  ["a code that its value set lacks", () => patient({ gender: "f" }), ["code-invalid Patient.gender"]],
  [
    "a code of the right letters in capitals",
    () => observation({ status: "Final" }),
    ["code-invalid Observation.status"],
  ],
  [
    "a concept without a code from the required list",
    () =>
      issues({
        resourceType: "Condition",
        subject: { display: "x" },
        clinicalStatus: { coding: [{ system: "https://example.org", code: "active" }] },
      }),
    ["code-invalid Condition.clinicalStatus"],
  ],
  [
    "a concept with only a text, although codes are required",
    () =>
      issues({ resourceType: "Condition", subject: { display: "x" }, clinicalStatus: { text: "active" } }),
    ["code-invalid Condition.clinicalStatus"],
  ],
  [
    "a sibling of an object",
    () => patient({ maritalStatus: { text: "x" }, _maritalStatus: { extension: [extension] } }),
    ["structure Patient._maritalStatus"],
  ],
  [
    "a sibling of the id",
    () => patient({ id: "x", _id: { extension: [extension] } }),
    ["structure Patient._id"],
  ],
  [
    "a sibling that is a text",
    () => patient({ birthDate: "2020", _birthDate: "x" }),
    ["structure Patient.birthDate"],
  ],
  [
    "a sibling that is a list",
    () => patient({ _birthDate: [{ extension: [extension] }] }),
    ["structure Patient.birthDate"],
  ],
  [
    "a sibling that is empty",
    () => patient({ birthDate: "2020", _birthDate: {} }),
    ["invariant Patient.birthDate"],
  ],
  [
    "a sibling of no value with only an id",
    () => patient({ _birthDate: { id: "x" } }),
    ["invariant Patient.birthDate"],
  ],
  [
    "a sibling with a value of its own",
    () => patient({ _birthDate: { value: "2020" } }),
    ["structure Patient.birthDate.value"],
  ],
  [
    "a sibling's list of another length",
    () => patient({ name: [{ given: ["x", "y"], _given: [{ id: "g" }] }] }),
    ["structure Patient.name[0].given"],
  ],
  [
    "a null in both lists",
    () => patient({ name: [{ given: ["x", null], _given: [{ id: "g" }, null] }] }),
    ["structure Patient.name[0].given[1]"],
  ],
  [
    "an extension without a URL",
    () => patient({ extension: [{ valueString: "x" }] }),
    ["required Patient.extension[0].url"],
  ],
  [
    "an extension with a value and extensions",
    () => patient({ extension: [{ ...extension, extension: [extension] }] }),
    ["invariant Patient.extension[0]"],
  ],
  [
    "an extension with neither",
    () => patient({ extension: [{ url: "https://example.org/x" }] }),
    ["invariant Patient.extension[0]"],
  ],
  [
    "a wrong extension of a primitive",
    () => patient({ _birthDate: { extension: [{ url: "a b", valueString: "x" }] } }),
    ["value Patient.birthDate.extension[0].url"],
  ],
  [
    "a narrative with a script",
    () => patient({ text: { status: "generated", div: "<div><script>x</script></div>" } }),
    ["invariant Patient.text.div"],
  ],
  [
    "a comparator in a simple quantity",
    () => observation({ referenceRange: [{ low: { value: 1, comparator: "<" } }] }),
    ["invariant Observation.referenceRange[0].low.comparator"],
  ],
  ["a resource of no type", () => issues({ id: "x" }), ["required Resource"]],
  ["a resource of an unknown type", () => issues({ resourceType: "Patients" }), ["structure Resource"]],
  [
    "a resource of an abstract type",
    () => issues({ resourceType: "DomainResource" }),
    ["structure Resource"],
  ],
  ["a datatype as a resource", () => issues({ resourceType: "HumanName" }), ["structure Resource"]],
  [
    "a resourceType in an element",
    () => patient({ name: [{ resourceType: "HumanName", family: "x" }] }),
    ["structure Patient.name[0].resourceType"],
  ],
])("%s is refused with its place", ([, found, wanted], { expect }) => {
  expect(found()).toEqual(wanted);
});

const container = (inside: readonly object[], members: object = {}) =>
  issues({
    resourceType: "Patient",
    contained: inside,
    managingOrganization: { reference: "#o" },
    ...members,
  });
const organization = { resourceType: "Organization", id: "o", name: "x" };

test.for<[string, () => string[], string[]]>([
  [
    "is checked by its own type",
    () => container([{ ...organization, birthDate: "2020" }]),
    ["structure Patient.contained[0].birthDate"],
  ],
  ["has a type", () => container([{ id: "o" }]), ["required Patient.contained[0]"]],
  [
    "is a resource",
    () => issues({ resourceType: "Patient", contained: ["x"] }),
    ["structure Patient.contained[0]"],
  ],
  [
    "contains none itself (dom-2)",
    () => container([{ ...organization, contained: [organization] }]),
    ["invariant Patient.contained[0].contained"],
  ],
  [
    "is referred to (dom-3)",
    () => container([organization, { ...organization, id: "p" }]),
    ["invariant Patient.contained[1]"],
  ],
  [
    "has an id (dom-3)",
    () => container([organization, { resourceType: "Organization", name: "x" }]),
    ["invariant Patient.contained[1]"],
  ],
  [
    "has an id of its own",
    () => container([organization, organization]),
    ["invariant Patient.contained[1].id"],
  ],
  [
    "has no version (dom-4)",
    () => container([{ ...organization, meta: { versionId: "1" } }]),
    ["invariant Patient.contained[0].meta.versionId"],
  ],
  [
    "has no label (dom-5)",
    () => container([{ ...organization, meta: { security: [{ code: "R" }] } }]),
    ["invariant Patient.contained[0].meta.security"],
  ],
  [
    "is there when it is referred to (ref-1)",
    () => patient({ managingOrganization: { reference: "#o" } }),
    ["invariant Patient.managingOrganization.reference"],
  ],
  [
    "refers to a sibling in the same container",
    () =>
      container([
        { ...organization, partOf: { reference: "#p" } },
        { ...organization, id: "p" },
      ]),
    [],
  ],
  [
    "may refer to its container instead",
    () =>
      container([
        organization,
        {
          resourceType: "Provenance",
          id: "v",
          target: [{ reference: "#" }],
          recorded: "2020-01-01T00:00:00Z",
          agent: [{ who: { display: "x" } }],
        },
      ]),
    [],
  ],
  [
    "may be referred to by a canonical",
    () =>
      issues({
        resourceType: "Questionnaire",
        status: "draft",
        contained: [{ resourceType: "ValueSet", id: "v", status: "draft" }],
        item: [{ linkId: "1", type: "choice", answerValueSet: "#v" }],
      }),
    [],
  ],
])("a contained resource %s", ([, found, wanted], { expect }) => {
  expect(found()).toEqual(wanted);
});

test("resources in Bundles and Parameters are checked independently", ({ expect }) => {
  const wrong = { resourceType: "Patient", contained: [organization], birthDate: "x" };
  const bundle = {
    resourceType: "Bundle",
    type: "batch",
    entry: [{ resource: { resourceType: "Patient" } }, { resource: wrong }],
  };
  const at = "Bundle.entry[1].resource";
  expect(issues(bundle)).toEqual([`value ${at}.birthDate`, `invariant ${at}.contained[0]`]);
  const parameters = {
    resourceType: "Parameters",
    parameter: [{ name: "x", part: [{ name: "y", resource: bundle }] }],
  };
  expect(issues(parameters)).toEqual([
    `value Parameters.parameter[0].part[0].resource.entry[1].resource.birthDate`,
    expect.any(String),
  ]);
});

test("a content reference is checked as its target", ({ expect }) => {
  const item = (inside: object) => ({
    resourceType: "Questionnaire",
    status: "draft",
    item: [{ linkId: "1", type: "group", item: [{ linkId: "2", type: "group", item: [inside] }] }],
  });
  expect(issues(item({ linkId: "3", type: "choice" }))).toEqual([]);
  expect(issues(item({ type: "choices" }))).toEqual([
    "code-invalid Questionnaire.item[0].item[0].item[0].type",
    "required Questionnaire.item[0].item[0].item[0].linkId",
  ]);
});

test("an issue quotes no value and no name that could be data", ({ expect }) => {
  const found = validateResource(
    body({
      resourceType: "Patient",
      "Canary 1": "x",
      gender: "canary2",
      birthDate: "canary3",
      name: [{ given: [true], family: "canary\u00004" }],
      contained: [{ resourceType: "canary5" }],
    }),
  );
  expect(found.map(({ expression }) => expression)).toEqual([
    "Patient",
    "Patient.gender",
    "Patient.birthDate",
    "Patient.name[0].given[0]",
    "Patient.name[0].family",
    "Patient.contained[0]",
    "Patient.contained[0]",
  ]);
  expect(JSON.stringify(found)).not.toMatch(/canary/iu);
});

test("at most twenty issues are reported", ({ expect }) => {
  expect(patient({ name: Array.from({ length: 1_000 }, () => ({})) })).toHaveLength(20);
  expect(
    patient(Object.fromEntries(Array.from({ length: 1_000 }, (_one, index) => [`x${index}`, 1]))),
  ).toHaveLength(20);
});

test("the deepest body that is read is checked to its end", ({ expect }) => {
  let deep: object = { linkId: "x", type: "groups" };
  for (let depth = 0; depth < 48; depth += 1) deep = { linkId: "x", type: "group", item: [deep] };
  expect(issues({ resourceType: "Questionnaire", status: "draft", item: [deep] })).toEqual([
    `code-invalid Questionnaire${".item[0]".repeat(49)}.type`,
  ]);
});

test("the faults of a body are reported as an OperationOutcome of R4", ({ expect }) => {
  const outcome = bodyOutcome(
    validateResource(body({ resourceType: "Patient", gender: "f", birthDate: "x" })),
    "r1",
  );
  expect(outcome.issue.map(({ code, expression }) => [code, expression])).toEqual([
    ["code-invalid", ["Patient.gender"]],
    ["value", ["Patient.birthDate"]],
  ]);
  expect(validateResource(body(outcome))).toEqual([]);
});

test("every required binding names a list with codes", ({ expect }) => {
  let bound = 0;
  for (const path of r4Paths) {
    for (const [name, { binding }] of typeShapeOf(path).slots) {
      if (binding === undefined) continue;
      expect(binding.list, `${path}.${name}`).toMatch(/^[\w-]+$/u);
      expect(binding.codes.size, binding.list).toBeGreaterThan(0);
      bound += 1;
    }
  }
  // R4 4.0.1 has 366 required bindings; open systems (MIME, UCUM, ISO 4217) are not listed
  expect(bound).toBeGreaterThan(340);
});
