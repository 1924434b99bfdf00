// Prints a registry file that says where people sign in for `main`, and registers apps of the provider (docs/sign-in.md).
// A second argument names a file of public keys (JWKS): it also registers a machine and an app that prove themselves with them.
import { readFileSync } from "node:fs";

const [, , dev = ".phylax/dev.json", keys] = process.argv;
const { issuers, origin } = JSON.parse(readFileSync(dev, "utf8"));
const { iss } = issuers[0];
const unboundUntil = new Date(Date.now() + 30 * 86_400_000).toISOString();
const scopes = "patient/*.rs user/*.rs"; // a patient's user/ scope reaches the patient's own record
const own = { purpose: "PATRQT", policy: "patrqt", scopes };
const treating = { purpose: "TREAT", policy: "treat", scopes };
const apps = [
  { id: "smart-app", kind: "patient", grants: [own] },
  { id: "confidential-app", kind: "clinical", grants: [own, treating] },
];
if (keys !== undefined) {
  const jwks = JSON.parse(readFileSync(keys, "utf8"));
  apps.push(
    { id: "keyed-app", kind: "clinical", jwks, grants: [own, treating] },
    { id: "keyed-service", kind: "service", jwks, grants: [{ ...treating, scopes: "system/*.rs" }] },
  );
}

const file = {
  origins: [{ name: "main", url: origin, credentials: { kind: "none" }, signInAt: iss }],
  clients: apps.map(({ id, kind, jwks }) => ({
    id,
    kind,
    auth: "external",
    issuer: iss,
    externalClientId: id,
    unboundUntil,
    jwks,
    corsOrigins: ["http://localhost:4567"], // Inferno's page
  })),
  agreements: apps.map(({ id, grants }) => ({
    id: `${id}-terms`,
    client: id,
    purposes: grants.map(({ purpose }) => purpose),
    from: "2026-01-01",
    to: "2036-01-01",
    documentHash: "0".repeat(64),
  })),
  policies: ["patrqt", "treat"].map((name) => ({
    name,
    body: JSON.parse(readFileSync(`policies/${name}.json`, "utf8")),
  })),
  grants: apps.flatMap(({ id, grants }) =>
    grants.map((grant) => ({
      ...grant,
      client: id,
      origin: "main",
      agreement: `${id}-terms`,
      quotas: { default: { requests: 600, windowSeconds: 60 } },
    })),
  ),
};
console.log(JSON.stringify(file, undefined, 2));
