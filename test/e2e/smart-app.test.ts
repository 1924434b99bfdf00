import * as oauth from "oauth4webapi";
import { Client } from "fhir-kit-client";
import { Agent } from "undici";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, test } from "vitest";
import type { DevUser } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { appOf, Browser } from "../support/browser.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { PatientWeb, scope, typed } from "../support/patient-web.ts";
import { SmartApp } from "../support/smart-app.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

const root = join(import.meta.dirname, "../..");
let phylax: TestStack;
let app: SmartApp;
let dispatcher: Agent;
let iss = "";
let registered = "";
let [amara, other]: DevUser[] = [];
beforeAll(async () => {
  phylax = await startTestStack();
  [amara, other] = phylax.dev.users;
  iss = must(phylax.dev.issuers[0]).iss;
  dispatcher = new Agent({ connect: { ca: readFileSync(phylax.dev.ca) } });
  app = await SmartApp.start(phylax.dev, "smart-app", "openid fhirUser launch/patient patient/*.rs");
  const [registering = ""] = printed();
  registered = (await promisify(execFile)("sh", ["-c", registering], { cwd: root })).stdout;
}, 60_000);
afterAll(async () => {
  await app.close();
  await dispatcher.close();
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

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not set up");
  return value;
}
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
  expect(registered).toMatch(/smart\.json: 3 added, 1 changed/u);
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
  ])
    expect(Reflect.get(said as object, name), name).toBe(Reflect.get(own as object, name));
  expect(own).toMatchObject({
    code_challenge_methods_supported: ["S256"],
    // permission-offline
    grant_types_supported: expect.arrayContaining(["authorization_code", "refresh_token"]),
    token_endpoint_auth_methods_supported: ["none"], // client-public, and no further method
    scopes_supported: expect.arrayContaining(["openid", "fhirUser", "launch/patient", "offline_access"]),
  });
  expect(said).toMatchObject({
    code_challenge_methods_supported: ["S256"],
    grant_types_supported: ["authorization_code"],
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

test("machines find the built-in issuer through the base's metadata, and get tokens as before", async ({
  expect,
}) => {
  const options = {
    [oauth.customFetch]: (url: string, init: object) => fetch(url, { ...init, dispatcher } as RequestInit),
  };
  const base = new URL(phylax.dev.fhir);
  const resource = await oauth.processResourceDiscoveryResponse(
    base,
    await oauth.resourceDiscoveryRequest(base, options),
  );
  expect(resource.authorization_servers).toEqual([phylax.dev.gateway, iss]);
  const issuer = new URL(must(resource.authorization_servers?.[0]));
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { ...options, algorithm: "oauth2" }),
  );
  expect(server.token_endpoint).toBe(phylax.dev.tokenEndpoint);
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
