import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { appOf, Browser } from "../support/browser.ts";
import { typed } from "../support/patient-web.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// examples/ as a reader runs it. examples/fhirclient.mjs runs in smart-app.test.ts, which registers
// its client.
const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

let phylax: TestStack;
let devFile: string;
beforeAll(async () => {
  phylax = await sharedTestStack();
  devFile = join(phylax.state, "dev.json");
}, 60_000);
afterAll(() => phylax.close());

const printedBy = async (command: string, example: string): Promise<string> => {
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: phylax.dev.ca };
  return (await run(command, [join("examples", example), devFile], { cwd: root, env })).stdout;
};

test("curl: a token by certificate, and a read with its receipt", async ({ expect }) => {
  const printed = await printedBy("sh", "read-patient.sh");
  expect(printed).toMatch(/^HTTP\/1\.1 200 /u);
  expect(printed).toMatch(/^phylax-receipt: log="/mu);
  expect(printed).toContain('"resourceType":"Patient","id":"amara-okafor"');
});

test("undici: a search over all of its pages", async ({ expect }) => {
  const lines = (await printedBy(process.execPath, "undici.mjs")).trimEnd().split("\n");
  expect(lines.length).toBeGreaterThan(2);
  expect(lines.slice(0, -1).every((line) => /^page of \d+, on record at log="/u.test(line))).toBe(true);
  expect(lines.at(-1)).toMatch(/^\d+ observations$/u);
});

test("openid-client: a token bound to a key, without a certificate", async ({ expect }) => {
  const printed = await printedBy(process.execPath, "dpop.mjs");
  expect(printed).toMatch(/^dpop 200 log="/u);
  expect(printed).toContain('"id":"amara-okafor"');
});

test("fhir-kit-client: a read, a search, and a refusal that says what to do next", async ({ expect }) => {
  const printed = await printedBy(process.execPath, "fhir-kit-client.mjs");
  expect(printed).toMatch(/^Patient: the policy shows resourceType, id, /u);
  expect(printed).toMatch(/^\d claims on the first page$/mu);
  expect(printed).toMatch(/^403 .+Ask the privacy officer/mu);
});

const page = "http://127.0.0.1:4173";

/**
 * The browser objects of a page at that origin. Its fetch reveals only the parts that CORS lets the page
 * read.
 */
class Page {
  readonly location: { href: string; assign: (url: string) => void };
  readonly #kept = new Map<string, string>();
  readonly sessionStorage = {
    getItem: (key: string) => this.#kept.get(key) ?? null,
    setItem: (key: string, value: string) => this.#kept.set(key, value),
    removeItem: (key: string) => this.#kept.delete(key),
  };

  constructor() {
    this.location = { href: `${page}/`, assign: (url) => (this.location.href = url) };
  }

  async fetch(url: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    const { body, method, headers } = init;
    const reply = await send(phylax.dev, undefined, url, {
      headers: { ...headers, origin: page },
      ...(method !== undefined && { method }),
      ...(body !== undefined && { body }),
    });
    const allowed = reply.headers["access-control-allow-origin"];
    if (allowed !== page && allowed !== "*") throw new TypeError(`no script of ${page} may read ${url}`);
    const exposed = (reply.headers["access-control-expose-headers"] ?? "").toLowerCase().split(/, */u);
    const shown = Object.entries(reply.headers).filter(([name]) => exposed.includes(name));
    return new Response(reply.text, {
      status: reply.status,
      headers: shown.map(([name, value]): [string, string] => [name, String(value)]),
    });
  }
}

interface SignedInApp {
  readonly patient: unknown;
  readonly accounting: () => Promise<string>;
}

test("a single-page app: a patient signs in and reads the own record, by CORS and a key in the browser", async ({
  expect,
}) => {
  const file = join(phylax.state, "single-page-app.json");
  writeFileSync(file, await printedBy(process.execPath, "single-page-app/registry.mjs"));
  const apply = ["registry", "apply", file, "--operator", "registrar", "--state", phylax.state];
  await run(process.execPath, [join(root, "cli/phylax.mjs"), ...apply], { cwd: root });

  const [user] = phylax.dev.users;
  const [issuer] = phylax.dev.issuers;
  if (user === undefined || issuer === undefined) throw new Error("not set up");
  const settings = { issuer: issuer.iss, fhir: phylax.dev.fhir, clientId: "single-page-app" };
  const window = new Page();
  const app = join(root, "examples/single-page-app/app.js");
  const { start }: { start: (settings: object, window: Page) => Promise<SignedInApp | undefined> } =
    await import(app);
  expect(await start(settings, window)).toBeUndefined();
  const browser = new Browser(phylax.dev);
  const consent = await browser.submit(await browser.open(new URL(window.location.href)), typed(user));
  window.location.href = appOf(await browser.submit(consent, { decision: "allow" })).href;
  expect(window.location.href).toMatch(/^http:\/\/127\.0\.0\.1:4173\/callback\?/u);

  const back = window.location.href;
  const signedIn = await start(settings, window);
  expect(signedIn?.patient).toMatchObject({ resourceType: "Patient", id: user.patient });
  expect(await signedIn?.accounting()).toContain("<h1>Accounting of disclosures</h1>");
  window.location.href = back;
  await expect(start(settings, window)).rejects.toThrow("another sign-in"); // the code came a second time
});
