import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateProof } from "dpop";
import { SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, beforeAll, test } from "vitest";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { newKey } from "../support/credentials.ts";
import { keyBoundToken, keyHolder, keyHolderEntry, type KeyHolder } from "../support/key-holder.ts";
import { certificateFor, clientEntries, joined, starterPolicy, thumbprint } from "../support/outside.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

type Fields = Readonly<Record<string, string>>;

const folder = mkdtempSync(join(tmpdir(), "phylax-traces-"));
const traceFile = join(folder, "traces.jsonl");
let phylax: TestStack;
let holder: KeyHolder;
let keyToken: string;
let mtls: string;
beforeAll(async () => {
  phylax = await startTestStack({ secondHost: true, trace: traceFile });
  mtls = phylax.dev.gateway.replace("localhost", "127.0.0.1");
  holder = await keyHolder("two-names");
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(keyHolderEntry(holder), "TREAT", "treat", "system/*.rs"),
    ),
  );
  keyToken = await keyBoundToken(phylax, holder);
}, 120_000);
afterAll(async () => {
  await phylax.close();
  rmSync(folder, { recursive: true });
});

const fhirAt = (host: string) => `${host}/v1/fhir/main`;
const path = "Patient/amara-okafor";
const read = async (url: string, token: string): Promise<Reply> =>
  send(phylax.dev, phylax.client("telehealth"), url, { headers: { authorization: `Bearer ${token}` } });

test("metadata name the second host, and the issuer stays the same", async ({ expect }) => {
  for (const host of [phylax.dev.gateway, mtls]) {
    const { text } = await send(phylax.dev, undefined, `${host}/.well-known/oauth-authorization-server`);
    expect(JSON.parse(text)).toMatchObject({
      issuer: phylax.dev.gateway,
      token_endpoint: phylax.dev.tokenEndpoint,
      mtls_endpoint_aliases: { token_endpoint: `${mtls}/oauth/token` },
    });
  }
});

test("a SMART client finds the second host from the FHIR base alone", async ({ expect }) => {
  for (const host of [phylax.dev.gateway, mtls]) {
    const url = `${fhirAt(host)}/.well-known/smart-configuration`;
    expect(JSON.parse((await send(phylax.dev, undefined, url)).text)).toMatchObject({
      token_endpoint: phylax.dev.tokenEndpoint,
      mtls_endpoint_aliases: { token_endpoint: `${mtls}/oauth/token` },
    });
  }
});

