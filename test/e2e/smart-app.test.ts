import { decodeJwt, exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from "jose";
import * as oauth from "oauth4webapi";
import * as client from "openid-client";
import { Client } from "fhir-kit-client";
import { Agent } from "undici";
import { execFile, spawn } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, test } from "vitest";
import type { DevUser } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { publicHalf } from "../../sandbox/keys.ts";
import { openLedger } from "../support/auditor.ts";
import { appOf, Browser, pageOf } from "../support/browser.ts";
import { certificateFor, clientEntries, joined, starterPolicy, thumbprint } from "../support/outside.ts";
import { PatientWeb, scope, typed } from "../support/patient-web.ts";
import { SmartApp } from "../support/smart-app.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";
import { must } from "../support/must.ts";

const root = join(import.meta.dirname, "../..");
let phylax: TestStack;
let app: SmartApp;
let dispatcher: Agent;
let iss = "";
let registered = "";
let [amara, other]: DevUser[] = [];
let certified: Agent;
const keys = await Promise.all(
  ["RS384", "ES384"].map(async (alg): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return Object.assign(await exportJWK(privateKey), { alg, kid: `machine-${alg}` });
  }),
);
const jwks = { keys: keys.map(publicHalf) };
const scopeOfMachine = "system/*.rs";
beforeAll(async () => {
  phylax = await startTestStack();
  [amara, other] = phylax.dev.users;
  iss = must(phylax.dev.issuers[0]).iss;
  dispatcher = new Agent({ connect: { ca: readFileSync(phylax.dev.ca) } });
  app = await SmartApp.start(phylax.dev, "smart-app", "openid fhirUser launch/patient patient/*.rs");
  const [registering = ""] = printed();
  registered = (await promisify(execFile)("sh", ["-c", registering], { cwd: root })).stdout;
  const files = await certificateFor(phylax, "certified-service");
  const connect = {
    ca: readFileSync(phylax.dev.ca),
    cert: readFileSync(files.cert),
    key: readFileSync(files.key),
  };
  certified = new Agent({ connect });
  const file = join(phylax.state, "jwks.json");
  writeFileSync(file, JSON.stringify(jwks));
  const example = ["examples/smart-registry.mjs", join(phylax.state, "dev.json"), file];
  const service = (id: string, more: object) =>
    clientEntries(
      { id, kind: "service", auth: "external", issuer: iss, externalClientId: `${id}-there`, jwks, ...more },
      "TREAT",
      "treat",
      scopeOfMachine,
    );
  await phylax.stack.runtime.applyRegistry(
    joined(
      JSON.parse((await promisify(execFile)(process.execPath, example, { cwd: root })).stdout),
      service("certified-service", { certificates: [thumbprint(files)] }),
      service("proving-service", { dpop: true }),
    ),
  );
}, 60_000);
afterAll(async () => {
  await app.close();
  await dispatcher.close();
  await certified.close();
  await phylax.close();
});

/** Registers the app again, with the binding of its tokens. */
const register = (binding: Readonly<Record<string, unknown>>) =>
  phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("patrqt")] },
      clientEntries(
        {
          id: "smart-app",
          kind: "patient",
          auth: "external",
          issuer: iss,
          externalClientId: "smart-app",
          ...binding,
        },
        "PATRQT",
        "patrqt",
        "patient/*.rs",
      ),
    ),
  );

// Node's fetch accepts it (undici)
const get = async (url: string) => (await fetch(url, { dispatcher } as RequestInit)).json();
const statusOf = (call: Promise<unknown>) =>
  call.then(
    () => 200,
    ({ statusCode }: { statusCode: number }) => statusCode,
  );
interface Answered {
  readonly response: Response;
}
const recordOf = async ({ response: { headers } }: Answered) =>
  (await openLedger(phylax.dev)).find(({ event }) => event.id === headers.get("x-request-id"))?.event;

