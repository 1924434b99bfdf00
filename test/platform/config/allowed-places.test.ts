import { test } from "vitest";
import { readRegistry } from "#registry/read";
import { allowedPlaces, placeProblem, unboundProblem } from "#platform/config/allowed-places";
import { registryFile, withExternalClient, withValue } from "../../support/registry-file.ts";

const file = await withExternalClient(await registryFile());
const variables = {
  ORIGIN_HOSTS: "fhir.example.org",
  IDENTITY_HOSTS: "login.example.org:8443",
  SECRET_HOSTS: "ORIGIN_TOKEN@fhir.example.org",
};
const problemOf = (document: unknown, changes: Partial<typeof variables> = {}) => {
  const read = readRegistry(document, "https://gateway.example.org");
  if (!read.ok) throw new Error(`${read.error.pointer} ${read.error.problem}`);
  const problem = placeProblem(read.value, allowedPlaces({ ...variables, ...changes }));
  return problem && `${problem.pointer} ${problem.problem}`;
};
const keyed = (tokenEndpoint: string) => ({
  kind: "private_key_jwt",
  secret: "ORIGIN_TOKEN",
  clientId: "phylax",
  tokenEndpoint,
});
const introspection = (secret: string) => ({
  endpoint: "https://login.example.org:8443/introspect",
  clientId: "phylax",
  credentials: { kind: "client_secret_basic", secret },
});

test("a file is accepted when the deployment lists its servers and secrets", ({ expect }) => {
  expect(problemOf(file)).toBeUndefined();
  const both = "ORIGIN_TOKEN@fhir.example.org ORIGIN_TOKEN@login.example.org";
  const withKey = withValue(file, "/origins/0/credentials", keyed("https://login.example.org:8443/token"));
  expect(problemOf(withKey, { SECRET_HOSTS: both })).toBeUndefined();
});

test("the binding of a certificate needs its host in SECRET_HOSTS, and is refused where no places are listed", ({
  expect,
}) => {
  const bound = withValue(file, "/origins/0/credentials", { kind: "mtls", binding: "HOSPITAL" });
  const at = "/origins/0/credentials/binding";
  expect(problemOf(bound)).toContain(`${at} may not be used for this host`);
  expect(problemOf(bound, { SECRET_HOSTS: "HOSPITAL@another.example.org" })).toContain(at);
  expect(problemOf(bound, { SECRET_HOSTS: "HOSPITAL@fhir.example.org" })).toBeUndefined();
  const [read, plain] = [bound, file].map((one) => readRegistry(one, "https://gateway.example.org"));
  if (read?.ok !== true || plain?.ok !== true) throw new Error("valid files");
  expect(unboundProblem(read.value)).toMatchObject({ reason: "invalid", pointer: at });
  expect(unboundProblem(plain.value)).toBeUndefined();
});

test.for<readonly [string, string, unknown, string]>([
  ["/origins/0/url", "/origins/0/url", "https://fhir.example.org.evil/r4", "ORIGIN_HOSTS"],
  ["/origins/0/url", "/origins/0/url", "https://other.example.org/r4", "ORIGIN_HOSTS"],
  ["/origins/0/credentials/secret", "/origins/0/credentials/secret", "ANOTHER_TOKEN", "SECRET_HOSTS"],
  [
    "/origins/0/credentials/tokenEndpoint",
    "/origins/0/credentials",
    keyed("https://evil.example/token"),
    "IDENTITY_HOSTS",
  ],
  [
    "/origins/0/credentials/secret",
    "/origins/0/credentials",
    keyed("https://login.example.org:8443/token"),
    "SECRET_HOSTS",
  ],
  [
    "/issuers/0/introspection/credentials/secret",
    "/issuers/0/introspection",
    introspection("ORIGIN_TOKEN"),
    "SECRET_HOSTS",
  ],
  [
    "/issuers/0/introspection/endpoint",
    "/issuers/0/introspection",
    { ...introspection("X"), endpoint: "https://login.example.org/i" },
    "IDENTITY_HOSTS",
  ],
])("what the gateway could not do is refused at %s", ([pointer, at, value, variable], { expect }) => {
  const problem = problemOf(withValue(file, at, value));
  expect(problem?.startsWith(`${pointer} `), problem).toBe(true);
  expect(problem).toContain(variable);
});

test("a list of secrets and hosts that cannot be read stops the worker, named and never shown", ({
  expect,
}) => {
  for (const bad of ["fhir.example.org", "token@fhir.example.org", "TOKEN@", "TOKEN@a@b"])
    expect(() => allowedPlaces({ ...variables, SECRET_HOSTS: bad }), bad).toThrow(
      /^SECRET_HOSTS: expected [^"]*$/u,
    );
});
