import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import type { Browser } from "playwright-core";
import { send } from "../../cli/connection/mutual-tls.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { typed } from "../support/patient-web.ts";
import { patience } from "../support/patience.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const person = "joao";
const pdf = "%PDF-1.4 a note of two pages";
const records = {
  resourceType: "Bundle",
  type: "collection",
  entry: [
    { resourceType: "Patient", id: person, name: [{ family: "Nunes" }] },
    {
      resourceType: "Binary",
      id: "content",
      contentType: "application/pdf",
      data: Buffer.from(pdf).toString("base64"),
    },
    {
      resourceType: "DocumentReference",
      id: "note",
      status: "current",
      subject: { reference: `Patient/${person}` },
      content: [{ attachment: { contentType: "application/pdf", url: "Binary/content" } }],
    },
  ].map((resource) => ({ resource })),
};

// fhirclient as npm has it, for browsers: the page says where the server is, and nothing more.
const script = readFileSync(
  createRequire(import.meta.url).resolve("fhirclient/build/fhir-client.js"),
  "utf8",
);
const page = (body: string) =>
  `<!doctype html><title>a note</title><script src="/fhir-client.js"></script><script>${body}</script>`;

const bundles = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
let phylax: TestStack;
let browser: Browser;
let app: Server;
let home = "";
beforeAll(async () => {
  if (chromiumPath === undefined) return;
  writeFileSync(join(bundles, "records.json"), JSON.stringify(records));
  phylax = await startTestStack({ bundles });
  browser = await startChromium();
  const options = {
    clientId: "smart-app",
    iss: phylax.dev.fhir,
    redirectUri: "/callback",
    pkceMode: "required",
  };
  const scope = "openid fhirUser launch/patient patient/*.rs";
  const pages: Readonly<Record<string, string>> = {
    "/": page(`FHIR.oauth2.authorize(${JSON.stringify({ ...options, scope })})`),
    "/callback": page(
      "FHIR.oauth2.ready().then((client) => { window.app = client; document.title = 'ready'; })",
    ),
  };
  app = createServer((request, response) => {
    const [path = ""] = (request.url ?? "").split("?");
    if (path === "/fhir-client.js")
      return response.writeHead(200, { "content-type": "text/javascript" }).end(script);
    return response.writeHead(200, { "content-type": "text/html" }).end(pages[path] ?? "");
  });
  await once(app.listen(0, "127.0.0.1"), "listening");
  home = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  const iss = phylax.dev.issuers[0]?.iss ?? "";
  const client = {
    id: "smart-app",
    kind: "patient",
    auth: "external",
    issuer: iss,
    externalClientId: "smart-app",
    corsOrigins: [home],
    unboundUntil: new Date(Date.now() + 30 * 86_400_000).toISOString(), // fhirclient binds no token
  };
  await phylax.stack.runtime.applyRegistry(
    joined(
      {
        policies: [starterPolicy("patrqt")],
        origins: [{ name: "main", url: phylax.dev.origin, credentials: { kind: "none" }, signInAt: iss }],
      },
      clientEntries(client, "PATRQT", "patrqt", "patient/*.rs"),
    ),
  );
}, 120_000);
afterAll(async () => {
  await browser?.close();
  app?.closeAllConnections();
  app?.close();
  await phylax?.close();
  rmSync(bundles, { recursive: true });
});

test.skipIf(chromiumPath === undefined)(
  "fhirclient in Chromium signs a patient in and reads the patient's note as PDF",
  { timeout: 60_000 },
  async ({ expect }) => {
    const user = phylax.dev.users.find(({ patient }) => patient === person);
    if (user === undefined) throw new Error(`no user for ${person}`);
    const tokenEndpoint = async (): Promise<string> => {
      const reply = await send(phylax.dev, undefined, `${phylax.dev.fhir}/.well-known/smart-configuration`);
      return JSON.parse(reply.text).token_endpoint;
    };
    await expect.poll(tokenEndpoint, patience).toBe(`${phylax.dev.issuers[0]?.iss}/token`);
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const tab = await context.newPage();
    await tab.goto(home);
    const { login, password } = typed(user);
    await tab.getByLabel("Login").fill(login);
    await tab.getByLabel("Password").fill(password);
    await tab.getByRole("button", { name: "Sign in" }).click();
    await tab.locator("button[value=allow]").click();
    await tab.waitForFunction("document.title === 'ready'");
    const read = await tab.evaluate(`(async () => {
      const found = await app.request("DocumentReference?patient=" + app.patient.id);
      const { url } = found.entry[0].resource.content[0].attachment;
      const answer = await app.request({ url, headers: { accept: "application/pdf" } });
      return [url, answer.headers.get("content-type"), await answer.text()];
    })()`);
    expect(read).toEqual([expect.stringMatching(/^Binary\/[\w-]{65,}$/u), "application/pdf", pdf]);
    await context.close();
  },
);
