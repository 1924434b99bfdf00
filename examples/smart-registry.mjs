// Prints a registry file that says where people sign in for `main`, and registers the app `smart-app` (docs/sign-in.md).
import { readFileSync } from "node:fs";

const { issuers, origin } = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const { iss } = issuers[0];
const file = {
  origins: [{ name: "main", url: origin, credentials: { kind: "none" }, signInAt: iss }],
  clients: [
    {
      id: "smart-app",
      kind: "patient",
      auth: "external",
      issuer: iss,
      externalClientId: "smart-app",
      unboundUntil: new Date(Date.now() + 30 * 86_400_000).toISOString(),
    },
  ],
  agreements: [
    {
      id: "smart-app-terms",
      client: "smart-app",
      purposes: ["PATRQT"],
      from: "2026-01-01",
      to: "2036-01-01",
      documentHash: "0".repeat(64),
    },
  ],
  policies: [{ name: "patrqt", body: JSON.parse(readFileSync("policies/patrqt.json", "utf8")) }],
  grants: [
    {
      client: "smart-app",
      origin: "main",
      purpose: "PATRQT",
      agreement: "smart-app-terms",
      policy: "patrqt",
      scopes: "patient/*.rs",
      quotas: { default: { requests: 600, windowSeconds: 60 } },
    },
  ],
};
console.log(JSON.stringify(file, undefined, 2));
