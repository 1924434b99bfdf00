import { test } from "vitest";
import { parseScopes } from "#identity/scopes";
import { capabilityStatement } from "#fhir/capability";
import { capabilitiesOf, usCoreServed } from "#policy/capabilities";
import { compilePolicy } from "#policy/compile";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "./granting.ts";

function capabilities(document: PolicyDocument, scope: string, patient?: string, mayDelete = true) {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error(scopes.error.reason);
  return capabilitiesOf(
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient },
    { mayDelete },
  );
}
const document: PolicyDocument = {
  ...policy(
    rule(["Patient"], ["name", "identifier[system=urn:a]"]),
    rule(["Observation"], "everything", { interactions: ["read", "search", "create"] }),
    rule(["Organization"], "everything"),
    rule(["Practitioner"], "everything", { interactions: ["read"], referredBy: ["Observation:performer"] }),
  ),
  operations: ["everything", "lastn"],
};

test("a client is told the types and interactions that its policy and its scopes both permit", ({
  expect,
}) => {
  const told = capabilities(document, "system/Patient.rs system/Observation.crs system/Immunization.rs");
  expect(told.map(({ type }) => type)).toEqual(["Observation", "Patient"]);
  expect(told[0]?.interactions).toEqual([
    "read",
    "vread",
    "history-instance",
    "history-type",
    "search-type",
    "create",
  ]);
  expect(capabilities(document, "system/Observation.r")[0]).toMatchObject({
    parameters: [],
    includes: [],
    revincludes: [],
    operations: [],
  });
  expect(capabilities(document, "system/Immunization.rs")).toEqual([]);
  expect(capabilities(document, "patient/*.rs")).toEqual([]); // no patient owns it
});

test("search parameters are listed if the view allows them, and marked if they need a system", ({
  expect,
}) => {
  const [patient] = capabilities(document, "system/Patient.rs");
  const parameters = new Map(patient?.parameters.map(({ definition, named }) => [definition.code, named]));
  expect(parameters.get("name")).toBe(false);
  expect(parameters.get("identifier")).toBe(true);
  expect(parameters.has("phone")).toBe(false);
});

test("a parameter that reads a masked element is not listed under a patient's scope", ({ expect }) => {
  const open = policy(rule(["Patient"], "everything"));
  const parameters = (scope: string) =>
    capabilities(open, scope, "amara")[0]?.parameters.map(({ definition }) => definition.code);
  expect(parameters("system/Patient.rs")).toContain("link");
  expect(parameters("patient/Patient.rs")).not.toContain("link");
});

test("includes lead to types that may be read, and back from types that may be searched", ({ expect }) => {
  const told = capabilities(document, "system/*.crs");
  const of = (type: string) => told.find((one) => one.type === type);
  expect(of("Observation")?.includes).toEqual(
    expect.arrayContaining(["Observation:subject", "Observation:performer"]),
  );
  expect(of("Observation")?.includes).not.toContain("Observation:encounter");
  expect(of("Patient")?.includes).toEqual([]); // the view hides the references
  expect(of("Patient")?.revincludes).toContain("Observation:subject");
});

test("under a patient's scope a type without an owner is readable only by reference, and no type history is listed", ({
  expect,
}) => {
  const told = capabilities(document, "patient/*.crs", "amara");
  expect(told.find(({ type }) => type === "Practitioner")?.interactions).toEqual(["read", "vread"]);
  expect(told.find(({ type }) => type === "Organization")).toBeUndefined();
  expect(told.find(({ type }) => type === "Observation")?.interactions).not.toContain("history-type");
});

test("operations are listed for their type if the policy allows them", ({ expect }) => {
  const told = capabilities(document, "system/*.rs");
  expect(told.map(({ type, operations }) => [type, operations])).toEqual([
    ["Observation", ["lastn"]],
    ["Organization", []],
    ["Patient", ["everything"]],
    ["Practitioner", []],
  ]);
});

test("delete is advertised only where the origin honours If-Match on DELETE: elsewhere the gateway refuses it", ({
  expect,
}) => {
  const deleting = policy(rule(["Observation"], "everything", { interactions: ["read", "delete"] }));
  const interactions = (mayDelete: boolean) =>
    capabilities(deleting, "system/Observation.rd", undefined, mayDelete)[0]?.interactions;
  expect(interactions(true)).toContain("delete");
  expect(interactions(false)).not.toContain("delete");
  expect(interactions(false)).toContain("read");
});

test("only what the origin can do is listed: a patch needs its update, and an include its reference", ({
  expect,
}) => {
  const scopes = parseScopes("system/*.cruds");
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const open: PolicyDocument = {
    ...policy(
      rule(["Patient", "Observation", "Encounter"], "everything", {
        interactions: ["read", "search", "create", "update"],
      }),
    ),
    operations: ["everything"],
  };
  const served = (interactions: readonly string[], search: readonly string[]) => ({
    interactions: new Set(interactions),
    search: new Set(search),
  });
  const types = new Map([
    ["Patient", served(["read", "search-type", "update"], ["name", "_id"])],
    ["Observation", served(["read", "create", "search-type"], ["code", "subject"])],
  ]);
  const told = capabilitiesOf(
    compilePolicy(open, "sha256:test"),
    { scopes: scopes.value, patient: undefined },
    { mayDelete: false, types },
  );
  expect(told).toMatchObject([
    {
      type: "Observation",
      interactions: ["read", "search-type", "create"],
      includes: ["Observation:subject"],
    },
    {
      type: "Patient",
      interactions: ["read", "search-type", "update", "patch"],
      revincludes: ["Observation:subject"],
      operations: ["everything"],
    },
  ]);
  expect(told[0]?.parameters.map(({ definition }) => definition.code)).toEqual(["subject", "code"]);
});

test("the profiles of US Core are listed for the types that a client reads and searches whole, and the server only with the Patient profile", ({
  expect,
}) => {
  const served = (...rules: readonly ReturnType<typeof rule>[]) => {
    const compiled = compilePolicy(policy(...rules), "sha256:test");
    const scopes = parseScopes("system/*.rs");
    if (!scopes.ok) throw new Error(scopes.error.reason);
    const access = { scopes: scopes.value, patient: undefined };
    const types = capabilitiesOf(compiled, access, { mayDelete: false });
    const statement = capabilityStatement({ token: "https://x" }, types, usCoreServed(compiled, types));
    const profiles = statement.rest[0]?.resource?.map(({ type, supportedProfile = [] }) => [
      type,
      supportedProfile.length,
    ]);
    return { profiles, instantiates: statement.instantiates };
  };
  expect(served(rule(["Patient", "Goal", "Basic"], "everything"), rule(["Condition"], ["code"]))).toEqual({
    profiles: [
      ["Basic", 0],
      ["Condition", 0],
      ["Goal", 1],
      ["Patient", 1],
    ],
    instantiates: ["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"],
  });
  expect(served(rule(["Goal"], "everything")).instantiates).toBeUndefined();
  expect(served(rule(["Patient"], "everything", { interactions: ["read"] })).profiles).toEqual([
    ["Patient", 0],
  ]);
});
