import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  jwtVerify,
  type JWK,
} from "jose";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { publicHalf } from "../../sandbox/keys.ts";
import { appOf, Browser, pageOf } from "../support/browser.ts";
import { must } from "../support/must.ts";
import { patience } from "../support/patience.ts";
import { kitPage, SmartKit, type KitApp } from "../support/smart-kit.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

// The assertions of Inferno's SMART App Launch test kit 1.0 (inferno-framework/smart-app-launch-test-kit) for
// servers, in our words, and the rules of SMART App Launch 2.2 that its suites do not test. A tester of STU 1
// turns PKCE on: the provider refuses a sign-in without.

const root = join(import.meta.dirname, "../..");
const version2 = {
  standalone: "launch/patient openid fhirUser offline_access patient/*.rs",
  ehr: "launch openid fhirUser offline_access patient/*.rs",
  asymmetric: true,
};
const suites = [
  {
    name: "STU 1",
    path: "smart",
    standalone: "launch/patient openid fhirUser offline_access patient/*.read",
    ehr: "launch openid fhirUser offline_access user/*.read",
    asymmetric: false,
  },
  { name: "STU 2", path: "smart_stu2", ...version2 },
  { name: "STU 2.2", path: "smart_stu2_2", ...version2 },
];
type Suite = (typeof suites)[number];

let phylax: TestStack;
let kit: SmartKit;
let base = "";
let iss = "";
let open: KitApp;
let symmetric: KitApp;
let rs384: KitApp;
let es384: KitApp;
let service: string;
/** Keys in the form of the kit's own: an operation, a use, and an id. */
const keys = await Promise.all(
  ["RS384", "ES384"].map(async (alg): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return Object.assign(await exportJWK(privateKey), { alg, kid: `kit-${alg}`, use: "sig" });
  }),
);
beforeAll(async () => {
  phylax = await startTestStack();
  base = phylax.dev.fhir;
  ({ iss } = must(phylax.dev.issuers[0]));
  kit = new SmartKit({
    ca: phylax.dev.ca,
    fhir: base,
    authorize: `${iss}/auth`,
    token: `${iss}/token`,
    launch: `${iss}/launch`,
  });
  const { id, secret } = must(phylax.dev.apps[0]);
  open = { id: "smart-app", proof: "public" };
  symmetric = { id, proof: { secret } };
  rs384 = { id: "keyed-app", proof: { key: must(keys[0]) } };
  es384 = { id: "keyed-app", proof: { key: must(keys[1]) } };
  service = "keyed-service";
  const file = join(phylax.state, "jwks.json");
  const jwks = keys.map((key) => Object.assign(publicHalf(key), { key_ops: ["verify"], ext: true }));
  writeFileSync(file, JSON.stringify({ keys: jwks }));
  const example = ["examples/smart-registry.mjs", join(phylax.state, "dev.json"), file];
  const { stdout } = await promisify(execFile)(process.execPath, example, { cwd: root });
  await phylax.stack.runtime.applyRegistry(JSON.parse(stdout));
  await vi.waitUntil(async () => (await smartConfiguration()).token_endpoint === `${iss}/token`, patience);
}, 90_000);
afterAll(() => phylax.close());

const wellKnown = () => `${base}/.well-known/smart-configuration`;
const smartConfiguration = async () => JSON.parse((await kit.get(wellKnown())).text);
const mayRead = ({ headers }: Reply) =>
  expect([kitPage, "*"]).toContain(headers["access-control-allow-origin"]);
const json = ({ status, headers, text }: Reply, status_ = 200) => {
  expect(status, text).toBe(status_);
  expect(headers["content-type"], "JSON").toMatch(/^application\/(?:fhir\+)?json/u);
  return JSON.parse(text);
};
const words = (scope: string) => scope.split(" ").sort();