test("oauth4webapi starts at the base of either host, from its challenge, and gets a token for that base", async ({
  expect,
}) => {
  const options = {
    [oauth.customFetch]: async (url: string, init: { readonly method: string; readonly headers: Fields }) => {
      const { status, text } = await send(phylax.dev, undefined, url, init);
      return new Response(text, { status, headers: { "content-type": "application/json" } });
    },
  };
  for (const host of [phylax.dev.gateway, mtls]) {
    const base = new URL(fhirAt(host));
    const { headers } = await send(phylax.dev, undefined, `${base.href}/${path}`);
    const document = new URL("/.well-known/oauth-protected-resource/v1/fhir/main", host);
    expect(headers["www-authenticate"]).toContain(`Bearer resource_metadata="${document.href}"`);
    // RFC 9728 §3.3: it throws if `resource` is another URL than this base
    const metadata = await oauth.processResourceDiscoveryResponse(
      base,
      await oauth.resourceDiscoveryRequest(base, options),
    );
    expect(metadata.authorization_servers?.[0]).toBe(phylax.dev.gateway);
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: "operations",
      resource: metadata.resource,
    });
    const answer = await send(phylax.dev, phylax.client("operations"), `${mtls}/oauth/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    });
    expect(answer.status).toBe(200);
  }
});

test("an assertion of the profile smart names the token endpoint to which it is posted, at either host", async ({
  expect,
}) => {
  const key = await newKey("ES384", "backend-1");
  const id = "smart-backend";
  const entry = { id, kind: "telehealth", auth: "private_key_jwt", assertionProfile: "smart", dpop: false };
  const certificate = await certificateFor(phylax, id);
  const registered = { ...entry, certificates: [thumbprint(certificate)], jwks: { keys: [key.jwk] } };
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(registered, "TREAT", "treat", "system/*.rs"),
    ),
  );
  const post = async (host: string, named: string) => {
    const assertion = await new SignJWT()
      .setProtectedHeader({ alg: "ES384", kid: "backend-1" })
      .setIssuer(id)
      .setSubject(id)
      .setAudience(`${named}/oauth/token`)
      .setJti(crypto.randomUUID())
      .setExpirationTime("4 minutes")
      .sign(key.privateKey);
    const body = new URLSearchParams({
      grant_type: "client_credentials",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion,
    }).toString();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return (await send(phylax.dev, certificate, `${host}/oauth/token`, { method: "POST", headers, body }))
      .status;
  };
  const hosts = [phylax.dev.gateway, mtls];
  for (const host of hosts)
    for (const named of hosts)
      expect(await post(host, named), `${named} at ${host}`).toBe(host === named ? 200 : 401);
});

test("a token is good under both names, and an answer's links stay under the requested name", async ({
  expect,
}) => {
  const token = await phylax.token("telehealth");
  for (const host of [phylax.dev.gateway, mtls]) {
    expect((await read(`${fhirAt(host)}/${path}`, token)).status).toBe(200);
    const page: { link: { relation: string; url: string }[] } = JSON.parse(
      (await read(`${fhirAt(host)}/Patient?_count=1`, token)).text,
    );
    const next = page.link.find(({ relation }) => relation === "next")?.url ?? "";
    expect(next.startsWith(`${fhirAt(host)}/Patient?`), next).toBe(true);
    expect((await read(next, token)).status).toBe(200);
  }
});

test("T27: a proof names the host that it was sent to, and is good at no further host", async ({
  expect,
}) => {
  const ask = async (host: string, named: string): Promise<Reply> => {
    const dpop = await generateProof(holder.pair, `${fhirAt(named)}/${path}`, "GET", holder.nonce, keyToken);
    return send(phylax.dev, undefined, `${fhirAt(host)}/${path}`, {
      headers: { authorization: `DPoP ${keyToken}`, dpop },
    });
  };
  expect((await ask(mtls, mtls)).status).toBe(200);
  expect((await ask(phylax.dev.gateway, phylax.dev.gateway)).status).toBe(200);
  expect((await ask(mtls, phylax.dev.gateway)).status).toBe(401);
  expect((await ask(phylax.dev.gateway, mtls)).status).toBe(401);
});

test("a name that is not configured counts as the public name, whatever Host says", async ({ expect }) => {
  const token = await phylax.token("telehealth");
  const headers = { authorization: `Bearer ${token}`, host: "localhost:1" };
  const reply = await send(phylax.dev, phylax.client("telehealth"), `${phylax.dev.fhir}/Patient?_count=1`, {
    headers,
  });
  expect(reply.status).toBe(200);
  expect(reply.text).not.toContain("localhost:1/");
  expect(reply.text).toContain(`${phylax.dev.fhir}/Patient?`);
});

test("the file of --trace gets a line for each request at either host, with the request's id and no patient", async ({
  expect,
}) => {
  const token = await phylax.token("telehealth");
  for (const host of [phylax.dev.gateway, mtls]) {
    const { status, headers } = await read(`${fhirAt(host)}/${path}`, token);
    expect(status).toBe(200);
    const id = String(headers["x-request-id"]);
    await expect.poll(() => readFileSync(traceFile, "utf8"), { timeout: 5_000 }).toContain(id);
  }
  const text = readFileSync(traceFile, "utf8");
  for (const line of text.trimEnd().split("\n")) expect(JSON.parse(line)).toHaveProperty("resourceSpans");
  expect(text).toContain('"release"');
  expect(text).not.toContain("amara");
});
