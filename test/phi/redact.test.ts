import * as fc from "fast-check";
import { test, type ExpectStatic } from "vitest";
import { elementsOf } from "#fhir/r4/elements";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { keepReferred } from "#phi/contained";
import { redactResource } from "#phi/redact";
import type { ResourceView } from "#policy/compile";
import { readPath } from "#policy/view/element-path";
import { showsAll, showsNothing, shownBy, union } from "#policy/view/shown";
import { compileView } from "#policy/view/view";
import { brand, number, type Brand } from "./branding.ts";
import { dice, plainTypes, randomResource } from "./random-resource.ts";
import { noSharedData, resourcesIn } from "./shared-data.ts";

const typeOf = (resource: JsonObject) => textAt(resource, "resourceType") ?? "";
const noUrls = {
  bases: { origin: "https://origin.example/fhir", public: "https://api.example/v1/fhir/main" },
  urls: { inText: (text: string) => text, address: (text: string) => text, name: (text: string) => text },
};

function viewOf(type: string, paths: readonly string[], urls: readonly string[] = []): ResourceView {
  const shown = paths.length === 0 ? showsNothing : union(paths.map((path) => shownBy(readPath(path))));
  return {
    object: compileView(type, shown, { all: false, urls: new Set(urls) }),
    subsetted: true,
    hidden: [],
  };
}
const whole = (type: string): ResourceView => ({
  object: compileView(type, showsAll, { all: true, urls: new Set() }),
  subsetted: false,
  hidden: [],
});

function cut(
  resource: JsonObject,
  view: ResourceView,
  viewInside: (inside: JsonObject) => ResourceView | undefined = () => undefined,
) {
  const result = redactResource(resource, view, { ...noUrls, viewInside, mayLinkTo: () => true });
  return result.ok ? result.value : result.error;
}
function left(
  resource: JsonObject,
  view: ResourceView,
  viewInside?: (inside: JsonObject) => ResourceView | undefined,
): unknown {
  const result = cut(resource, view, viewInside);
  if (typeof result === "string") return result;
  const { meta, ...rest } = result.resource;
  return view.subsetted
    ? JSON.parse(JSON.stringify(rest))
    : JSON.parse(JSON.stringify({ ...rest, ...(meta === undefined ? {} : { meta }) }));
}
const masked = {
  extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
};

// An oracle that shares no code with the views: prefixes of names, and the R4 table's modifiers.
function expected(
  type: string,
  { path }: Brand,
  paths: readonly (readonly string[])[],
): "shown" | "hidden" | "implicit" {
  if (path.includes("extension")) return "hidden";
  const covers = (shown: readonly string[]) =>
    shown.length <= path.length &&
    shown.every(
      (step, index) =>
        step === path[index] ||
        (step.endsWith("[x]") && isForm(step.slice(0, -3), path.slice(0, index), path[index])),
    );
  // `participantEffectiveTimeFromStart` is a separate element besides `participantEffective[x]`.
  const isForm = (stem: string, parent: readonly string[], name = "") =>
    name.startsWith(stem) && !elementsOf(typeAt(type, parent)).has(name);
  // an id alone is no element (ele-1)
  if (paths.some(covers)) return path.at(-1) === "id" ? "implicit" : "shown";
  let at = type;
  for (const name of path) {
    const found = [...elementsOf(at).values()].find(({ forms }) => forms.some((form) => form.name === name));
    if (found?.isModifier === true) return "implicit";
    at = found?.forms.find((form) => form.name === name)?.type ?? "";
  }
  return "hidden";
}

const typeAt = (type: string, path: readonly string[]) =>
  path.reduce(
    (at, name) =>
      [...elementsOf(at).values()].flatMap(({ forms }) => forms).find((form) => form.name === name)?.type ??
      "",
    type,
  );

