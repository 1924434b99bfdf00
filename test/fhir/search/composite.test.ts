import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { isJudgedNarrowly, matches, mayMatch } from "#fhir/search/row-judge";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { policy, rule } from "../../policy/granting.ts";

const base = "https://origin.example/fhir";
const treeOf = (resource: object): JsonObject => {
  const read = readJson(new TextEncoder().encode(JSON.stringify(resource)));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  return read.value;
};

function searched(request: string) {
  const [type = "", query = ""] = request.split("?", 2);
  const read = readInteraction("GET", [type], query);
  if (!read.ok || read.value.kind !== "search") throw new Error(JSON.stringify(read));
  return read.value;
}

const decided = (request: string, ...show: readonly string[]): string => {
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok) throw new Error("a test's own mistake");
  const search = searched(request);
  const compiled = compilePolicy(policy(rule([search.type], [...show])), "sha256:test");
  const grant = evaluate(compiled, { scopes: scopes.value, patient: undefined }, search);
  return grant.ok ? decodeURIComponent(grant.value.ask.query) : grant.error.reason;
};

test("a composite parameter is permitted if every component is, and the origin gets it as it was read", ({
  expect,
}) => {
  const request = "Observation?code-value-concept=urn:s%7Ca$urn:t%7Cb";
  const asked = "code-value-concept=urn:s|a$urn:t|b&_count=100";
  expect(decided(request, "code", "value[x]")).toBe(asked);
  expect(decided(request, "code", "valueCodeableConcept")).toBe(asked);
  expect(decided(request, "code")).toBe("parameter_hidden");
  expect(decided(request, "value[x]")).toBe("parameter_hidden");
});

test("where only codings of a concept are shown, each token of a composite names its system", ({
  expect,
}) => {
  const show = ["code.coding", "valueCodeableConcept"] as const;
  expect(decided("Observation?code-value-concept=urn:s%7Ca$urn:t%7Cb", ...show)).toContain("urn:s|a$urn:t|b");
  expect(decided("Observation?code-value-concept=a$urn:t%7Cb", ...show)).toBe("parameter_needs_system");
});

test("a row that lacks a component of a composite leaves no origin that ignores the parameter", ({
  expect,
}) => {
  const row = treeOf({
    resourceType: "Observation",
    id: "o",
    code: { coding: [{ system: "urn:s", code: "a" }] },
    valueQuantity: { value: 5 },
  });
  const found = (value: string) =>
    searched(`Observation?code-value-quantity=${encodeURIComponent(value)}`).parameters.every((parameter) =>
      mayMatch(row, parameter, base),
    );
  expect(found("urn:s|a$5")).toBe(true);
  expect(found("urn:s|a$gt4")).toBe(true);
  expect(found("urn:s|b$5")).toBe(false);
  expect(found("urn:s|a$gt6")).toBe(false);
});

test("R4's own reading finds a composite by a single item with each part, and only where the parts share an item", ({
  expect,
}) => {
  const of = (value: string) => ({ coding: [{ system: "urn:s", code: value }] });
  const row = treeOf({
    resourceType: "Observation",
    id: "o",
    code: of("panel"),
    valueQuantity: { value: 1 },
    component: [
      { code: of("a"), valueQuantity: { value: 5 } },
      { code: of("b"), valueQuantity: { value: 6 } },
    ],
  });
  const found = (query: string) => {
    const [parameter] = searched(`Observation?${query}`).parameters;
    if (parameter === undefined) throw new Error("a test's own mistake");
    return isJudgedNarrowly("Observation", parameter) && matches(row, parameter, base);
  };
  expect(found("component-code-value-quantity=urn:s%7Ca$5")).toBe(true);
  expect(found("component-code-value-quantity=urn:s%7Ca$ap5"), "a server chooses").toBe(false);
  expect(found("component-code-value-quantity=urn:s%7Ca$6"), "of two items").toBe(false);
  expect(found("component-code-value-quantity=urn:s%7Ca$6,urn:s%7Cb$6")).toBe(true);
  expect(found("code-value-quantity=urn:s%7Cpanel$1")).toBe(true);
  expect(found("code-value-quantity=urn:s%7Cpanel$5")).toBe(false);
  expect(found("combo-code-value-quantity=urn:s%7Cpanel$1")).toBe(true);
  expect(found("combo-code-value-quantity=urn:s%7Cb$gt5")).toBe(true);
  expect(found("combo-code-value-quantity=urn:s%7Cpanel$6"), "of the row and an item").toBe(false);
});

test("Patient?deceased finds by whether there is a death, which every view of a Patient shows", ({
  expect,
}) => {
  const found = (more: object, query: string) =>
    searched(`Patient?${query}`).parameters.every((parameter) =>
      mayMatch(treeOf({ resourceType: "Patient", id: "p", ...more }), parameter, base),
    );
  const dead = [{ deceasedBoolean: true }, { deceasedDateTime: "2020-01-01" }];
  const alive = [{}, { deceasedBoolean: false }];
  for (const one of dead)
    expect([found(one, "deceased=true"), found(one, "deceased=false")]).toEqual([true, false]);
  for (const one of alive)
    expect([found(one, "deceased=true"), found(one, "deceased=false")]).toEqual([false, true]);
  expect(found(dead[1] ?? {}, "deceased:not=true")).toBe(false);
  expect(decided("Patient?deceased=true", "gender")).toBe("deceased=true&_count=100");
  expect(decided("Patient?death-date=2020", "gender")).toBe("parameter_hidden");
});

test("a parameter for the kind of a related artifact needs the kind and the reference to be shown", ({
  expect,
}) => {
  const request = "Library?depends-on=Library/1";
  expect(decided(request, "relatedArtifact")).toBe("depends-on=Library/1&_count=100");
  expect(decided(request, "relatedArtifact.resource")).toBe("parameter_hidden");
});

test("the type and the value of :of-type are of one Identifier, also where an origin ignores the modifier", ({
  expect,
}) => {
  const row = treeOf({
    resourceType: "Patient",
    id: "p",
    identifier: [
      { type: { coding: [{ system: "urn:s", code: "MR" }] }, value: "123" },
      { type: { coding: [{ system: "urn:s", code: "SS" }] }, value: "999" },
    ],
  });
  const may = (text: string) =>
    searched(`Patient?identifier:of-type=${encodeURIComponent(text)}`).parameters.map((parameter) =>
      mayMatch(row, parameter, base),
    );
  expect(
    ["urn:s|MR|123", "urn:s|mr|123", "urn:s|SS|999", "urn:s|MR|999", "urn:s|SS|123"].flatMap(may),
  ).toEqual([true, true, true, false, false]);
});
