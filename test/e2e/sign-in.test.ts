import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { decodeJwt, decodeProtectedHeader } from "jose";
import * as client from "openid-client";
import { afterAll, beforeAll, test } from "vitest";
import type { DevUser } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { assurance } from "../../sandbox/identity-provider/assurance.ts";
import { styleSource } from "../../sandbox/identity-provider/pages.ts";
import { totp } from "../../sandbox/identity-provider/totp.ts";
import { openLedger } from "../support/auditor.ts";
import { appOf, Browser, pageOf } from "../support/browser.ts";
import { LogWatch } from "../support/log-watch.ts";
import { PatientWeb, scope, typed, type SignedIn } from "../support/patient-web.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";
import { must } from "../support/must.ts";

let phylax: TestStack;
let app: PatientWeb;
let [amara, other]: DevUser[] = [];
beforeAll(async () => {
  phylax = await sharedTestStack();
  [amara, other] = phylax.dev.users;
  app = await PatientWeb.start(phylax.dev);
}, 60_000);
afterAll(async () => {
  await app.close();
  await phylax.close();
});

test("a patient signs in, and the app reads that patient's record and no further record", async ({
  expect,
}) => {
  const mine = await app.signIn(must(amara), new Browser(phylax.dev));
  const answer = await app.read(mine, "Patient/amara-okafor");
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
  expect((await app.read(mine, `Patient/${must(other).patient}`)).status).toBe(404);
  const bundle: {
    readonly entry: readonly { readonly resource: { readonly subject: { readonly reference: string } } }[];
  } = await (await app.read(mine, "Observation?_count=5")).json();
  expect(new Set(bundle.entry.map(({ resource }) => resource.subject.reference))).toEqual(
    new Set(["Patient/amara-okafor"]),
  );

  const id = answer.headers.get("x-request-id");
  expect((await openLedger(phylax.dev)).find(({ event }) => event.id === id)?.event).toMatchObject({
    who: {
      client: "patient-web",
      issuer: must(phylax.dev.issuers[0]).iss,
      subject: "patient-1",
      user: "Patient/amara-okafor",
      patient: "amara-okafor",
    },
    why: { purposes: ["PATRQT"] },
  });
  const theirs = await app.signIn(must(other), new Browser(phylax.dev));
  expect((await app.read(theirs, `Patient/${must(other).patient}`)).status).toBe(200);
  expect((await app.read(theirs, "Patient/amara-okafor")).status).toBe(404);
});

test("the token states patient, purpose, method and time; the answer with it gives the launch context", async ({
  expect,
}) => {
  const before = Math.floor(Date.now() / 1000);
  const { tokens } = await app.signIn(must(amara), new Browser(phylax.dev));
  expect(tokens).toMatchObject({
    token_type: "dpop",
    expires_in: 300,
    patient: "amara-okafor",
    fhirUser: "Patient/amara-okafor",
  });
  expect(tokens.scope?.split(" ").sort()).toEqual(scope.split(" ").sort());
  expect(decodeProtectedHeader(tokens.access_token)).toEqual({
    typ: "at+jwt",
    alg: "ES256",
    kid: "sandbox-issuer-1",
  });
  const { auth_time: at, ...claims } = decodeJwt(tokens.access_token);
  expect(claims).toMatchObject({
    aud: phylax.dev.fhir,
    client_id: "patient-web",
    sub: "patient-1",
    patient: "amara-okafor",
    fhirUser: "Patient/amara-okafor",
    purpose_of_use: ["PATRQT"],
    acr: assurance.password.acr,
    amr: ["pwd"],
    cnf: { jkt: expect.any(String) },
  });
  expect(at).toBeGreaterThanOrEqual(before);
  expect(tokens.claims()).toMatchObject({
    acr: assurance.password.acr,
    amr: ["pwd"],
    auth_time: at,
    fhirUser: "Patient/amara-okafor",
  });
  expect(tokens.id_token).not.toContain("at+jwt");
});