function holds(expect: ExpectStatic, original: JsonObject, roll: () => number): void {
  const { resource, brands } = brand(original);
  const type = typeOf(resource);
  const able = brands.filter(
    ({ path }) =>
      typeAt(type, path.slice(0, -1)).search(/^[a-z]/u) < 0 &&
      !path.includes("extension") &&
      !path.includes("contained") &&
      path[0] !== "implicitRules",
  );
  const chosen = able
    .filter(() => roll() < 0.2)
    .map(({ path }) => path.slice(0, 1 + Math.floor(roll() * path.length)));
  const paths = chosen.map((path) => {
    const end = path.at(-1) ?? "";
    const parent = typeAt(type, path.slice(0, -1));
    const choice = [...elementsOf(parent).values()].find(
      ({ name, forms }) => name.endsWith("[x]") && forms.some((form) => form.name === end),
    );
    return choice !== undefined && roll() < 0.5 ? path.slice(0, -1).concat(choice.name) : path;
  });
  const result = cut(
    resource,
    viewOf(
      type,
      paths.map((path) => path.join(".")),
    ),
  );
  if (typeof result === "string") throw new Error(result);
  const text = JSON.stringify(result.resource);
  for (const one of brands) {
    if (one.path[0] === "contained") continue;
    const should = expected(type, one, paths);
    if (should === "hidden")
      expect(text.includes(one.mark), `${type}.${one.path.join(".")} leaks through ${paths.join(" ")}`).toBe(
        false,
      );
    if (should === "shown")
      expect(text.includes(one.mark), `${type}.${one.path.join(".")} is lost by ${paths.join(" ")}`).toBe(
        true,
      );
  }
}

test("nothing outside a random view is in what leaves, everything inside it is: generated resources of every type", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.nat(), (type, seed) => {
      const roll = dice(seed);
      holds(expect, randomResource(type, roll), roll);
    }),
    { numRuns: 400 },
  );
});

test.skipIf(noSharedData)(
  "nothing outside a random view is in what leaves, everything inside it is: real resources (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(7);
    const seen = new Map<string, number>();
    for (const resource of resourcesIn("examples-r4", "us-core", "synthea-2019", "synthea-2024")) {
      const type = typeOf(resource);
      const before = seen.get(type) ?? 0;
      if (type === "Bundle" || before >= 25) continue;
      seen.set(type, before + 1);
      holds(expect, resource, roll);
    }
    expect(seen.size).toBeGreaterThan(80);
  },
);

/** With an empty `_` sibling in each object no primitive counts as alone, and nothing more changes. */
const withSiblings = (value: Json): Json => {
  if (isArray(value)) return value.map(withSiblings);
  if (!isObject(value)) return value;
  return {
    ...Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withSiblings(member)])),
    _: null,
  };
};

const misshapen = (value: Json, roll: () => number): Json => {
  if (roll() < 0.01)
    return (
      [null, [], ["x"], [null, "x"], "x", true, {}, [[]], [{}], number("1.0")][Math.floor(roll() * 10)] ??
      null
    );
  if (isArray(value)) return value.map((item) => misshapen(item, roll));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, misshapen(member, roll)]));
};

test("a primitive without a sibling is cut as one that has an empty one, also where its form is wrong", ({
  expect,
}) => {
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.nat(), (type, seed) => {
      const roll = dice(seed);
      const { resourceType: _, ...members } = randomResource(type, roll);
      const mangled = misshapen(members, roll);
      const resource = { ...(isObject(mangled) ? mangled : {}), resourceType: type };
      const beside = { ...resource, ...(withSiblings(resource) as JsonObject) }; // an object, as before
      const [alone, paired] = [cut(resource, whole(type)), cut(beside, whole(type))];
      outcomes.add(typeof alone);
      if (typeof alone === "string" || typeof paired === "string") expect(alone).toBe(paired);
      else
        expect(JSON.stringify({ ...alone, patients: [...alone.patients] })).toBe(
          JSON.stringify({ ...paired, patients: [...paired.patients] }),
        );
    }),
    { numRuns: 600 },
  );
  expect(outcomes).toEqual(new Set(["object", "string"]));
});

