import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { issueClientCertificate, type CertificateFiles } from "./certificates.ts";
import { keptKey, publicHalf } from "./keys.ts";

/** A client of the demonstration: who it is, why it may ask, and what `npm start` says of it. */
interface DemoClient {
  readonly id: string;
  readonly kind: string;
  readonly subject: string;
  readonly purpose: string;
  /** File in `policies/`. */
  readonly policy: string;
  readonly requestsPerMinute: number;
  readonly agreement: { readonly from: string; readonly to: string };
  readonly describe: string;
}

const inForce = { from: "2026-01-01T00:00:00Z", to: "2036-01-01T00:00:00Z" };

const demoClients: readonly DemoClient[] = [
  {
    id: "telehealth",
    kind: "telehealth",
    subject: "O=Lantern Telehealth, CN=telehealth",
    purpose: "TREAT",
    policy: "treat",
    requestsPerMinute: 60_000,
    agreement: inForce,
    describe: "a telehealth service that treats: nearly everything is shown",
  },
  {
    id: "payer",
    kind: "payer",
    subject: "O=Harbor Health Plan, CN=payer",
    purpose: "HPAYMT",
    policy: "hpaymt",
    requestsPerMinute: 6_000,
    agreement: inForce,
    describe: "a health plan that pays: what a claim needs, no notes, no narrative",
  },
  {
    id: "public-health",
    kind: "public-health",
    subject: "O=State Department of Health, CN=public-health",
    purpose: "PUBHLTH",
    policy: "pubhlth",
    requestsPerMinute: 6_000,
    agreement: inForce,
    describe: "a public health authority: reportable conditions, labs and immunizations",
  },
  {
    id: "lapsed",
    kind: "telehealth",
    subject: "O=Formerly Connected, CN=lapsed",
    purpose: "TREAT",
    policy: "treat",
    requestsPerMinute: 6_000,
    agreement: { from: "2024-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z" },
    describe: "a client whose agreement has lapsed: it gets no token",
  },
];

const scope = "system/*.rs";

/** The demonstration's clients for `dev.json`, and the registry document that provisions them. */
export interface Demo {
  readonly registry: unknown;
  readonly clients: readonly Record<string, unknown>[];
}

/** Makes (or finds) each client's certificate and key below `state`, and writes the registry document for them. */
export async function demo(
  state: string,
  pki: string,
  origin: { readonly name: string; readonly url: string },
  audience: string,
): Promise<Demo> {
  const made: { client: DemoClient; files: CertificateFiles; jwkPath: string; jwk: JWK }[] = [];
  for (const client of demoClients) {
    const jwkPath = join(state, "clients", `${client.id}.jwk.json`);
    made.push({
      client,
      files: await issueClientCertificate(pki, client.id, client.subject),
      jwkPath,
      jwk: await keptKey(jwkPath, "ES256", `${client.id}-1`),
    });
  }
  const policies = [...new Set(demoClients.map(({ policy }) => policy))];
  const registry = {
    origins: [{ name: origin.name, url: origin.url, credentials: { kind: "none" } }],
    policies: policies.map((name) => ({
      name,
      body: JSON.parse(readFileSync(join(import.meta.dirname, "..", "policies", `${name}.json`), "utf8")),
    })),
    clients: made.map(({ client, files, jwk }) => ({
      id: client.id,
      kind: client.kind,
      status: "active",
      auth: "private_key_jwt",
      jwks: { keys: [publicHalf(jwk)] },
      certificates: [readFileSync(files.cert, "utf8")],
    })),
    agreements: demoClients.map(({ id, purpose, agreement }) => ({
      id: `${id}-agreement`,
      client: id,
      purposes: [purpose],
      ...agreement,
      documentHash: "0".repeat(64), // no document was signed in a sandbox
    })),
    grants: demoClients.map(({ id, purpose, policy, requestsPerMinute }) => ({
      client: id,
      origin: origin.name,
      purpose,
      agreement: `${id}-agreement`,
      policy,
      scopes: scope,
      quotas: { default: { requests: requestsPerMinute, windowSeconds: 60 } },
    })),
  };
  const clients = made.map(({ client, files, jwkPath }) => ({
    id: client.id,
    kind: client.kind,
    auth: "private_key_jwt",
    audience,
    cert: files.cert,
    key: files.key,
    jwk: jwkPath,
    scope,
    purpose: client.purpose,
    purposes: [client.purpose],
    dpop: false,
    sub: null,
    patient: null,
    describe: client.describe,
  }));
  return { registry, clients };
}