/** The answer of the token endpoint, as each suite judges the answer. */
function judgedTokens(reply: Reply, asked: string) {
  const body = json(reply);
  for (const name of ["access_token", "token_type", "scope"])
    expect(body[name], `${name} is a text`).toEqual(expect.stringMatching(/./u));
  expect(body.expires_in, "expires_in is a number").toEqual(expect.any(Number));
  expect(body.token_type.toLowerCase(), "a bearer token").toBe("bearer");
  expect(words(body.scope), "the scopes that were asked for").toEqual(words(asked));
  expect(body.fhirContext, "no context of other types").toBeUndefined();
  expect(reply.headers["cache-control"], "no cache stores the token").toContain("no-store");
  expect(reply.headers.pragma, "no old cache stores the token").toContain("no-cache");
  return body;
}

/** What the suites' group on OpenID Connect asserts about an ID token. */
async function judgeIdToken(app: KitApp, tokens: Record<string, string>, fhirUser: string) {
  const { id_token: idToken = "", access_token: access = "" } = tokens;
  const said = decodeJwt(idToken);
  const configuration = json(await kit.get(`${said.iss}/.well-known/openid-configuration`, {}));
  for (const name of [
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
  ])
    expect(configuration, "a required member of the provider's configuration").toHaveProperty(name);
  expect(configuration.id_token_signing_alg_values_supported).toContain("RS256");
  const { keys: published } = JSON.parse((await kit.get(configuration.jwks_uri, {})).text);
  const rsa: JWK[] = published.filter(({ kty }: JWK) => kty === "RSA");
  expect(rsa.length, "the key set has an RSA key").toBeGreaterThan(0);
  expect(
    published.filter((key: JWK) => "d" in key || "k" in key),
    "no private key",
  ).toEqual([]);
  const { alg, kid } = decodeProtectedHeader(idToken);
  expect(alg, "the ID token is signed by RS256").toBe("RS256");
  const key = rsa.find((each) => each.kid === kid);
  expect(key, "the header names a published RSA key").toBeDefined();
  const { payload } = await jwtVerify(idToken, await importJWK(must(key), "RS256"), {
    issuer: configuration.issuer,
    audience: app.id,
    algorithms: ["RS256"],
    requiredClaims: ["iss", "sub", "aud", "exp", "iat"],
  });
  expect(payload.sub).toMatch(/^.{1,255}$/u);
  expect(payload["fhirUser"], "the ID token names the user").toBe(fhirUser);
  const [type, user] = fhirUser.split("/").slice(-2);
  expect(["Patient", "Practitioner", "RelatedPerson", "Person"]).toContain(type);
  const read = await kit.read(access, `${type}/${user}`);
  expect(json(read), "the token reads the user").toMatchObject({ resourceType: type, id: user });
  mayRead(read);
  return payload;
}

/** The code, the tokens, and two refreshes, as the groups of a launch assert them. */
async function runLaunch(
  app: KitApp,
  suite: Suite,
  launched: boolean,
  by: "GET" | "POST",
  asPatient: boolean,
) {
  const browser = new Browser(phylax.dev);
  const user = must(asPatient ? phylax.dev.users[0] : phylax.dev.clinicians[0]);
  const patient = must(phylax.dev.users[0]).patient;
  const redirect = `${kitPage}/custom/${suite.path}/redirect`;
  const scope = launched ? suite.ehr : suite.standalone;
  let launch = "";
  if (launched) {
    const uri = `${kitPage}/custom/${suite.path}/launch`;
    const { at, said } = await kit.launch(app, uri, user, patient, browser);
    expect(at, "the EHR opens the app's launch page").toBe(uri);
    expect(said["iss"], "the launch names the FHIR base").toBe(base);
    launch = must(said["launch"]);
  }
  const back = await kit.authorize(app, { scope, redirect, by, launch }, user, browser);
  expect(back.at, "the browser comes back to the app").toBe(redirect);
  expect(back.said, "a code, the app's own state, and no error").toMatchObject({
    code: expect.stringMatching(/./u),
    state: back.state,
  });
  expect(back.said).not.toHaveProperty("error");
  const reply = await kit.token(app, {
    grant_type: "authorization_code",
    code: must(back.said["code"]),
    redirect_uri: redirect,
    code_verifier: back.verifier,
  });
  // a public app on this machine has no refresh token (an unbound one would let a thief read for a day)
  const granted = app.proof === "public" ? scope.replace(" offline_access", "") : scope;
  const tokens = judgedTokens(reply, granted);
  expect(tokens, "the patient, and whether the app shows whose record it is").toMatchObject({
    patient,
    need_patient_banner: true,
  });
  if (app.proof === "public") mayRead(reply);
  await judgeIdToken(app, tokens, user.fhirUser);
  expect((await kit.read(tokens.access_token, `Patient/${patient}`)).status, "reads the patient").toBe(200);
  const strange = await kit.read(tokens.access_token, `Patient/${must(phylax.dev.users[1]).patient}`);
  if (asPatient) expect(strange.status, "no other patient").toBe(404);
  if (app.proof === "public") return expect(tokens).not.toHaveProperty("refresh_token");
  let { refresh_token: refresh } = tokens;
  for (const scopes of ["", tokens.scope]) {
    const again = await kit.token(app, {
      grant_type: "refresh_token",
      refresh_token: refresh,
      scope: scopes,
    });
    const renewed = judgedTokens(again, granted);
    expect(renewed.access_token, "a new token").not.toBe(tokens.access_token);
    expect((await kit.read(renewed.access_token, `Patient/${patient}`)).status, "reads as before").toBe(200);
    refresh = renewed.refresh_token ?? refresh;
  }
}