test("a slice lets its own items through and no other: by system, by code, several at once", ({ expect }) => {
  const identifier = [
    { system: "urn:mrn", value: "1" },
    { system: "urn:ssn", value: "2" },
    { system: "urn:dl", value: "3" },
    { value: "4" },
    { system: "urn:mrn2", value: "5" },
  ];
  const patient = { resourceType: "Patient", id: "p", identifier };
  expect(left(patient, viewOf("Patient", ["identifier[system=urn:mrn,urn:dl]"]))).toEqual({
    resourceType: "Patient",
    id: "p",
    identifier: [identifier[0], identifier[2]],
  });
  expect(
    left(patient, viewOf("Patient", ["identifier[system=urn:mrn]", "identifier[system=urn:dl].value"])),
  ).toEqual({
    resourceType: "Patient",
    id: "p",
    identifier: [identifier[0], { value: "3" }],
  });
  expect(
    left(patient, viewOf("Patient", ["identifier.system", "identifier[system=urn:mrn].value"])),
  ).toMatchObject({
    identifier: [identifier[0], { system: "urn:ssn" }, { system: "urn:dl" }, { system: "urn:mrn2" }],
  });
  const component = ["8480-6", "8462-4", "9999-9"].map((code) => ({
    code: { coding: [{ system: "http://loinc.org", code }] },
    valueString: code,
  }));
  expect(
    left(
      { resourceType: "Observation", id: "o", status: "final", code: { text: "x" }, component },
      viewOf("Observation", [
        "code",
        "component[code=http://loinc.org|8480-6].code",
        "component[code=http://loinc.org|8480-6].value[x]",
      ]),
    ),
  ).toMatchObject({
    component: [component[0]],
  });
});

test("a modifier of a visible parent is never lost, in datatypes too", ({ expect }) => {
  expect(
    left(
      {
        resourceType: "Patient",
        id: "p",
        active: false,
        name: [{ use: "old", family: "X", given: ["Y"] }],
        telecom: [{ use: "old", value: "1" }],
      },
      viewOf("Patient", ["name.family"]),
    ),
  ).toEqual({
    resourceType: "Patient",
    id: "p",
    active: false,
    name: [{ use: "old", family: "X" }],
  });
  expect(
    left(
      {
        resourceType: "Observation",
        id: "o",
        status: "entered-in-error",
        code: { text: "x" },
        valueQuantity: { comparator: "<", value: number("5"), unit: "mg" },
      },
      viewOf("Observation", ["code", "valueQuantity.value"]),
    ),
  ).toEqual({
    resourceType: "Observation",
    id: "o",
    status: "entered-in-error",
    code: { text: "x" },
    valueQuantity: { comparator: "<", value: 5 },
  });
});

test("the day of death becomes the fact of it unless the view names it; a link keeps its type and masks the other patient", ({
  expect,
}) => {
  const dead = {
    resourceType: "Patient",
    id: "p",
    deceasedDateTime: "2020-01-01",
    _deceasedDateTime: { id: "a" },
    link: [{ type: "replaced-by", other: { reference: "Patient/2", display: "Amara" } }],
  };
  expect(left(dead, viewOf("Patient", ["gender"]))).toEqual({
    resourceType: "Patient",
    id: "p",
    deceasedBoolean: true,
    link: [{ type: "replaced-by", other: masked }],
  });
  expect(left(dead, viewOf("Patient", ["deceasedBoolean"]))).toMatchObject({ deceasedBoolean: true });
  expect(left(dead, viewOf("Patient", ["deceasedDateTime", "link.other.reference"]))).toMatchObject({
    deceasedDateTime: "2020-01-01",
    link: [{ type: "replaced-by", other: { reference: "Patient/2" } }],
  });
  expect(left({ resourceType: "Patient", id: "p", deceasedBoolean: false }, viewOf("Patient", []))).toEqual({
    resourceType: "Patient",
    id: "p",
    deceasedBoolean: false,
  });
});

test("a modifier extension that the policy does not name withholds the resource, wherever a visible parent has it", ({
  expect,
}) => {
  const modifierExtension = [{ url: "urn:not", valueBoolean: true }];
  const contact = (where: object) => ({
    resourceType: "Patient",
    id: "p",
    contact: [{ gender: "male", ...where }],
  });
  expect(left({ ...contact({}), modifierExtension }, viewOf("Patient", ["gender"]))).toBe(
    "modifier_extension",
  );
  expect(left({ ...contact({}), modifierExtension }, whole("Patient"))).toBe("modifier_extension");
  expect(left(contact({ modifierExtension }), viewOf("Patient", ["contact.gender"]))).toBe(
    "modifier_extension",
  );
  expect(left(contact({ modifierExtension }), viewOf("Patient", ["gender"]))).toEqual({
    resourceType: "Patient",
    id: "p",
  });
  expect(left({ ...contact({}), modifierExtension }, viewOf("Patient", ["gender"], ["urn:not"]))).toEqual({
    resourceType: "Patient",
    id: "p",
    modifierExtension,
  });
  expect(left({ resourceType: "Patient", id: "p", implicitRules: "urn:r" }, whole("Patient"))).toBe(
    "implicit_rules",
  );
  expect(left({ resourceType: "Patient", id: "p", _implicitRules: { id: "x" } }, whole("Patient"))).toBe(
    "implicit_rules",
  );
});