test("a session needs no password until more is required: two factors, or a fresh sign-in", async ({
  expect,
}) => {
  const browser = new Browser(phylax.dev);
  const said = ({ tokens }: SignedIn) =>
    decodeJwt(tokens.access_token) as { acr: string; amr: string[]; auth_time: number };
  const first = await app.signIn(must(amara), browser);
  const again = await app.signIn(must(amara), browser);
  expect(again.asked).toBe(false);
  expect(said(again).auth_time).toBe(said(first).auth_time);

  await new Promise((passed) => setTimeout(passed, 1_100)); // auth_time counts whole seconds
  const raised = await app.signIn(must(amara), browser, { acr_values: assurance.twoFactors.acr });
  expect(raised.asked).toBe(true);
  expect(said(raised)).toMatchObject({ acr: assurance.twoFactors.acr, amr: ["pwd", "otp", "mfa"] });
  expect(said(raised).auth_time).toBeGreaterThan(said(first).auth_time);
  expect((await app.read(raised, "Patient/amara-okafor")).status).toBe(200);

  await new Promise((passed) => setTimeout(passed, 1_100));
  const fresh = await app.signIn(must(amara), browser, { max_age: "0" });
  expect(fresh.asked).toBe(true);
  expect(said(fresh).auth_time).toBeGreaterThan(said(raised).auth_time);
});

test("a session does not pass from one person to the next", async ({ expect }) => {
  const browser = new Browser(phylax.dev);
  await app.signIn(must(amara), browser);
  const page = await browser.open((await app.request({ prompt: "login consent" })).url);
  const { reply } = pageOf(await browser.submit(page, typed(must(other))));
  expect(reply.status).toBe(403);
  expect(reply.text).toContain("Somebody else is signed in");
});

test("refresh tokens rotate, retain the facts of the sign-in, and a second use ends them all", async ({
  expect,
}) => {
  const { tokens, DPoP } = await app.signIn(must(amara), new Browser(phylax.dev));
  const first = must(tokens.refresh_token);
  const next = await client.refreshTokenGrant(app.config, first, undefined, { DPoP });
  expect(next.refresh_token).not.toBe(first);
  expect(next).toMatchObject({ patient: "amara-okafor", expires_in: 300 });
  const { acr, auth_time, patient } = decodeJwt(tokens.access_token);
  expect(decodeJwt(next.access_token)).toMatchObject({ acr, auth_time, patient });
  expect((await app.read({ tokens: next, DPoP }, "Patient/amara-okafor")).status).toBe(200);

  await expect(client.refreshTokenGrant(app.config, first, undefined, { DPoP })).rejects.toMatchObject({
    error: "invalid_grant",
  });
  await expect(
    client.refreshTokenGrant(app.config, must(next.refresh_token), undefined, { DPoP }),
  ).rejects.toMatchObject({
    error: "invalid_grant",
  });
});

test("stolen tokens are worth nothing without the app's key", async ({ expect }) => {
  const { tokens, DPoP } = await app.signIn(must(amara), new Browser(phylax.dev));
  const refresh = must(tokens.refresh_token);
  const thief = await app.newKey();
  await expect(
    client.refreshTokenGrant(app.config, refresh, undefined, { DPoP: thief }),
  ).rejects.toMatchObject({ error: "invalid_grant" });
  await expect(client.refreshTokenGrant(app.config, refresh)).rejects.toMatchObject({ status: 400 });
  await expect(app.read({ tokens, DPoP: thief }, "Patient/amara-okafor")).rejects.toMatchObject({
    status: 401,
  });
  const url = new URL(`${phylax.dev.fhir}/Patient/amara-okafor`);
  await expect(
    client.fetchProtectedResource(app.config, tokens.access_token, url, "GET"),
  ).rejects.toMatchObject({ status: 401 });
  expect(
    (await client.refreshTokenGrant(app.config, refresh, undefined, { DPoP })).access_token,
  ).toBeDefined(); // it was good all the time
});

test("an app can revoke its refresh token at the end", async ({ expect }) => {
  const { tokens, DPoP } = await app.signIn(must(amara), new Browser(phylax.dev));
  const refresh = must(tokens.refresh_token);
  await client.tokenRevocation(app.config, refresh);
  await expect(client.refreshTokenGrant(app.config, refresh, undefined, { DPoP })).rejects.toMatchObject({
    error: "invalid_grant",
  });
});

