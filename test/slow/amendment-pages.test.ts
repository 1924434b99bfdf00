import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, test, vi } from "vitest";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { accessibilityFaults, chromiumPath, startChromium } from "../support/chromium.ts";
import { consoleContext, enterConsole } from "../support/console-browser.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { starterPolicy } from "../support/outside.ts";
import { typed } from "../support/patient-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const root = join(import.meta.dirname, "../..");
const example = (name: string) => join(root, "examples", name);
const run = promisify(execFile);
const patient = "amara-okafor";
const guide = "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrection";
const coded = (system: string, code: string) => ({ coding: [{ system: `${guide}${system}`, code }] });
const script = "<script>document.title = 'taken'</script>";

let phylax: TestStack;
let browser: Browser;
let server: ChildProcess;
let app: Page;
let desk: Page;

async function asRegistrar(verb: string, document: object): Promise<{ readonly digest: string }> {
  const { dev } = phylax;
  const headers = { "content-type": "application/json" };
  const sending = { method: "POST", headers, body: JSON.stringify(document) };
  const { status, text } = await send(
    dev,
    operatorOf(dev, "registrar"),
    `${dev.ops}/api/registry/${verb}`,
    sending,
  );
  if (status !== 200) throw new Error(text);
  return JSON.parse(text) as { readonly digest: string };
}

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  phylax = await startTestStack();
  const dev = join(phylax.state, "dev.json");
  const file = join(phylax.state, "app.json");
  writeFileSync(file, (await run(process.execPath, [example("single-page-app/registry.mjs"), dev])).stdout);
  const command = ["registry", "apply", file, "--operator", "registrar", "--state", phylax.state];
  await run(process.execPath, [join(root, "cli/phylax.mjs"), ...command], { cwd: root });
  // the entity's own staff
  const treat = starterPolicy("treat").body as object;
  const policies = [{ name: "records", body: { ...treat, name: "records", amendmentRegistrar: true } }];
  const grant = {
    client: "charting",
    origin: "main",
    purpose: "TREAT",
    agreement: "charting-agreement",
    policy: "records",
    scopes: "system/*.cruds",
    quotas: { default: { requests: 6_000, windowSeconds: 60 } },
  };
  const change = { set: { policies, grants: [grant] } };
  const { digest } = await asRegistrar("plan", change);
  await asRegistrar("changes", { ...change, expects: digest });
  server = spawn(process.execPath, [example("single-page-app/serve.mjs"), dev], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(server.stdout ?? server, "data");
  browser = await startChromium();
  app = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  const officer = phylax.dev.officers.find(({ id }) => id === "officer");
  if (officer === undefined) throw new Error("no officer");
  const context = await consoleContext(browser, phylax.dev, { certificate: officer });
  desk = await context.newPage();
  await enterConsole(desk, phylax.dev, officer);
}, 180_000);
afterAll(async () => {
  await browser?.close();
  server?.kill();
  await phylax?.close();
});

/** Signs in at the app as the patient, or opens it again. */
async function openApp(): Promise<void> {
  const user = phylax.dev.users.find((each) => each.patient === patient);
  if (user === undefined) throw new Error("no user");
  await app.goto("http://127.0.0.1:4173/");
  const [login, allow] = [app.getByLabel("Login"), app.getByRole("button", { name: "Allow" })];
  const corrections = app.getByRole("heading", { name: "Corrections" });
  await login.or(allow).or(corrections).first().waitFor();
  if ((await login.count()) > 0) {
    const { login: name, password } = typed(user);
    await login.fill(name);
    await app.getByLabel("Password").fill(password);
    await app.getByRole("button", { name: "Sign in" }).click();
    await allow.or(corrections).first().waitFor();
  }
  if ((await allow.count()) > 0) await allow.click();
  await corrections.waitFor();
}