/** The shell blocks of the section on SMART apps, for this test's state. */
function printed(): readonly string[] {
  const state = dirname(dirname(phylax.dev.ca)); // <state>/pki/ca.pem
  const [, section = ""] = readFileSync(join(root, "docs/sign-in.md"), "utf8").split(
    "## A SMART app, from the FHIR base alone",
  );
  const blocks = [...(section.split("\n## ", 1)[0]?.matchAll(/```sh\n([\s\S]*?)```/gu) ?? [])];
  return blocks.map(([, block = ""]) =>
    block
      .replaceAll(".phylax", state)
      .replaceAll("smart.json", join(state, "smart.json"))
      .replace("--operator registrar", `--operator registrar --state ${state}`),
  );
}

test("the commands of docs/sign-in.md work as printed: the base names the sign-in server, and fhirclient reads the signed-in patient's record", async ({
  expect,
  onTestFinished,
}) => {
  const [, script = ""] = printed();
  expect(registered).toMatch(/smart\.json: 7 added, 1 changed/u);
  const tokenEndpoint = async () => {
    const reply = await send(phylax.dev, undefined, `${phylax.dev.fhir}/.well-known/smart-configuration`);
    return JSON.parse(reply.text).token_endpoint;
  };
  await expect.poll(tokenEndpoint, patience).toBe(`${must(phylax.dev.issuers[0]).iss}/token`);

  const running = spawn("sh", ["-c", script], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  onTestFinished(() => {
    if (running.exitCode === null) process.kill(-must(running.pid), "SIGKILL"); // the shell and its app
  });
  const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  const home = await fetch(must((await lines.next()).value), { redirect: "manual" });
  const browser = new Browser(phylax.dev);
  const user = must(phylax.dev.users[1]);
  const consent = await browser.submit(
    await browser.open(new URL(must(home.headers.get("location") ?? undefined))),
    typed(user),
  );
  const back = appOf(await browser.submit(consent, { decision: "allow" }));
  expect(await (await fetch(back)).text()).toBe("You can close this window.");
  expect((await lines.next()).value).toMatch(
    new RegExp(`^Patient/${user.patient} .*"id":"${user.patient}"`, "u"),
  );
  expect(await once(running, "exit")).toEqual([0, null]);
});

test("the FHIR base leads apps to the identity provider: both documents name the same places, and its own metadata agree", async ({
  expect,
}) => {
  const said = await get(`${phylax.dev.fhir}/.well-known/smart-configuration`);
  const own = await get(`${iss}/.well-known/openid-configuration`);
  for (const name of [
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
  ])
    expect(Reflect.get(said as object, name), name).toEqual(Reflect.get(own as object, name));
  expect(own).toMatchObject({
    code_challenge_methods_supported: ["S256"],
    // permission-offline
    grant_types_supported: expect.arrayContaining(["authorization_code", "refresh_token"]),
    scopes_supported: expect.arrayContaining(["openid", "fhirUser", "launch/patient", "offline_access"]),
  });
  expect(said).toMatchObject({
    code_challenge_methods_supported: ["S256"],
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
  });

  const kit = new Client({ baseUrl: phylax.dev.fhir, requestOptions: { dispatcher } });
  expect(JSON.stringify(await kit.capabilityStatement())).toContain(
    JSON.stringify([
      { url: "authorize", valueUri: `${iss}/auth` },
      { url: "token", valueUri: `${iss}/token` },
      { url: "revoke", valueUri: `${iss}/token/revocation` },
    ]),
  );
  expect(await kit.smartAuthMetadata()).toMatchObject({
    authorizeUrl: new URL(`${iss}/auth`),
    tokenUrl: new URL(`${iss}/token`),
  });
});

test("a client of the built-in issuer keeps its tokens at a base with sign-in, and discovery leads to the provider alone", async ({
  expect,
}) => {
  const base = new URL(phylax.dev.fhir);
  const resource = await oauth.processResourceDiscoveryResponse(
    base,
    await oauth.resourceDiscoveryRequest(base, {
      [oauth.customFetch]: (url: string, init: object) => fetch(url, { ...init, dispatcher } as RequestInit),
    }),
  );
  expect(resource.authorization_servers).toEqual([iss]);
  expect((await phylax.ask("telehealth", "Patient/amara-okafor")).status).toBe(200);
});

test("openid-client signs a patient in from the FHIR base alone, with its own key (DPoP)", async ({
  expect,
  onTestFinished,
}) => {
  const web = await PatientWeb.start(phylax.dev, `${phylax.dev.fhir}/.well-known/smart-configuration`);
  onTestFinished(() => web.close());
  const mine = await web.signIn(must(amara), new Browser(phylax.dev));
  expect(mine.tokens.scope?.split(" ").sort()).toEqual(scope.split(" ").sort());
  expect(await (await web.read(mine, "Patient/amara-okafor")).json()).toMatchObject({
    resourceType: "Patient",
    id: "amara-okafor",
  });
  expect((await web.read(mine, `Patient/${must(other).patient}`)).status).toBe(404);
});

test("T5: fhirclient does not bind its tokens: without an exception they are refused; with an exception each patient's record is read, and recorded as unbound", async ({
  expect,
}) => {
  const signIn = (user: DevUser) => app.signIn(user, new Browser(phylax.dev));
  let mine = await signIn(must(amara));
  const again = async () => {
    mine = await signIn(must(amara)); // after a 401 fhirclient has dropped its token
    return statusOf(mine.patient.read());
  };
  await register({ dpop: true });
  await expect.poll(again, patience).toBe(401);
  mine = await signIn(must(amara));
  expect(mine.patient.id).toBe("amara-okafor");
  expect(mine.state.tokenResponse).toMatchObject({ token_type: "Bearer", patient: "amara-okafor" });
  expect(mine.state.tokenResponse).not.toHaveProperty("refresh_token");
  const refused = await mine.patient.read().then(
    () => expect.fail("it was answered"),
    (fault: Answered) => fault,
  );
  expect(refused.response.status).toBe(401);
  expect(await recordOf(refused)).toMatchObject({ kind: "refusal", outcome: { reason: "token_unbound" } });

  const until = new Date(Date.now() + 30 * 86_400_000).toISOString();
  await register({ unboundUntil: until });
  await expect.poll(again, patience).toBe(200);
  const read = (await mine.request({ url: "Patient/amara-okafor", includeResponse: true })) as Answered & {
    readonly body: unknown;
  };
  expect(read.body).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
  expect(await recordOf(read)).toMatchObject({
    kind: "disclosure",
    who: {
      client: "smart-app",
      issuer: iss,
      subject: must(amara).login,
      user: "Patient/amara-okafor",
      patient: "amara-okafor",
      unbound: true,
    },
    why: { purposes: ["PATRQT"] },
  });
  expect(await mine.user.read()).toMatchObject({ id: "amara-okafor" }); // fhirUser of the ID token
  const rows = (await mine.patient.request("Observation?_count=5", { flat: true, pageLimit: 1 })) as {
    subject: { reference: string };
  }[];
  expect(new Set(rows.map(({ subject }) => subject.reference))).toEqual(new Set(["Patient/amara-okafor"]));
  expect(await statusOf(mine.request(`Patient/${must(other).patient}`))).toBe(404);

  const theirs = await signIn(must(other));
  expect(await theirs.patient.read()).toMatchObject({ id: must(other).patient });
  expect(await statusOf(theirs.request("Patient/amara-okafor"))).toBe(404);
});

/** A machine on openid-client as npm has it, started from the FHIR base alone. */
async function machine(id: string, key: JWK, by = dispatcher) {
  const configuration = new URL(`${phylax.dev.fhir}/.well-known/smart-configuration`);
  const { alg = "", kid = "" } = key;
  const proof = client.PrivateKeyJwt({ key: (await importJWK(key, alg)) as CryptoKey, kid });
  return client.discovery(configuration, id, undefined, proof, {
    // Node's fetch accepts it (undici)
    [client.customFetch]: (url, options) => fetch(url, { ...options, dispatcher: by } as RequestInit),
  });
}

const claimsOf = (id: string) => ({
  iss: id,
  sub: id,
  aud: `${iss}/token`,
  jti: randomUUID(),
  exp: Math.floor(Date.now() / 1000) + 300,
});
const signed = async (claims: object, key = must(keys[1])) =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: key.alg ?? "", ...(key.kid !== undefined && { kid: key.kid }) })
    .sign(await importJWK(key));