test("discovery: each suite's members, types and addresses stand in the document, in the capabilities and at the provider", async () => {
  for (const accept of [undefined, "application/json", "text/html", "application/fhir+xml"]) {
    const reply = await kit.get(wellKnown(), accept === undefined ? {} : { accept });
    expect(reply.status, String(accept)).toBe(200);
    expect(reply.headers["content-type"], "JSON for each Accept").toMatch(/^application\/json/u);
  }
  const said = await smartConfiguration();
  expect(said).toMatchObject({
    issuer: iss,
    jwks_uri: expect.any(String),
    authorization_endpoint: expect.any(String),
    token_endpoint: expect.any(String),
    capabilities: expect.any(Array),
    response_types_supported: ["code"],
    code_challenge_methods_supported: ["S256"], // and not "plain"
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
    scopes_supported: expect.arrayContaining([
      "openid",
      "fhirUser",
      "launch",
      "launch/patient",
      "offline_access",
    ]),
    token_endpoint_auth_methods_supported: expect.arrayContaining(["client_secret_basic", "private_key_jwt"]),
    token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(["RS384", "ES384"]),
  });
  const endpoints = Object.entries(said).filter(([name]) => /_(?:endpoint|uri)$/u.test(name));
  expect(endpoints.filter(([, url]) => !URL.canParse(String(url)))).toEqual([]);
  expect(said.capabilities.filter((each: unknown) => typeof each !== "string")).toEqual([]);
  // the four sets of capabilities of SMART App Launch 2.2 that ask for no encounter
  expect(said.capabilities).toEqual(
    expect.arrayContaining([
      "launch-standalone",
      "launch-ehr",
      "authorize-post",
      "sso-openid-connect",
      "context-banner",
      "client-public",
      "client-confidential-symmetric",
      "client-confidential-asymmetric",
      "context-standalone-patient",
      "context-ehr-patient",
      "permission-offline",
      "permission-patient",
      "permission-user",
      "permission-v1",
      "permission-v2",
    ]),
  );
  expect(said.capabilities, "what is not built is not claimed").not.toContain("context-style");
  expect(said, "no introspection for the suites' group to ask").not.toHaveProperty("introspection_endpoint");

  const metadata = await kit.get(`${base}/metadata`, { accept: "application/fhir+json", origin: kitPage });
  const { security } = json(metadata).rest[0];
  expect(JSON.stringify(security.service)).toContain('"SMART-on-FHIR"');
  const uris = security.extension.find(
    ({ url }: { url: string }) =>
      url === "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
  );
  const inCapabilities = Object.fromEntries(
    uris.extension.map(({ url, valueUri }: Record<string, string>) => [url, valueUri]),
  );
  expect(inCapabilities, "the capabilities name the same places").toEqual({
    authorize: said.authorization_endpoint,
    token: said.token_endpoint,
    revoke: said.revocation_endpoint,
  });
  mayRead(metadata);
  mayRead(await kit.get(wellKnown(), { accept: "application/json", origin: kitPage }));
  for (const place of [said.jwks_uri, `${iss}/.well-known/openid-configuration`])
    mayRead(await kit.get(place, { origin: kitPage }));
});