test("required elements that are hidden stand masked, the same whether the instance has them or not", ({
  expect,
}) => {
  const view = viewOf("MedicationRequest", ["authoredOn"]);
  const withAll = {
    resourceType: "MedicationRequest",
    id: "m",
    status: "active",
    intent: "order",
    medicationReference: { reference: "Medication/1" },
    subject: { reference: "Patient/1" },
  };
  const { medicationReference: _medication, subject: _subject, ...without } = withAll;
  const result = {
    resourceType: "MedicationRequest",
    id: "m",
    status: "active",
    intent: "order",
    medicationCodeableConcept: masked,
    subject: masked,
  };
  expect(left(withAll, view)).toEqual(result);
  expect(left(without, view)).toEqual(result);
  expect(
    left({ resourceType: "Claim", id: "c", status: "active" }, viewOf("Claim", ["total"])),
  ).toMatchObject({
    _use: masked,
    patient: masked,
    insurance: [{ _sequence: masked, _focal: masked, coverage: masked }],
  });
});

test("an extension is shown by its URL where its parent is, with all that is in it; data-absent-reason always", ({
  expect,
}) => {
  const race = { url: "urn:race", extension: [{ url: "ombCategory", valueCoding: { code: "1" } }] };
  const absent = { url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "unknown" };
  const patient = {
    resourceType: "Patient",
    id: "p",
    extension: [race, { url: "urn:other", valueString: "x" }],
    _birthDate: { extension: [absent, { url: "urn:time", valueDateTime: "x" }] },
    _gender: { extension: [race] },
  };
  expect(left(patient, viewOf("Patient", ["birthDate"], ["urn:race"]))).toEqual({
    resourceType: "Patient",
    id: "p",
    extension: [race],
    _birthDate: { extension: [absent] },
  });
  expect(left(patient, viewOf("Patient", ["birthDate"]))).toEqual({
    resourceType: "Patient",
    id: "p",
    _birthDate: { extension: [absent] },
  });
});

test("a _sibling goes with its element; repeating ones stay aligned, and a pair that is emptied is dropped", ({
  expect,
}) => {
  const other = { extension: [{ url: "urn:x", valueString: "secret" }] };
  const known = { extension: [{ url: "urn:k", valueString: "k" }] };
  const name = { given: ["A", null, "C", null], _given: [other, known, null, other] };
  expect(
    left(
      { resourceType: "Patient", id: "p", _birthDate: other, birthDate: "2000", name: [name] },
      viewOf("Patient", ["name"], ["urn:k"]),
    ),
  ).toEqual({
    resourceType: "Patient",
    id: "p",
    name: [{ given: ["A", null, "C"], _given: [null, known, null] }],
  });
  expect(
    left(
      { resourceType: "Patient", id: "p", name: [{ _given: [other] }, { given: [null], _given: [other] }] },
      viewOf("Patient", ["name"]),
    ),
  ).toEqual({ resourceType: "Patient", id: "p" });
});