/** The answer of the provider's token endpoint to an assertion. */
async function answerTo(assertion: string, more: Readonly<Record<string, string>> = {}) {
  const form = {
    grant_type: "client_credentials",
    scope: scopeOfMachine,
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    client_assertion: assertion,
    ...more,
  };
  const reply = await send(phylax.dev, undefined, `${iss}/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(form).toString(),
  });
  return { status: reply.status, headers: reply.headers, ...JSON.parse(reply.text) };
}

const readAs = (token: string, path: string, sending = {}) =>
  send(phylax.dev, undefined, `${phylax.dev.fhir}/${path}`, {
    headers: { authorization: `Bearer ${token}` },
    ...sending,
  });

test("machines find the provider through the base, prove themselves by RS384 and ES384, and read by the grant of their own entry", async ({
  expect,
}) => {
  for (const key of keys) {
    const app = await machine("certified-service-there", key, certified);
    expect(app.serverMetadata().token_endpoint).toBe(`${iss}/token`);
    const tokens = await client.clientCredentialsGrant(app, { scope: scopeOfMachine });
    expect(tokens).toMatchObject({ token_type: "bearer", expires_in: 300, scope: scopeOfMachine });
    const url = new URL(`${phylax.dev.fhir}/Patient/amara-okafor`);
    const answer = await client.fetchProtectedResource(app, tokens.access_token, url, "GET");
    expect(answer.status).toBe(200);
    expect(await recordOf({ response: answer })).toMatchObject({
      kind: "disclosure",
      who: { client: "certified-service", issuer: iss, subject: "certified-service-there" },
      why: { purposes: ["TREAT"] },
    });
    expect(
      (await readAs(tokens.access_token, "Patient/amara-okafor")).status,
      "without its certificate",
    ).toBe(401);
  }
  const app = await machine("proving-service-there", must(keys[1]));
  const DPoP = client.getDPoPHandle(app, await client.randomDPoPKeyPair("ES256"));
  const tokens = await client.clientCredentialsGrant(app, { scope: scopeOfMachine }, { DPoP });
  const url = new URL(`${phylax.dev.fhir}/Patient/amara-okafor`);
  const options = { DPoP };
  const answer = await client.fetchProtectedResource(
    app,
    tokens.access_token,
    url,
    "GET",
    null,
    undefined,
    options,
  );
  expect(answer.status).toBe(200);
});

test("a machine's token gives what the registry grants, and nothing of another client, person or base", async ({
  expect,
}) => {
  const mine = async (id: string, scope: string) => answerTo(await signed(claimsOf(id)), { scope });
  const wide = await mine("keyed-service", "system/*.cruds patient/*.rs launch/patient");
  expect(wide).toMatchObject({ status: 200, scope: "system/*.cruds" });
  expect(wide.headers).toMatchObject({ "cache-control": "no-store", pragma: "no-cache" });
  expect((await readAs(wide.access_token, "Patient/amara-okafor")).status).toBe(200);
  const written = await readAs(wide.access_token, "Observation", {
    method: "POST",
    headers: { authorization: `Bearer ${wide.access_token}`, "content-type": "application/fhir+json" },
    body: JSON.stringify({ resourceType: "Observation", status: "final", code: { text: "x" } }),
  });
  expect(written.status, "beyond the grant").toBe(403);
  const person = await mine("keyed-app", scopeOfMachine); // the registry grants it patient/ and user/ scopes alone
  for (const purpose of ["TREAT", "PATRQT"]) {
    const headers = { authorization: `Bearer ${person.access_token}`, "phylax-purpose": purpose };
    expect([401, 403]).toContain((await readAs("", "Patient/amara-okafor", { headers })).status);
  }
  const ofIdTokens: JWK = JSON.parse(
    readFileSync(join(phylax.state, "issuers", "sandbox-id-tokens.jwk.json"), "utf8"),
  );
  const forged = await new SignJWT(decodeJwt(wide.access_token))
    .setProtectedHeader({ alg: "RS256", kid: ofIdTokens.kid ?? "", typ: "at+jwt" })
    .sign(await importJWK(ofIdTokens));
  expect((await readAs(forged, "Patient/amara-okafor")).status, "the key of ID tokens").toBe(401);
  for (const scope of ["patient/*.rs", "user/*.rs", "openid", ""])
    expect(await mine("keyed-service", scope), scope).toMatchObject({ status: 400, error: "invalid_scope" });
  for (const resource of [phylax.dev.ops, `${phylax.dev.gateway}/v1/fhir/other`])
    expect(await answerTo(await signed(claimsOf("keyed-service")), { resource }), resource).toMatchObject({
      status: 400,
      error: "invalid_target",
    });
});

test("an assertion that is not the machine's own, not new, or not for this server gets no token", async ({
  expect,
}) => {
  const id = "keyed-service";
  const once = await signed(claimsOf(id));
  expect((await answerTo(once)).status).toBe(200);
  const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const hmac = `${encoded({ alg: "HS256" })}.${encoded(claimsOf(id))}`;
  const publicKey = JSON.stringify(must(jwks.keys[1]));
  const { privateKey } = await generateKeyPair("ES384", { extractable: true });
  const now = Math.floor(Date.now() / 1000);
  const bad = {
    "a replayed jti": once,
    "alg none": `${encoded({ alg: "none" })}.${encoded(claimsOf(id))}.`,
    "HS256 with the public key": `${hmac}.${createHmac("sha256", publicKey).update(hmac).digest("base64url")}`,
    "the key of another": await signed(claimsOf(id), {
      ...(await exportJWK(privateKey)),
      alg: "ES384",
      kid: "machine-ES384",
    }),
    "another client's name": await signed({ ...claimsOf(id), iss: "keyed-app" }),
    "the registry's name in place of the issuer's": await signed(claimsOf("certified-service")),
    "a client of the built-in issuer": await signed(claimsOf("telehealth")),
    "another audience": await signed({ ...claimsOf(id), aud: phylax.dev.tokenEndpoint }),
    "ten minutes": await signed({ ...claimsOf(id), exp: now + 600 }),
    "an end in the past": await signed({ ...claimsOf(id), exp: now - 60 }),
    "no jti": await signed({ ...claimsOf(id), jti: undefined }),
  };
  for (const [what, assertion] of Object.entries(bad))
    expect(await answerTo(assertion), what).toMatchObject({ status: 401, error: "invalid_client" });
  const bound = await answerTo(await signed(claimsOf("certified-service-there")));
  expect(bound, "without the certificate to which its tokens are bound").toMatchObject({ status: 400 });
});

/** An app with a secret on fhirclient, and the address to which the launch page sends the browser. */
async function launched(patient: string, ward: SmartApp, browser: Browser, clientId = "confidential-app") {
  const page = new URL(`${iss}/launch`);
  page.search = new URLSearchParams({ client_id: clientId, launch_uri: ward.launchUri }).toString();
  const clinician = must(phylax.dev.clinicians[0]);
  return browser.submit(await browser.open(page), { ...typed(clinician), patient });
}

test("EHR launch: fhirclient with a secret gets the patient for whom a clinician launched it, refreshes, and no other patient", async ({
  expect,
  onTestFinished,
}) => {
  const { id, secret } = must(phylax.dev.apps[0]);
  const words = "launch openid fhirUser offline_access patient/*.rs";
  const ward = await SmartApp.start(phylax.dev, id, words, { clientSecret: secret });
  onTestFinished(() => ward.close());
  const clinician = must(phylax.dev.clinicians[0]);
  const browser = new Browser(phylax.dev);
  const address = appOf(await launched("amara-okafor", ward, browser));
  expect(address.searchParams.get("iss")).toBe(phylax.dev.fhir);
  const theirs = await ward.signIn(clinician, browser, address.href);
  expect(theirs.state.tokenResponse).toMatchObject({
    patient: "amara-okafor",
    need_patient_banner: true,
    fhirUser: clinician.fhirUser,
    refresh_token: expect.any(String),
  });
  const read = (await theirs.request({ url: "Patient/amara-okafor", includeResponse: true })) as Answered;
  expect(await recordOf(read)).toMatchObject({
    who: { client: id, subject: clinician.login, user: clinician.fhirUser, patient: "amara-okafor" },
    why: { purposes: ["TREAT"] },
  });
  expect(await theirs.user.read()).toMatchObject({ resourceType: "Practitioner" }); // fhirUser of the ID token
  await theirs.refresh();
  expect(await theirs.patient.read()).toMatchObject({ id: "amara-okafor" });
  expect(await statusOf(theirs.request(`Patient/${must(other).patient}`))).toBe(404);
  // the launch is used, of this app, and of this user
  const again = await browser.open(await ward.launch(address.href));
  expect("app" in again && again.app.searchParams.get("error")).toBe("invalid_request");
  const elsewhere = await SmartApp.start(phylax.dev, "smart-app", words);
  onTestFinished(() => elsewhere.close());
  const fresh = new Browser(phylax.dev);
  const { searchParams } = appOf(await launched("amara-okafor", ward, fresh));
  const taken = await fresh.open(await elsewhere.launch(`${elsewhere.launchUri}?${searchParams.toString()}`));
  expect("app" in taken && taken.app.searchParams.get("error")).toBe("invalid_request");
  const page = await fresh.open(await ward.launch(`${ward.launchUri}?${searchParams.toString()}`));
  expect(pageOf(await fresh.submit(page, typed(must(amara)))).reply.status, "another user").toBe(403);
});

test("the launch page serves registered apps on this machine, and a patient's own record", async ({
  expect,
}) => {
  const ask = async (launchUri: string, more: object = {}, clientId = "smart-app") => {
    const page = new URL(`${iss}/launch`);
    page.search = new URLSearchParams({ client_id: clientId, launch_uri: launchUri }).toString();
    const browser = new Browser(phylax.dev);
    const step = await browser.open(page);
    if (pageOf(step).reply.status !== 200) return pageOf(step).reply.status;
    const sent = { ...typed(must(amara)), patient: "amara-okafor", ...more };
    const end = await browser.submit(step, sent);
    return "app" in end ? end.app.origin : end.reply.status;
  };
  expect(await ask("http://127.0.0.1:4567/launch")).toBe("http://127.0.0.1:4567");
  for (const elsewhere of [
    "https://app.example/launch",
    "http://localhost@app.example/",
    "http://localhost.app.example/",
  ])
    expect(await ask(elsewhere), elsewhere).toBe(400);
  expect(await ask("http://127.0.0.1:4567/launch", {}, "nobody")).toBe(400);
  expect(await ask("http://127.0.0.1:4567/launch", { patient: must(other).patient })).toBe(403);
  expect(await ask("http://127.0.0.1:4567/launch", { password: "wrong" })).toBe(403);
});