test("the authorize and token endpoints speak TLS 1.2 or newer alone", async () => {
  const url = new URL(iss);
  const spoken = (maxVersion: "TLSv1.1" | "TLSv1.3") =>
    new Promise<string | null>((done) => {
      const at = { host: url.hostname, port: Number(url.port), servername: url.hostname };
      // the suites take any certificate, and offer each old version
      const old = { minVersion: "TLSv1" as const, maxVersion, ciphers: "DEFAULT@SECLEVEL=0" };
      const socket = connect({ ...at, ...old, rejectUnauthorized: false }, () => {
        done(socket.getProtocol());
        socket.destroy();
      }).on("error", () => done(null));
    });
  expect(await spoken("TLSv1.1")).toBeNull();
  expect(["TLSv1.2", "TLSv1.3"]).toContain(await spoken("TLSv1.3"));
});

for (const suite of suites) {
  const methods = suite.asymmetric ? (["GET", "POST"] as const) : (["GET"] as const);
  const apps = () => [open, symmetric, ...(suite.asymmetric ? [rs384, es384] : [])];

  test(`${suite.name}: a standalone launch, OpenID Connect and refresh, by each kind of app`, async () => {
    for (const app of apps())
      for (const by of app === es384 ? (["GET"] as const) : methods)
        await runLaunch(app, suite, false, by, true);
  });

  test(`${suite.name}: an EHR launch, OpenID Connect and refresh, by each kind of app`, async () => {
    // the registry grants the public app the purpose of patients alone
    for (const app of apps()) await runLaunch(app, suite, true, must(methods.at(-1)), app === open);
  });
}

test("backend services: a machine proves itself by RS384 or ES384, gets a bearer token, and reads", async () => {
  for (const key of keys)
    for (const scope of ["system/*.rs", "system/*.read", "system/Patient.rs system/Observation.rs"]) {
      const app = { id: service, proof: { key } };
      const reply = await kit.token(app, { grant_type: "client_credentials", scope });
      const { access_token: token } = judgedTokens(reply, scope);
      expect((await kit.read(token, "Patient/amara-okafor")).status, scope).toBe(200);
      expect((await kit.read(token, "Patient?_count=2")).status, scope).toBe(200);
    }
});

test("backend services: each wrong request is refused with the error of RFC 6749, in JSON", async () => {
  const [key, other] = [must(keys[0]), must(keys[1])];
  const ask = async (assertion: string, instead: Record<string, string> = {}) => {
    const reply = await kit.post(`${iss}/token`, {
      grant_type: "client_credentials",
      scope: "system/*.rs",
      client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
      client_assertion: assertion,
      ...instead,
    });
    const { error } = json(reply, reply.status);
    return [reply.status, error];
  };
  const fresh = (instead = {}) => kit.assertion(service, key, instead);
  const used = await fresh();
  expect(await ask(used)).toEqual([200, undefined]);
  const past = Math.floor(Date.now() / 1000) - 120;
  const stranger = await generateKeyPair("RS384", { extractable: true });
  const unregistered = { ...(await exportJWK(stranger.privateKey)), alg: "RS384", kid: "kit-RS384" };
  const [unsigned] = (await fresh()).split(/\.[^.]*$/u);

  expect(await ask(await fresh(), { grant_type: "not_a_grant_type" })).toEqual([
    400,
    "unsupported_grant_type",
  ]);
  for (const type of ["not_an_assertion_type", ""])
    expect([400, 401], type).toContain((await ask(await fresh(), { client_assertion_type: type }))[0]);
  expect((await ask(await fresh(), { scope: "system/*" }))[1]).toBe("invalid_scope");
  expect((await ask(await fresh(), { scope: "patient/*.rs" }))[1]).toBe("invalid_scope");
  expect(await ask("not.a.token"), "no assertion").toEqual([400, "invalid_request"]);
  const invalid = {
    "an assertion twice": used,
    "an end in the past": await fresh({ exp: past }),
    "a life over five minutes": await fresh({ exp: past + 720 }),
    "the address of another server": await fresh({ aud: phylax.dev.tokenEndpoint }),
    "the FHIR base as audience": await fresh({ aud: base }),
    "no jti": await fresh({ jti: undefined }),
    "another issuer than subject": await fresh({ iss: "keyed-app" }),
    "an unknown client": await kit.assertion("nobody", key),
    "the key of nobody": await kit.assertion(service, unregistered),
    "a key under the other key's id": await kit.assertion(service, { ...other, kid: must(key.kid) }),
    "no signature": `${unsigned}.`,
  };
  for (const [what, assertion] of Object.entries(invalid))
    expect(await ask(assertion), what).toEqual([401, "invalid_client"]);
});