test("contained resources are cut by their own type's rule, and nothing refers to one that is gone", ({
  expect,
}) => {
  const request = {
    resourceType: "MedicationRequest",
    id: "m",
    status: "active",
    intent: "order",
    contained: [
      {
        resourceType: "Medication",
        id: "drug",
        code: { text: "x" },
        manufacturer: { reference: "#maker" },
        status: "active",
      },
      { resourceType: "Organization", id: "maker", name: "Atlantic" },
      { resourceType: "Patient", id: "pat", name: [{ family: "secret" }] },
    ],
    medicationReference: { reference: "#drug" },
    subject: { reference: "#pat", display: "Amara" },
  };
  const inside = (resource: JsonObject) =>
    typeOf(resource) === "Medication"
      ? viewOf("Medication", ["code"])
      : typeOf(resource) === "Organization"
        ? viewOf("Organization", ["name"])
        : undefined;
  const view = viewOf("MedicationRequest", ["contained", "medication[x]", "subject.reference"]);
  expect(left(request, view, inside)).toMatchObject({
    contained: [{ resourceType: "Medication", id: "drug", code: { text: "x" }, status: "active" }],
    medicationReference: { reference: "#drug" },
    subject: masked,
  });
  // no shown element refers to the maker any more
  expect(JSON.stringify(left(request, view, inside))).not.toMatch(/maker|Atlantic|pat|secret/u);
  expect(left(request, viewOf("MedicationRequest", ["medication[x]", "subject"]), inside)).toMatchObject({
    subject: { display: "Amara" },
    medicationCodeableConcept: masked,
  });
  expect(left(request, viewOf("MedicationRequest", ["medication[x]", "subject"]), inside)).not.toHaveProperty(
    "contained",
  );
});

test("thousands of contained resources cost nothing: more than 200 withhold the resource, and a chain of 200 is walked once", ({
  expect,
}) => {
  const chain = (length: number) => ({
    resourceType: "ExplanationOfBenefit",
    id: "e",
    insurance: [{ focal: true, coverage: { reference: "#c0" } }],
    contained: Array.from({ length }, (_, index) => ({
      resourceType: "Coverage",
      id: `c${index}`,
      payor: [{ reference: index + 1 < length ? `#c${index + 1}` : "Organization/1" }],
    })).toReversed(),
  });
  const view = viewOf("ExplanationOfBenefit", ["contained", "insurance"]);
  const inside = () => viewOf("Coverage", ["payor"]);
  expect(left(chain(201), view, inside)).toBe("malformed");
  expect(left(chain(201), viewOf("ExplanationOfBenefit", ["insurance"]), inside)).not.toBe("malformed");
  expect(left(chain(200), view, inside)).toHaveProperty("contained.199");
  const items = Array.from({ length: 200 }, (_, id) => ({
    resource: { id: String(id) },
    refersTo: new Set([`#${id + 1}`]),
  })).toReversed();
  let looks = 0;
  const counted = items.map(({ resource, refersTo }) => ({
    resource,
    records: 1,
    get refersTo() {
      looks += 1;
      return refersTo;
    },
  }));
  expect(keepReferred(new Set(["#0"]), counted)).toHaveLength(200);
  expect(looks).toBeLessThan(4 * 200);
});

/** Counts how often the members of each object in a tree are listed. */
function watched(value: Json, visits: Map<JsonObject, number>): Json {
  if (isArray(value)) return value.map((item) => watched(item, visits));
  if (!isObject(value)) return value;
  const members: JsonObject = Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, watched(member, visits)]),
  );
  const ownKeys = (target: JsonObject) => {
    visits.set(target, (visits.get(target) ?? 0) + 1);
    return Reflect.ownKeys(target);
  };
  visits.set(members, 0);
  return new Proxy(members, { ownKeys });
}

test.for(["Bundle", "Parameters"])(
  "resources contained in a %s that is contained, and so on, are each cut once more at most",
  (type, { expect }) => {
    const hold = (resource: JsonObject): JsonObject =>
      type === "Bundle"
        ? { type: "collection", entry: [{ resource }] }
        : { parameter: [{ name: "p", resource }] };
    const nest = (depth: number): JsonObject => ({
      resourceType: "Observation",
      status: "final",
      code: { text: `${depth}` },
      derivedFrom: [{ reference: "#in" }, { reference: "#gone" }],
      contained:
        depth === 0
          ? []
          : [
              { resourceType: type, id: "in", ...hold(nest(depth - 1)) },
              // Does not leave, so a resource that refers to it is redacted again.
              {
                resourceType: "Observation",
                id: "gone",
                modifierExtension: [{ url: "urn:unknown", valueBoolean: true }],
              },
            ],
    });
    const visits = new Map<JsonObject, number>();
    const asked: string[] = [];
    const inside = (resource: JsonObject) => {
      asked.push(typeOf(resource));
      return whole(typeOf(resource));
    };
    const depth = 12;
    const result = left(
      watched({ ...nest(depth), id: "o" }, visits) as JsonObject,
      whole("Observation"),
      inside,
    );
    expect(JSON.stringify(result).match(/"Observation"/gu)?.length).toBe(depth + 1);
    expect(asked.length).toBe(3 * depth); // the two of the container, and the content of the first
    expect(Math.max(...visits.values())).toBeLessThanOrEqual(2);
  },
);

