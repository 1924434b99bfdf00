import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { exportJWK, jwtVerify, type JWTPayload } from "jose";
import { afterAll, beforeAll, test } from "vitest";
import { importPublicKey } from "#platform/keys/public-key";
import { send } from "../../cli/connection/mutual-tls.ts";
import {
  ensureAuthority,
  issueClientCertificate,
  type CertificateFiles,
} from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import { newKey, sign, type Key } from "../support/credentials.ts";
import { startIdentityServer, type IdentityServer } from "../support/identity-server.ts";
import {
  askAs,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
  type Outsider,
} from "../support/outside.ts";
import { preparedState, startTestStack, type TestStack } from "../support/stack.ts";
import { inLane } from "../support/lane.ts";
import { patience } from "../support/patience.ts";

// Key sets, introspection and an origin's token endpoint, each at a real server by https, in front of all
// workers.

const own = "amara-okafor";
const guardedName = "http://guarded.internal:8080/R4"; // the guarded origin's own name for itself
const patient = {
  resourceType: "Patient",
  id: "guarded-1",
  birthDate: "1970-01-01",
  generalPractitioner: [{ reference: `${guardedName}/Practitioner/vera` }],
  address: [{ text: `see ${guardedName}/Location/1 at guarded.internal:8080` }],
};
const state = preparedState();
const pki = join(state, "pki");

let phylax: TestStack;
let others: IdentityServer;
let signing: Outsider;
let down: Outsider;
let described: Outsider;
let posing: Outsider;
let keys: Readonly<Record<"client" | "gateway", Key>>;
let certificates: Readonly<
  Record<"signed" | "down" | "described" | "posing" | "basic" | "keyed" | "client", CertificateFiles>
>;
/** Tokens that the issuers of opaque tokens recognize, and that the guarded origin accepts. */
const opaque = new Map<string, object>();
const taken = new Set<string>();
const assertions: JWTPayload[] = [];

const guarded = createServer((req, res) => {
  const token = req.headers.authorization?.replace("Bearer ", "") ?? "";
  res.writeHead(taken.has(token) ? 200 : 401, { "content-type": "application/fhir+json" });
  res.end(taken.has(token) ? JSON.stringify(patient) : "");
});

const gatewayItself = { issuer: "phylax", subject: "phylax" };

/**
 * True if the gateway authenticated by its key, for this audience, with an assertion that was never seen
 * before.
 */
async function proven(assertion: string | undefined, audience: string): Promise<boolean> {
  try {
    const { payload } = await jwtVerify(assertion ?? "", await importPublicKey(keys.gateway.jwk, "ES256"), {
      ...gatewayItself,
      audience,
    });
    const isNew = !assertions.some(({ jti }) => jti === payload.jti) && typeof payload.aud === "string";
    assertions.push(payload);
    return isNew && (payload.exp ?? 0) - (payload.iat ?? 0) <= 60;
  } catch {
    return false;
  }
}