test("a sign-in prints no password, secret, token or name", async () => {
  const { password, totp: secret } = must(amara);
  const printed = new LogWatch([password, secret, "Okafor"]);
  const signedIn = await app.signIn(must(amara), new Browser(phylax.dev), {
    acr_values: assurance.password.acr,
  });
  await app.read(signedIn, "Patient/amara-okafor");
  await client.refreshTokenGrant(app.config, must(signedIn.tokens.refresh_token), undefined, {
    DPoP: signedIn.DPoP,
  });
  const page = await new Browser(phylax.dev).open((await app.request()).url);
  await new Browser(phylax.dev).submit(page, { login: password, password, decision: "allow" });
  printed.end();
});

test("a code is worth nothing without its verifier or a key, nor at a different address; and it is good once", async ({
  expect,
}) => {
  const browser = new Browser(phylax.dev);
  await app.signIn(must(amara), browser);
  const DPoP = await app.newKey();
  const code = async () => {
    const { url, checks } = await app.request();
    return { answer: appOf(await browser.submit(await browser.open(url), { decision: "allow" })), checks };
  };
  const stolen = await code();
  const wrong = { ...stolen.checks, pkceCodeVerifier: client.randomPKCECodeVerifier() };
  await expect(
    client.authorizationCodeGrant(app.config, stolen.answer, wrong, undefined, { DPoP }),
  ).rejects.toMatchObject({
    error: "invalid_grant",
  });
  const elsewhere = new URL(stolen.answer);
  elsewhere.port = "43118";
  await expect(
    client.authorizationCodeGrant(app.config, elsewhere, stolen.checks, undefined, { DPoP }),
  ).rejects.toMatchObject({
    error: "invalid_grant",
  });
  const keyless = await code();
  await expect(
    client.authorizationCodeGrant(app.config, keyless.answer, keyless.checks),
  ).rejects.toMatchObject({ status: 400 });
  const used = await code();
  await client.authorizationCodeGrant(app.config, used.answer, used.checks, undefined, { DPoP });
  await expect(
    client.authorizationCodeGrant(app.config, used.answer, used.checks, undefined, { DPoP }),
  ).rejects.toMatchObject({
    error: "invalid_grant",
  });
});

test("an authorization request that is not this app's is answered on a page, never by a redirect", async ({
  expect,
}) => {
  for (const redirect_uri of [
    "http://127.0.0.1:43117/elsewhere",
    "https://app.example/callback",
    "http://127.0.0.1.example/callback",
  ]) {
    const { url } = await app.request({ redirect_uri });
    const { reply } = pageOf(await new Browser(phylax.dev).open(url));
    expect(reply.status, redirect_uri).toBe(400);
    expect(reply.text).toContain("redirect_uri");
  }
  const { reply } = pageOf(
    await new Browser(phylax.dev).open((await app.request({ client_id: "patient-app" })).url),
  );
  expect(reply.status).toBe(400);
});

test("a request without S256, or for a different server, is redirected back as an error without a sign-in", async ({
  expect,
}) => {
  const back = async (more: Readonly<Record<string, string>>) =>
    appOf(await new Browser(phylax.dev).open((await app.request(more)).url)).searchParams.get("error");
  const { url } = await app.request();
  for (const left of ["code_challenge", "code_challenge_method"]) {
    url.searchParams.delete(left);
    expect(appOf(await new Browser(phylax.dev).open(url)).searchParams.get("error")).toBe("invalid_request");
  }
  expect(await back({ code_challenge_method: "plain" })).toBe("invalid_request");
  expect(await back({ aud: "https://elsewhere.example/fhir" })).toBe("invalid_target");
  expect(await back({ resource: "https://elsewhere.example/fhir" })).toBe("invalid_target");
  expect(await back({ prompt: "none" })).toBe("login_required");
});

test("a refused consent is a refusal, and a missing answer is not a consent", async ({ expect }) => {
  const browser = new Browser(phylax.dev);
  const denied = await browser.submit(await browser.open((await app.request()).url), { decision: "deny" });
  expect(appOf(denied).searchParams.get("error")).toBe("access_denied");
  const consent = await browser.submit(await browser.open((await app.request()).url), typed(must(amara)));
  expect(pageOf(consent).reply.text).toContain("<li>Read and search all kinds of your records</li>");
  expect(pageOf(await browser.submit(consent, {})).reply.status).toBe(400);
  expect(appOf(await browser.submit(consent, { decision: "deny" })).searchParams.get("error")).toBe(
    "access_denied",
  );
});