test("a contained resource stays for a reference or a canonical that leaves, not for a text that looks like one", ({
  expect,
}) => {
  const observation = (more: object) => ({
    resourceType: "Observation",
    id: "o",
    status: "final",
    contained: [{ resourceType: "Device", id: "d" }],
    code: { text: "x" },
    ...more,
  });
  const view = viewOf("Observation", ["contained", "code", "note", "device", "identifier"]);
  const device = () => viewOf("Device", ["status"]);
  expect(left(observation({ device: { reference: "#d" } }), view, device)).toHaveProperty("contained");
  expect(
    left(observation({ note: [{ text: "#d" }], identifier: [{ system: "#d", value: "#d" }] }), view, device),
  ).not.toHaveProperty("contained");
  const back = {
    ...observation({}),
    contained: [{ resourceType: "Device", id: "d", parent: { reference: "#" } }],
  };
  expect(left(back, view, () => viewOf("Device", ["parent"]))).toHaveProperty("contained");
});

test("a Bundle inside a Bundle is cut entry by entry, each resource by its own rule, and its total is dropped", ({
  expect,
}) => {
  const deep = {
    resourceType: "Bundle",
    id: "in",
    type: "collection",
    entry: [
      {
        fullUrl: "urn:uuid:1",
        resource: { resourceType: "Patient", id: "p", gender: "male", birthDate: "secret" },
      },
    ],
  };
  const bundle = {
    resourceType: "Bundle",
    id: "b",
    type: "searchset",
    total: number("5"),
    entry: [
      { resource: deep },
      { fullUrl: "https://secret.example/Device/1", resource: { resourceType: "Device", id: "d" } },
    ],
  };
  const inside = (resource: JsonObject) =>
    typeOf(resource) === "Patient"
      ? viewOf("Patient", ["gender"])
      : typeOf(resource) === "Bundle"
        ? whole("Bundle")
        : undefined;
  const result = cut(bundle, whole("Bundle"), inside);
  expect(result).toMatchObject({ withheld: 1 });
  expect([...(typeof result === "string" ? [] : result.patients)]).toEqual(["p"]);
  const text = JSON.stringify(left(bundle, whole("Bundle"), inside));
  expect(text).toContain('"gender":"male"');
  expect(text).not.toMatch(/secret|Device|total/u);
});

test("an element that R4 does not define is removed even if everything is shown; a wrong form withholds", ({
  expect,
}) => {
  expect(
    left(
      {
        resourceType: "Patient",
        id: "p",
        gender: "male",
        nickname: "secret",
        valueString: "secret",
        constructor: "secret",
        __proto__: null,
        name: [{ family: "X", ssn: "secret" }],
      },
      whole("Patient"),
    ),
  ).toEqual({
    resourceType: "Patient",
    id: "p",
    gender: "male",
    name: [{ family: "X" }],
  });
  for (const wrong of [
    { gender: { ssn: "1" } },
    { gender: ["male"] },
    { name: { family: "X" } },
    { name: ["X"] },
    { name: [null] },
    { maritalStatus: "M" },
    { extension: { url: "x" } },
    { _gender: "x" },
    { contained: {} },
  ]) {
    expect(
      left({ resourceType: "Patient", id: "p", ...wrong }, whole("Patient")),
      JSON.stringify(wrong),
    ).toBe("malformed");
  }
});

