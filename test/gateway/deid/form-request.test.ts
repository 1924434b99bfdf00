import { test } from "vitest";
import { areScopesOfGrant } from "#gateway/deid/form-request";
import { parseScopes, type Scopes } from "#identity/scopes";

const scopes = (text: string): Scopes => {
  const read = parseScopes(text);
  if (!read.ok) throw new Error(read.error.reason);
  return read.value;
};
const grant = scopes("system/Patient.rs system/Observation.rs?category=laboratory&status=final");

test.for([
  ["system/Patient.rs", true],
  ["system/Patient.s", true],
  ["system/Observation.rs?category=laboratory&status=final", true],
  ["system/Patient.rs?_id=an-original-id", false],
  ["system/Observation.rs?category=laboratory&status=final&patient=Patient/an-original-id", false],
  ["system/Observation.rs?category=laboratory&status=final&code=urn:local|x", false],
  ["patient/Patient.rs", false],
  ["user/Patient.rs", false],
] as const)(
  "under a form a token has the conditions of its grant alone: %s",
  ([text, isOfGrant], { expect }) => {
    expect(areScopesOfGrant({ scopes: scopes(text), grant: { scopes: grant } })).toBe(isOfGrant);
  },
);