test("wrong passwords are slowed down, for unknown names as well; a form of a different site is refused", async ({
  expect,
}) => {
  const browser = new Browser(phylax.dev);
  const start = await browser.open((await app.request()).url);
  for (const login of [must(other).login, "nobody"]) {
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) {
      const { reply } = pageOf(await browser.submit(start, { login, password: "guess", decision: "allow" }));
      statuses.push(reply.status);
      if (reply.status === 429) expect(Number(reply.headers["retry-after"])).toBeGreaterThan(0);
    }
    expect(statuses, login).toEqual([403, 403, 403, 429, 429]);
  }
  const right = pageOf(await browser.submit(start, typed(must(other))));
  expect(right.reply.status, "not even the right one counts while the name waits").toBe(429);
  const foreign = await browser.submit(start, typed(must(amara)), { origin: "https://elsewhere.example" });
  expect(pageOf(foreign).reply.status).toBe(400);
});

test("its pages load nothing and run nothing, and it answers to its own name only", async ({ expect }) => {
  const { reply } = pageOf(await new Browser(phylax.dev).open((await app.request()).url));
  expect(reply.headers).toMatchObject({
    "content-security-policy": `default-src 'none'; style-src ${styleSource}; form-action 'self' http://127.0.0.1:43117; frame-ancestors 'none'; base-uri 'none'`,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
  });
  expect(reply.text).not.toMatch(/<script|<link|<img|src=|href=|style=/u);
  const { iss } = must(phylax.dev.issuers[0]);
  const { headers } = await send(phylax.dev, undefined, (await app.request()).url.href);
  expect(headers["set-cookie"]?.length).toBeGreaterThan(0);
  for (const cookie of headers["set-cookie"] ?? [])
    expect(cookie).toMatch(/; samesite=lax; secure; httponly$/u);
  const misled = await new Browser(phylax.dev).open(
    new URL(`${iss.replace("localhost", "127.0.0.1")}/.well-known/openid-configuration`),
  );
  expect(pageOf(misled).reply.status).toBe(421);
});

const root = join(import.meta.dirname, "../..");

/** The shell blocks of docs/sign-in.md, for this test's state. */
function printed(): readonly string[] {
  const state = dirname(dirname(phylax.dev.ca)); // <state>/pki/ca.pem
  return [...readFileSync(join(root, "docs/sign-in.md"), "utf8").matchAll(/```sh\n([\s\S]*?)```/gu)].map(
    ([, block = ""]) => block.replaceAll(".phylax", state),
  );
}

test("the commands of docs/sign-in.md work as printed: the users, an app by hand, two factors, the code", async ({
  expect,
  onTestFinished,
}) => {
  const [people = "", script = "", twoFactors = "", code = ""] = printed();
  const shell = (command: string) => spawnSync("sh", ["-c", command], { cwd: root, encoding: "utf8" }).stdout;
  expect(shell(people)).toContain("login: 'patient-1'");

  const running = spawn("sh", ["-c", `${twoFactors}${script}`], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  onTestFinished(() => {
    if (running.exitCode === null) process.kill(-must(running.pid), "SIGKILL"); // the shell and its app
  });
  const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  const address = new URL(must((await lines.next()).value));
  const browser = new Browser(phylax.dev);
  const user = must(phylax.dev.users[2]);
  let step = await browser.open(address);
  expect(pageOf(step).reply.text).toContain('name="code"');
  const before = totp(must(amara).totp, Date.now());
  expect([before, totp(must(amara).totp, Date.now() + 30_000)]).toContain(shell(code).trim());
  step = await browser.submit(step, typed(user, true));
  expect(await (await fetch(appOf(await browser.submit(step, { decision: "allow" })))).text()).toBe(
    "You can close this window.",
  );
  expect((await lines.next()).value).toMatch(
    new RegExp(`^Patient/${user.patient} ${assurance.twoFactors.acr} 20`, "u"),
  );
  expect((await lines.next()).value).toMatch(new RegExp(`^200 .*"id": ?"${user.patient}"`, "u"));
  expect(await once(running, "exit")).toEqual([0, null]);
});