test("a primitive of another JSON type than R4 gives it withholds the resource, alone or among others", ({
  expect,
}) => {
  for (const wrong of [
    { gender: number("1e999") },
    { birthDate: number("12") },
    { birthDate: true },
    { active: "true" },
    { active: number("1") },
    { multipleBirthInteger: "2" },
    { multipleBirthInteger: true },
    { name: [{ given: ["A", number("2")] }] },
    { name: [{ given: [false] }] },
    { extension: [{ url: "urn:x", valueDecimal: "1.0" }] },
    { _gender: { id: number("1") } },
  ]) {
    expect(
      left({ resourceType: "Patient", id: "p", ...wrong }, whole("Patient")),
      JSON.stringify(wrong),
    ).toBe("malformed");
  }
  const right = {
    active: false,
    multipleBirthInteger: number("2"),
    gender: "male",
    name: [{ given: ["A", null] }],
  };
  expect(left({ resourceType: "Patient", id: "p", ...right }, whole("Patient"))).toMatchObject({
    active: false,
    multipleBirthInteger: 2,
  });
  expect(left({ resourceType: "Patient", id: "p", birthDate: true }, viewOf("Patient", ["gender"]))).toEqual({
    resourceType: "Patient",
    id: "p",
  });
});

test("nothing rides on a data-absent-reason: it passes as its code alone, unless the policy shows the extension", ({
  expect,
}) => {
  const url = masked.extension[0]?.url ?? "";
  const patient = (absent: object) => ({
    resourceType: "Patient",
    id: "p",
    _birthDate: { extension: [{ url, ...absent }] },
  });
  for (const rider of [
    { valueString: "secret" },
    { valueCode: "secret" },
    { valueCode: "unknown", id: "secret" },
    { valueCode: "unknown", extension: [{ url: "urn:x", valueString: "secret" }] },
    { valueCode: "unknown", _valueCode: { id: "secret" } },
    {},
  ]) {
    expect(left(patient(rider), viewOf("Patient", ["birthDate"])), JSON.stringify(rider)).toEqual({
      resourceType: "Patient",
      id: "p",
    });
  }
  expect(left(patient({ valueCode: "asked-declined" }), viewOf("Patient", ["birthDate"]))).toEqual(
    patient({ valueCode: "asked-declined" }),
  );
  expect(left(patient({ valueCode: "local" }), viewOf("Patient", ["birthDate"], [url]))).toEqual(
    patient({ valueCode: "local" }),
  );
  expect(left(patient({ valueCode: "local" }), whole("Patient"))).toEqual(patient({ valueCode: "local" }));
});

test("SUBSETTED belongs to the view: always there after a cut, once, and never added where everything is shown", ({
  expect,
}) => {
  const ours = {
    system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    code: "SUBSETTED",
    display: "Subsetted",
  };
  const tagged = {
    resourceType: "Patient",
    id: "p",
    meta: {
      versionId: "3",
      tag: [
        { system: "urn:t", code: "a" },
        { system: ours.system, code: "SUBSETTED" },
      ],
    },
  };
  const meta = (resource: JsonObject, view: ResourceView) => {
    const result = cut(resource, view);
    return typeof result === "string" ? result : property(result.resource, "meta");
  };
  expect(meta({ resourceType: "Patient", id: "p" }, viewOf("Patient", []))).toEqual({ tag: [ours] });
  expect(meta(tagged, viewOf("Patient", ["gender"]))).toEqual({ tag: [ours] });
  expect(meta(tagged, viewOf("Patient", ["meta.tag"]))).toEqual({
    tag: [{ system: "urn:t", code: "a" }, ours],
  });
  expect(meta(tagged, whole("Patient"))).toEqual(tagged.meta);
  expect(meta({ resourceType: "Patient", id: "p" }, whole("Patient"))).toBeUndefined();
});

test("no object makes the engine throw", ({ expect }) => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4 }),
      fc.constantFrom(
        "name",
        "contained",
        "extension",
        "_gender",
        "gender",
        "link",
        "meta",
        "text",
        "identifier",
        "modifierExtension",
        "deceasedDateTime",
      ),
      (value, name) => {
        const resource = JSON.parse(
          JSON.stringify({ resourceType: "Patient", id: "p", [name]: value }),
        ) as JsonObject; // numbers are no JsonNumber here: a wrong form too
        const result = cut(
          resource,
          viewOf("Patient", ["name", "contained", "gender", "meta", "identifier[system=a]"]),
          () => viewOf("Patient", ["gender"]),
        );
        expect(["string", "object"]).toContain(typeof result);
      },
    ),
  );
});