/** A sign-in of the confidential app, up to the code. */
async function coded(scope = version2.standalone, app = symmetric) {
  const browser = new Browser(phylax.dev);
  const redirect = `${kitPage}/custom/smart_stu2_2/redirect`;
  const back = await kit.authorize(app, { scope, redirect }, must(phylax.dev.users[0]), browser);
  return {
    grant_type: "authorization_code",
    code: must(back.said["code"]),
    redirect_uri: redirect,
    code_verifier: back.verifier,
  };
}

test("a sign-in for another base, without S256, without a right proof or with a code that is used gets no token", async () => {
  const redirect = `${kitPage}/custom/smart_stu2_2/redirect`;
  const asked = { scope: version2.standalone, redirect };
  const refusal = async (instead: Record<string, string>) => {
    const { state, step } = await kit.begin(symmetric, { ...asked, instead }, new Browser(phylax.dev));
    const { searchParams } = appOf(step);
    expect(searchParams.get("state")).toBe(state);
    expect(searchParams.has("code")).toBe(false);
    return searchParams.get("error");
  };
  expect(await refusal({ aud: "https://fhir.example/r4" })).toBe("invalid_target");
  expect(await refusal({ code_challenge_method: "plain" })).toBe("invalid_request");
  expect(await refusal({ code_challenge_method: "" }), "the default is plain").toBe("invalid_request");
  expect(await refusal({ code_challenge: "", code_challenge_method: "" })).toBe("invalid_request");
  expect(await refusal({ launch: "nobody-opened-it" })).toBe("invalid_request");
  const elsewhere = { redirect_uri: "https://app.example/redirect" };
  const stays = await kit.begin(symmetric, { ...asked, instead: elsewhere }, new Browser(phylax.dev));
  expect(pageOf(stays.step).reply.status, "never to an address that is not registered").toBe(400);
  const denied = await kit.authorize(
    symmetric,
    asked,
    must(phylax.dev.users[0]),
    new Browser(phylax.dev),
    "deny",
  );
  expect(denied.said).toMatchObject({ error: "access_denied", state: denied.state });
  expect(denied.said).not.toHaveProperty("code");

  for (const [what, instead] of Object.entries({
    "another verifier": { code_verifier: "x".repeat(64) },
    "no verifier": { code_verifier: "" },
    "another redirect": { redirect_uri: `${kitPage}/custom/smart/redirect` },
  })) {
    const form = await coded();
    const { error, ...more } = json(await kit.token(symmetric, { ...form, ...instead }), 400);
    expect(error, what).toBe("invalid_grant");
    expect(more).not.toHaveProperty("access_token");
  }
  const form = await coded();
  expect(json(await kit.token(rs384, form), 400).error, "the code of another app").toBe("invalid_grant");
  const wrong = { id: symmetric.id, proof: { secret: "wrong" } };
  expect(json(await kit.token(wrong, await coded()), 401).error).toBe("invalid_client");
  const nameless = { id: symmetric.id, proof: "public" } as const;
  expect(json(await kit.token(nameless, await coded()), 401).error).toBe("invalid_client");
  const once = await coded();
  const { access_token: token, refresh_token: refresh } = json(await kit.token(symmetric, once));
  expect((await kit.read(token, "Patient/amara-okafor")).status).toBe(200);
  expect(json(await kit.token(symmetric, once), 400).error, "a code twice").toBe("invalid_grant");
  const after = { grant_type: "refresh_token", refresh_token: refresh };
  expect(json(await kit.token(symmetric, after), 400).error, "its tokens end too").toBe("invalid_grant");
});