interface Found {
  readonly resourceType: string;
  readonly id: string;
  readonly recipient?: readonly object[];
  readonly payload?: readonly object[];
  readonly extension?: readonly { readonly url: string }[];
  readonly entry?: readonly { readonly resource: Found }[];
}
const ask = async (who: string, path: string, sending = {}): Promise<Found> => {
  const { status, text } = await phylax.ask(who, path, sending);
  if (status >= 300) throw new Error(`${path}: ${status} ${text}`);
  return JSON.parse(text) as Found;
};
const staffWrite = async (type: string, content: object): Promise<string> => {
  const sending = fhirSending(
    "POST",
    { resourceType: type, ...content },
    { prefer: "return=representation" },
  );
  return `${type}/${(await ask("charting", type, sending)).id}`;
};
/** The staff's answer to a request, and the Task that names it. */
const answer = async (request: string, status: string, words: string): Promise<void> => {
  const { recipient: [sender] = [] } = await ask("charting", request);
  const letter = await staffWrite("Communication", {
    status: "completed",
    category: [coded("CommunicationTypes", "medRecCxReq")],
    subject: to(`Patient/${patient}`),
    sender,
    recipient: [to(`Patient/${patient}`)],
    partOf: [to(request)],
    sent: new Date().toISOString(),
    payload: [{ contentString: words }],
  });
  await staffWrite("Task", {
    status: "completed",
    businessStatus: coded("BusinessStatus", status),
    intent: "order",
    code: coded("TaskTypes", "medRecCxReq"),
    for: to(`Patient/${patient}`),
    authoredOn: new Date().toISOString(),
    input: [{ type: coded("CommunicationTypes", "medRecCxReq"), valueReference: to(request) }],
    output: [{ type: coded("OutputTypes", "medRecCxReqResolution"), valueReference: to(letter) }],
  });
};

/** The patient asks for a correction of a row. Returns the row, and the request. */
async function askFor(
  words: string,
  index: number,
): Promise<{ readonly row: string; readonly request: string }> {
  await openApp();
  const options = app.locator("#disputed option[value^='Observation/']");
  await options.nth(index).waitFor({ state: "attached" });
  const row = (await options.nth(index).getAttribute("value")) ?? "";
  await app.getByLabel("What is wrong").fill(words);
  await app.locator("#disputed").selectOption(row);
  await app.getByRole("button", { name: "Ask for the correction" }).click();
  await app.getByText("Sent. The hospital has your message.").waitFor();
  await app.locator("article").first().getByText("The hospital has not begun yet").waitFor();
  await desk.goto(`${phylax.dev.console}/cases`);
  await desk.locator("main tbody a").last().click();
  await desk.getByRole("heading", { name: /^Case / }).waitFor();
  const request = /Communication\/[\w.-]+/u.exec(await desk.locator("main").innerText())?.[0] ?? "";
  return { row, request };
}

/** Whether a script and a handler that stand in the page run, as injected ones would. */
const ranInline = async (page: Page): Promise<readonly string[]> =>
  await page.evaluate(async () => {
    const script = Object.assign(document.createElement("script"), { text: "document.ran = 'yes'" });
    const image = document.createElement("img");
    image.setAttribute("onerror", "document.ranToo = 'yes'");
    image.setAttribute("src", "data:,");
    document.body.append(script, image);
    await new Promise((done) => setTimeout(done, 200));
    return ["ran", "ranToo"].map((name) => String(Reflect.get(document, name) ?? "no"));
  });

