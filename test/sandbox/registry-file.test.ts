import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { readRegistryFile } from "../../sandbox/registry-file.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
function read(document: unknown, environment: Readonly<Record<string, string>> = {}) {
  const path = join(folder, "registry.json");
  writeFileSync(path, JSON.stringify(document));
  return readRegistryFile(path, environment);
}

test("a start with a file permits the gateway to call the servers that it names, each kind in its place, and gives it their secrets", ({
  expect,
}) => {
  const keyed = {
    kind: "private_key_jwt",
    secret: "FHIR_KEY",
    clientId: "phylax",
    tokenEndpoint: "https://tokens.example:8443/token",
  };
  const credentials = { kind: "client_secret_basic", secret: "ISSUER_SECRET" };
  const file = read(
    {
      origins: [
        { name: "one", url: "https://one.example/r4", credentials: { kind: "bearer", secret: "ONE_TOKEN" } },
        { name: "two", url: "https://two.example:444/r4", credentials: keyed },
        { name: "three", url: "http://127.0.0.1:80/r4", credentials: { kind: "none" } },
      ],
      issuers: [
        { iss: "https://never.asked.example", jwksUri: "https://keys.example/jwks" },
        {
          iss: "https://opaque.example",
          introspection: { endpoint: "https://opaque.example/introspect", clientId: "phylax", credentials },
        },
      ],
      clients: [{ id: "lab", jwksUri: "https://lab.example/jwks" }],
    },
    { ONE_TOKEN: "1", ISSUER_SECRET: "2", SOMETHING_ELSE: "3" },
  );
  expect(file.hosts).toEqual(["one.example", "two.example:444", "127.0.0.1"]);
  expect(file.identityHosts).toEqual([
    "keys.example",
    "lab.example",
    "opaque.example",
    "tokens.example:8443",
  ]);
  expect(file.secrets).toEqual({ ONE_TOKEN: "1", ISSUER_SECRET: "2" });
  expect(file.missing).toEqual(["FHIR_KEY"]);
});

test("a file that is not a registry file is read all the same, for the registry's schema to refuse", ({
  expect,
}) => {
  for (const document of [
    null,
    17,
    [],
    { origins: 1, issuers: [null, 2], clients: [{ jwksUri: 3 }] },
    { origins: [{ credentials: null }] },
  ])
    expect(read(document), JSON.stringify(document)).toMatchObject({
      hosts: [],
      identityHosts: [],
      secrets: {},
      missing: [],
    });
});