test("a refresh may ask for less and never for more, and is of its app alone; a token reaches its scopes alone", async () => {
  const tokens = json(await kit.token(symmetric, await coded()));
  const renew = (refresh: string, scope: string, app = symmetric) =>
    kit.token(app, { grant_type: "refresh_token", refresh_token: refresh, scope });
  expect(json(await renew(tokens.refresh_token, "", rs384), 400).error).toBe("invalid_grant");
  expect(json(await renew(tokens.refresh_token, `${tokens.scope} user/*.rs`), 400).error).toBe(
    "invalid_scope",
  );
  const less = json(await renew(tokens.refresh_token, "launch/patient offline_access"));
  expect(words(less.scope)).toEqual(["launch/patient", "offline_access"]);
  expect((await kit.read(less.access_token, "Patient/amara-okafor")).status, "no scope of data").toBe(403);
  const whole = json(await renew(less.refresh_token, ""));
  expect(words(whole.scope), "without scope: those of the sign-in").toEqual(words(tokens.scope));
  expect((await kit.read(whole.access_token, `Patient/${must(phylax.dev.users[1]).patient}`)).status).toBe(
    404,
  );
  expect((await kit.read("nothing", "Patient/amara-okafor")).status).toBe(401);
  expect(json(await renew(tokens.refresh_token, ""), 400).error, "an old one").toBe("invalid_grant");
});

test("permission-v2: a scope with a condition is granted as asked for, kept by a refresh, and reaches these rows alone", async () => {
  const category = "http://terminology.hl7.org/CodeSystem/observation-category";
  const scope = `launch/patient offline_access patient/Observation.rs?category=${category}|laboratory`;
  const further = "system/*.rs patient/Observation.cruds user/Patient.u nonsense";
  const tokens = json(await kit.token(symmetric, await coded(`${scope} ${further}`)));
  const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
  const renewed = json(await kit.token(symmetric, form));
  for (const { scope: granted, access_token: token } of [tokens, renewed]) {
    expect(words(granted)).toEqual(words(scope));
    const { entry } = json(await kit.read(token, "Observation?_count=50"));
    const categories = entry.map(({ resource }: { resource: object }) => JSON.stringify(resource));
    expect(categories.length).toBeGreaterThan(0);
    expect(categories.filter((text: string) => !text.includes('"laboratory"'))).toEqual([]);
    const other = await kit.read(token, `Observation?category=${category}|vital-signs`);
    expect(other.text).not.toContain('"fullUrl"');
    expect((await kit.read(token, "Condition?_count=1")).status).toBe(403);
  }
});

test("a browser's page may ask the token endpoint and the base, and reads a nonce that was asked for in the ID token", async () => {
  const preflight = async (url: string, method: string, headers: string) => {
    const asked = { "access-control-request-method": method, "access-control-request-headers": headers };
    const reply = await kit.options(url, { origin: kitPage, ...asked });
    expect(reply.status).toBeLessThan(300);
    mayRead(reply);
    expect(String(reply.headers["access-control-allow-headers"]).toLowerCase()).toContain(headers);
  };
  await preflight(`${iss}/token`, "POST", "authorization");
  await preflight(`${base}/Patient/amara-okafor`, "GET", "authorization");
  const redirect = `${kitPage}/custom/smart_stu2_2/redirect`;
  const asked = { scope: version2.standalone, redirect, instead: { nonce: "the app's own text" } };
  const amara = must(phylax.dev.users[0]);
  const back = await kit.authorize(open, asked, amara, new Browser(phylax.dev));
  const tokens = json(
    await kit.token(open, {
      grant_type: "authorization_code",
      code: must(back.said["code"]),
      redirect_uri: redirect,
      code_verifier: back.verifier,
    }),
  );
  expect(await judgeIdToken(open, tokens, amara.fhirUser)).toMatchObject({ nonce: "the app's own text" });
});