beforeAll(async () => {
  await ensureAuthority(pki);
  others = await startIdentityServer(pki);
  await new Promise<void>((listening) => guarded.listen(0, "127.0.0.1", listening));
  const { port } = guarded.address() as AddressInfo; // a listening TCP server has a port
  const certificate = (name: string) => issueClientCertificate(pki, name, `O=Outside, CN=${name}`);
  signing = await outsider("https://signing.example", "phylax");
  down = await outsider("https://down.example", "phylax");
  described = await outsider(`${others.url}/described`, "phylax");
  posing = await outsider(`${others.url}/posing`, "phylax");
  keys = { client: await newKey("ES256", "client-1"), gateway: await newKey("ES256", "gateway-1") };
  certificates = {
    signed: await certificate("signed"),
    down: await certificate("down"),
    described: await certificate("described"),
    posing: await certificate("posing"),
    basic: await certificate("basic"),
    keyed: await certificate("keyed"),
    client: await certificate("fetched-client"),
  };

  others.serve("/issuer/jwks", () => ({ keys: [signing.key.jwk] }));
  others.serve("/down/jwks", () => 503);
  // Metadata, at the place of RFC 8414 for a tenant of this host. The second issuer's are a copy of the
  // first issuer's with different keys.
  const metadata = "/.well-known/oauth-authorization-server";
  others.serve(`${metadata}/described`, () => ({
    issuer: described.iss,
    jwks_uri: `${others.url}/described/keys`,
  }));
  others.serve(`${metadata}/posing`, () => ({
    issuer: described.iss,
    jwks_uri: `${others.url}/posing/keys`,
  }));
  others.serve("/described/keys", () => ({ keys: [described.key.jwk] }));
  others.serve("/posing/keys", () => ({ keys: [posing.key.jwk] }));
  others.serve("/client/jwks", () => ({ keys: [keys.client.jwk] }));
  others.serve("/basic/introspect", ({ form, headers }) => {
    const known = headers.authorization === `Basic ${Buffer.from("phylax:the+secret").toString("base64")}`;
    return known ? (opaque.get(form["token"] ?? "") ?? { active: false }) : 401;
  });
  others.serve("/keyed/introspect", async ({ form }) =>
    (await proven(form["client_assertion"], "https://keyed.example"))
      ? (opaque.get(form["token"] ?? "") ?? { active: false })
      : 401,
  );
  others.serve("/token", async ({ form }) => {
    const right = form["grant_type"] === "client_credentials" && form["scope"] === "system/*.rs";
    if (!right || !(await proven(form["client_assertion"], `${others.url}/token`))) return 401;
    const token = randomUUID();
    taken.add(token);
    return { access_token: token, token_type: "bearer", expires_in: 300, scope: "system/*.rs" };
  });

  const app = (id: string, issuer: string, files: CertificateFiles) =>
    clientEntries(
      {
        id,
        kind: "patient",
        auth: "external",
        issuer,
        externalClientId: id,
        certificates: [thumbprint(files)],
      },
      "PATRQT",
      "patrqt",
      "patient/*.rs",
    );
  const opaqueIssuer = (name: string, credentials: object) => ({
    iss: `https://${name}.example`,
    introspection: { endpoint: `${others.url}/${name}/introspect`, clientId: "phylax", credentials },
    audience: "phylax",
    purpose: { fixed: ["PATRQT"] },
  });
  const registry = join(state, "registry.json");
  const file = joined(
    {
      origins: [
        {
          name: "guarded",
          url: `http://127.0.0.1:${port}/fhir`,
          alsoKnownAs: [guardedName],
          credentials: {
            kind: "private_key_jwt",
            secret: "TEST_GATEWAY_KEY",
            clientId: "phylax",
            tokenEndpoint: `${others.url}/token`,
          },
        },
      ],
      issuers: [
        issuerEntry(signing, { jwks: undefined, jwksUri: `${others.url}/issuer/jwks` }),
        issuerEntry(down, { jwks: undefined, jwksUri: `${others.url}/down/jwks` }),
        issuerEntry(described, { jwks: undefined, jwksUri: `${others.url}${metadata}/described` }),
        issuerEntry(posing, { jwks: undefined, jwksUri: `${others.url}${metadata}/posing` }),
        opaqueIssuer("basic", { kind: "client_secret_basic", secret: "TEST_ISSUER_SECRET" }),
        opaqueIssuer("keyed", { kind: "private_key_jwt", secret: "TEST_GATEWAY_KEY" }),
      ],
      policies: [starterPolicy("patrqt"), starterPolicy("treat")],
      grants: [
        {
          client: "telehealth",
          origin: "guarded",
          purpose: "TREAT",
          agreement: "telehealth-agreement",
          policy: "treat",
          scopes: "system/*.rs",
          quotas: { default: { requests: 1_000, windowSeconds: 60 } },
        },
      ],
    },
    app("signed", signing.iss, certificates.signed),
    app("down", down.iss, certificates.down),
    app("described", described.iss, certificates.described),
    app("posing", posing.iss, certificates.posing),
    app("basic", "https://basic.example", certificates.basic),
    app("keyed", "https://keyed.example", certificates.keyed),
    clientEntries(
      {
        id: "fetched-client",
        kind: "telehealth",
        auth: "private_key_jwt",
        jwksUri: `${others.url}/client/jwks`,
        certificates: [thumbprint(certificates.client)],
      },
      "TREAT",
      "treat",
      "system/*.rs",
    ),
  );
  writeFileSync(registry, JSON.stringify(file));
  process.env["TEST_ISSUER_SECRET"] = "the secret";
  process.env["TEST_GATEWAY_KEY"] = JSON.stringify({
    ...(await exportJWK(keys.gateway.privateKey)),
    kid: "gateway-1",
  });
  phylax = await startTestStack({ state, registry });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  await others.close();
  guarded.closeAllConnections();
  guarded.close();
  rmSync(state, { recursive: true, force: true });
});

