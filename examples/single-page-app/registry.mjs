// Prints a registry file that registers the single-page app, with the page that may read its answers.
import { readFileSync } from "node:fs";

const dev = JSON.parse(readFileSync(process.argv[2] ?? ".phylax/dev.json", "utf8"));
const policy = new URL("../../policies/patrqt.json", import.meta.url);
const id = "single-page-app";
const file = {
  clients: [
    {
      id,
      kind: "patient",
      auth: "external",
      issuer: dev.issuers[0].iss,
      externalClientId: id,
      dpop: true, // a page has no certificate
      corsOrigins: ["http://127.0.0.1:4173"],
      entity: { name: "My record, an app of the patient" },
    },
  ],
  agreements: [
    {
      id: `${id}-terms`,
      client: id,
      purposes: ["PATRQT"],
      from: "2026-01-01",
      to: "2036-01-01",
      documentHash: "0".repeat(64),
    },
  ],
  policies: [{ name: "patrqt", body: JSON.parse(readFileSync(policy, "utf8")) }],
  grants: [
    {
      client: id,
      origin: "main",
      purpose: "PATRQT",
      agreement: `${id}-terms`,
      policy: "patrqt",
      scopes: "patient/*.rs patient/Communication.c",
      quotas: { default: { requests: 600, windowSeconds: 60 } },
    },
  ],
};
console.log(JSON.stringify(file, undefined, 2));
