import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
} from "../../sandbox/certificates.ts";
import { starterPolicy } from "../support/outside.ts";
import { preparedState, startTestStack, type TestStack } from "../support/stack.ts";

// An origin that demands a certificate of the gateway. Development shows it by a service of workerd; production by
// a binding of `mtls_certificates`, which answers the same call.

const state = preparedState();
const patient = { resourceType: "Patient", id: "behind-1", birthDate: "1970-01-01" };
const shown: (string | undefined)[] = [];
let server: Server;
let phylax: TestStack;

beforeAll(async () => {
  const pki = join(state, "pki");
  const { clientCa } = await ensureAuthority(pki);
  const { cert, key } = await ensureServerCertificate(pki);
  const gateway = await issueClientCertificate(pki, "gateway-itself", "O=Hospital, CN=phylax-gateway");
  server = createServer(
    {
      cert: readFileSync(cert),
      key: readFileSync(key),
      ca: readFileSync(clientCa.cert),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate(); // a server of TLS
      shown.push([subject?.CN].flat()[0]);
      response.writeHead(200, { "content-type": "application/fhir+json" }).end(JSON.stringify(patient));
    },
  );
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  const grant = (origin: string) => ({
    client: "telehealth",
    origin,
    purpose: "TREAT",
    agreement: "telehealth-agreement",
    policy: "treat",
    scopes: "system/*.rs",
    quotas: { default: { requests: 1_000, windowSeconds: 60 } },
  });
  const origin = (name: string, credentials: object) => ({
    name,
    url: `https://localhost:${port}/fhir`,
    credentials,
  });
  const registry = join(state, "registry.json");
  const origins = [
    origin("behind", { kind: "mtls", binding: "TEST_HOSPITAL" }),
    origin("bare", { kind: "none" }),
  ];
  const grants = [grant("behind"), grant("bare")];
  writeFileSync(registry, JSON.stringify({ origins, grants, policies: [starterPolicy("treat")] }));
  process.env["TEST_HOSPITAL"] = readFileSync(gateway.cert, "utf8") + readFileSync(gateway.key, "utf8");
  phylax = await startTestStack({ state, registry });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  server.closeAllConnections();
  server.close();
  rmSync(state, { recursive: true, force: true });
});

async function read(origin: string) {
  const base = `${phylax.dev.gateway}/v1/fhir/${origin}`;
  const token = await phylax.token("telehealth", { resource: base });
  const headers = { authorization: `Bearer ${token}` };
  return send(phylax.dev, phylax.client("telehealth"), `${base}/Patient/${patient.id}`, { headers });
}

test("an origin that demands a certificate is asked with the gateway's, and without it never answers", async ({
  expect,
}) => {
  const behind = await read("behind");
  expect(behind.status, behind.text).toBe(200);
  expect(JSON.parse(behind.text)).toMatchObject({ id: patient.id });
  expect(new Set(shown)).toEqual(new Set(["phylax-gateway"]));
  const before = shown.length;
  expect((await read("bare")).status).toBe(502);
  expect(shown).toHaveLength(before);
});

test("an entry with a binding that this deployment does not have, or with a binding of another worker, is refused", async ({
  expect,
}) => {
  for (const binding of ["ANOTHER", "CONSENT_DESK", "LEDGER_SHARD"]) {
    const entry = {
      name: "further",
      url: phylax.dev.origin,
      credentials: { kind: "mtls", binding },
    };
    await expect(phylax.stack.runtime.applyRegistry({ origins: [entry] }), binding).rejects.toThrow(
      "/origins/0/credentials/binding",
    );
  }
});