const claims = (client: string) => ({ client_id: client, patient: own, scope: "patient/*.rs" });
const readAs = async (files: CertificateFiles, token: string) =>
  await askAs(phylax, files, token, `Patient/${own}`);
const times = (path: string) => others.asked.filter((each) => each === path).length;

test("T18: an issuer with unreachable keys is 503, and no caller is let in", async ({ expect }) => {
  const token = await outsideToken(down, certificates.down, claims("down"));
  const reply = await readAs(certificates.down, token);
  expect(reply.status).toBe(503);
  expect(reply.text).not.toContain(own);
  expect((await readAs(certificates.down, token)).status).toBe(503);
  expect(times("/down/jwks"), "it is left alone for half a minute").toBe(1);
});

test("T41: an issuer's metadata lead to its keys; an issuer with metadata that name a second issuer is refused, and so is that second issuer", async ({
  expect,
}) => {
  const read = await readAs(
    certificates.described,
    await outsideToken(described, certificates.described, claims("described")),
  );
  expect(read.status, read.text).toBe(200);
  const unusable = await readAs(
    certificates.posing,
    await outsideToken(posing, certificates.posing, claims("posing")),
  );
  expect(unusable.status).toBe(503);
  const pretending = await outsideToken(
    { ...described, key: posing.key },
    certificates.described,
    claims("described"),
  );
  expect((await readAs(certificates.described, pretending)).status).toBe(401);
  expect([times("/described/keys"), times("/posing/keys")]).toEqual([1, 0]);
});

test("T18: a client's keys are fetched from the address that the client publishes", async ({ expect }) => {
  const now = Math.floor(Date.now() / 1000);
  const ask = async (key: Key, jti: string) => {
    const said = {
      iss: "fetched-client",
      sub: "fetched-client",
      aud: phylax.dev.gateway,
      jti,
      iat: now,
      exp: now + 50,
    };
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: await sign(key, said),
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return send(phylax.dev, certificates.client, phylax.dev.tokenEndpoint, {
      method: "POST",
      headers,
      body: form.toString(),
    });
  };
  const granted = await ask(keys.client, "1");
  expect(granted.status, granted.text).toBe(200);
  const token: unknown = JSON.parse(granted.text).access_token;
  expect((await readAs(certificates.client, String(token))).status).toBe(200);
  expect((await ask({ ...keys.gateway, jwk: { ...keys.gateway.jwk, kid: "client-1" } }, "2")).status).toBe(
    401,
  );
  expect(times("/client/jwks")).toBe(1);
});

/** A token that its issuer recognizes. */
function issued(client: string, files: CertificateFiles, changes: object = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const token = `opaque-${randomUUID()}`;
  const said = {
    active: true,
    sub: "someone",
    aud: "phylax",
    iat: now,
    exp: now + 300,
    cnf: { "x5t#S256": thumbprint(files) },
  };
  opaque.set(token, { ...said, ...claims(client), jti: token, ...changes });
  return token;
}