test.skipIf(chromiumPath === undefined)(
  "a patient asks, an officer denies with a letter, the patient reads it and states, and a later read carries it",
  { timeout: 240_000 },
  async ({ expect }) => {
    const words = `I do not smoke. ${script}`;
    const { row, request } = await askFor(words, 0);
    expect(await desk.locator("main").innerText()).toMatch(/open.*(?:59|60) days left/su);
    expect(await accessibilityFaults(desk)).toEqual([]);
    expect(await accessibilityFaults(app)).toEqual([]);
    expect(await app.locator("article").first().innerText()).toContain(script);

    // the officer denies, by the keyboard alone but for the browser's own choice of a file
    const template = join(phylax.state, "denial.txt");
    const text = readFileSync(example("letters/denial.txt"), "utf8");
    await desk.locator("#step-deny-template").setInputFiles(join(root, "examples/letters/denial.txt"));
    await desk.getByLabel("The information is accurate and complete").focus();
    await desk.keyboard.press("Space");
    await desk.locator("form[data-letter=denial] [data-make]").press("Enter");
    await desk.getByText("the template has a place that is not filled").waitFor();
    writeFileSync(template, text.replaceAll(/\[[^\]]*\]/gu, "Records Office 617 555 0100"));
    await desk.locator("#step-deny-template").setInputFiles(template);
    await desk.locator("#explanation").fill(`Two results agree. ${script}`);
    const saved = desk.waitForEvent("download");
    await desk.locator("form[data-letter=denial] [data-make]").press("Enter");
    const letter = readFileSync((await (await saved).path()) ?? "", "utf8");
    expect(letter).toContain("This part of your record is accurate and complete.");
    expect(await desk.locator("form[data-letter=denial] [data-preview]").textContent()).toBe(letter);
    const step = desk.locator("form[data-letter=denial] [data-step]");
    await desk.locator("#explanation").press("End"); // no change
    expect(await step.isEnabled()).toBe(true);
    await step.press("Enter");
    await desk.getByText("Denied. Send the letter.").waitFor();
    expect(await accessibilityFaults(desk)).toEqual([]);
    await answer(request, "denied", letter);

    await openApp();
    const article = app.locator("article").first();
    await article.getByText("Denied.", { exact: true }).waitFor();
    expect(await article.innerText()).toContain("Two results agree.");
    expect(await accessibilityFaults(app)).toEqual([]);
    const statement = `I never smoked. ${script}`;
    await article.getByLabel("You may state why you disagree").fill(statement);
    await article.getByRole("button", { name: "Send my statement" }).press("Enter");
    await app.getByText("Sent. The hospital has your message.").waitFor();
    await article.getByText(statement).waitFor();
    expect(await article.locator("form").count(), "one statement").toBe(0);
    expect(await app.title()).toBe("My record");
    expect(await ranInline(app), "the policy of the page").toEqual(["no", "no"]);
    const plain = await app.context().newPage();
    expect(await ranInline(plain), "without a policy").toEqual(["yes", "yes"]);

    const { entry = [] } = await ask("telehealth", `Communication?patient=${patient}&_count=100`);
    const stated = entry.find(({ resource }) => JSON.stringify(resource.payload).includes("never smoked"));
    const message = `Communication/${stated?.resource.id ?? "none"}`;
    await desk.locator("#statement").fill(message);
    await desk.locator("form[action$='/state'] button").press("Enter");
    await desk.getByText("Filed. Read a disputed row").waitFor();
    expect(await desk.title()).not.toBe("taken");
    await vi.waitFor(
      async () => {
        const { extension = [] } = await ask("telehealth", row);
        expect(JSON.stringify(extension.filter(({ url }) => url === "urn:phylax:statement"))).toContain(
          message,
        );
      },
      { timeout: 20_000, interval: 500 },
    );
  },
);

test.skipIf(chromiumPath === undefined)(
  "an officer accepts only what is amended, and the patient reads that the record is corrected",
  { timeout: 240_000 },
  async ({ expect }) => {
    const { row, request } = await askFor("This value is of another day.", 1);
    await desk.locator("form[action$='/accept'] button").press("Enter");
    await desk.locator("[role=alert]").waitFor();
    expect(await desk.locator("[role=alert]").innerText()).toContain("no amendment");
    await staffWrite("Provenance", {
      target: [to(row)],
      recorded: new Date().toISOString(),
      agent: [{ who: to(`Patient/${patient}`) }],
      entity: [{ role: "source", what: to(request) }],
    });
    await desk.locator("form[action$='/accept'] button").press("Enter");
    await desk.getByText("Accepted. Inform the patient").waitFor();
    expect(await desk.locator("main form").count(), "holders are looked up, and persons are named").toBe(2);
    await desk.locator("#recipient").fill("Dr. Okoye, Lagos");
    await desk.locator("form[action$='/name'] button").press("Enter");
    await desk.getByText("Dr. Okoye, Lagos (person)").first().waitFor();
    await desk.locator("form[action$='/find'] button").press("Enter");
    await desk.getByText("The clients that were found").waitFor();
    await answer(request, "amendment-completed", "Your record is corrected.");
    await openApp();
    const article = app.locator("article").first();
    await article.getByText("Corrected.", { exact: true }).waitFor();
    expect(await article.innerText()).toContain("Your record is corrected.");
    expect(await article.locator("form").count()).toBe(0);
  },
);