test("T40: an opaque token opens the rows that its issuer states, for each way in which the gateway authenticates there", async ({
  expect,
}) => {
  for (const name of ["basic", "keyed"] as const) {
    const token = issued(name, certificates[name]);
    const reply = await readAs(certificates[name], token);
    expect(reply.status, `${name} ${reply.text}`).toBe(200);
    expect((await readAs(certificates[name], token)).status).toBe(200);
    expect(times(`/${name}/introspect`), "believed for ten seconds").toBe(1);
  }
});

test("T40: a token that is not active, not bound to this certificate, or not this client's is 401, and no record contains the token", async ({
  expect,
}) => {
  const { basic, keyed } = certificates;
  const bad: readonly (readonly [string, string, CertificateFiles])[] = [
    ["token_inactive", "opaque-unknown", basic],
    ["token_inactive", issued("basic", basic, { active: "true" }), basic],
    ["certificate_mismatch", issued("basic", keyed), basic],
    ["binding_not_supported", issued("basic", basic, { cnf: { jwk: {} } }), basic],
    ["audience_mismatch", issued("basic", basic, { aud: "another" }), basic],
    ["issuer_unknown", issued("basic", basic, { iss: "https://keyed.example" }), basic],
    ["client_unknown", issued("keyed", basic), basic],
    ["token_inactive", "opaque-of-nobody", keyed],
    ["jws_malformed", issued("basic", basic), certificates.signed], // its issuer has no opaque tokens
  ];
  const ids: unknown[] = [];
  for (const [reason, token, files] of bad) {
    const reply = await readAs(files, token);
    expect(reply.status, reason).toBe(401);
    ids.push(reply.headers["x-request-id"]);
  }
  const records = await openLedger(phylax.dev);
  expect(ids.map((id) => records.find(({ event }) => event.id === id)?.event.outcome?.reason)).toEqual(
    bad.map(([reason]) => reason),
  );
  expect(JSON.stringify(records)).not.toContain("opaque-");
});

test("T39: an origin that demands assertions gets a token of its endpoint, and a new token when the origin rejects it", async ({
  expect,
}) => {
  const token = await phylax.token("telehealth", { resource: `${phylax.dev.gateway}/v1/fhir/guarded` });
  const read = async () => {
    const headers = { authorization: `Bearer ${token}` };
    return send(
      phylax.dev,
      phylax.client("telehealth"),
      `${phylax.dev.gateway}/v1/fhir/guarded/Patient/guarded-1`,
      { headers },
    );
  };
  const replies = await Promise.all(Array.from({ length: 20 }, read));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(replies[0]?.text).toContain("guarded-1");
  expect(replies[0]?.text, "P8: whatever it calls itself").not.toContain("guarded.internal");
  expect(replies[0]?.text).toContain(`${phylax.dev.gateway}/v1/fhir/guarded/Practitioner/vera`);
  expect(times("/token")).toBe(1);
  taken.clear();
  await expect.poll(async () => (await read()).status, patience).toBe(200);
  expect(times("/token")).toBe(2);
  expect(assertions.every(({ aud }) => typeof aud === "string")).toBe(true);
});

// The last test: after many refusals anonymous requests are counted, not recorded.
test("T18: an issuer's keys are fetched once, and a thousand unknown kids (200 in the fast lane) cost no more than one question in half a minute", async ({
  expect,
}) => {
  const token = await outsideToken(signing, certificates.signed, claims("signed"));
  expect((await readAs(certificates.signed, token)).status).toBe(200);
  expect((await readAs(certificates.signed, token)).status).toBe(200);
  expect(times("/issuer/jwks")).toBe(1);
  const statuses = new Set<number>();
  for (let round = 0; round < inLane({ fast: 4, slow: 20, long: 20 }); round += 1) {
    const replies = Array.from({ length: 50 }, async (_, i) => {
      const unknown = await outsideToken(signing, certificates.signed, claims("signed"), {
        kid: `made-up-${round}-${i}`,
      });
      statuses.add((await readAs(certificates.signed, unknown)).status);
    });
    await Promise.all(replies);
  }
  expect(statuses).toEqual(new Set([401]));
  expect(times("/issuer/jwks")).toBeLessThanOrEqual(2);
}, 120_000);
