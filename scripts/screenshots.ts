import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { readDevFile, type DevOfficer } from "../cli/connection/dev-file.ts";
import { consoleContext, enterConsole, openChromium } from "../test/support/console-browser.ts";
import { consoleScenes } from "../test/support/console-scenes.ts";
import { typed } from "../test/support/patient-web.ts";

/*
 * Takes a picture of each page that a person sees, from a running sandbox, at 1280 and 390 pixels, light and
 * dark. A person looks at the pictures; no test compares them. Each picture whose page scrolls sideways is named.
 */
const usage =
  "usage: node scripts/with-node.mjs scripts/screenshots.ts FOLDER [--state .phylax] [--only TEXT] [--refused REQUEST-ID]";
const { values, positionals } = parseArgs({
  options: {
    state: { type: "string", default: ".phylax" },
    only: { type: "string", default: "" },
    refused: { type: "string", default: "0".repeat(32) },
  },
  allowPositionals: true,
});
const [folder] = positionals;
if (folder === undefined) throw new Error(usage);
mkdirSync(folder, { recursive: true });

const dev = readDevFile(resolve(values.state));
const [officer] = dev.officers;
const auditor = dev.auditors[0]?.key;
if (officer === undefined || auditor === undefined)
  throw new Error("the sandbox has no operator who signs in, or no auditor");

const looks = [1280, 390].flatMap((width) => [false, true].map((dark) => ({ width, dark })));
const wide: string[] = [];

/** A picture of the whole page in each of the four looks. */
async function shoot(page: Page, name: string): Promise<void> {
  for (const { width, dark } of looks) {
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await page.setViewportSize({ width, height: width < 600 ? 844 : 900 });
    const file = `${name}-${width}-${dark ? "dark" : "light"}.png`;
    await page.screenshot({ path: join(folder ?? "", file), fullPage: true });
    const [inner, outer] = await page.evaluate<[number, number]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    if (inner > outer) wide.push(`${file}: ${inner} pixels wide`);
  }
}

/** The console's pages, the pages without a session, and the pages of the sign-in. */
async function shootConsole(browser: Browser, who: DevOfficer, key: string): Promise<void> {
  const context = await consoleContext(browser, dev, { certificate: who });
  const page = await context.newPage();
  await page.goto(dev.console);
  await shoot(page, "console-sign-in");
  await page.click("a.button");
  await shoot(page, "issuer-operator");
  await page.goto(dev.console);
  await enterConsole(page, dev, who);
  for (const { name, path, act } of consoleScenes({
    dev,
    officer: who,
    auditor: key,
    refused: values.refused,
  })) {
    if (!name.includes(values.only)) continue;
    await page.goto(dev.console + path);
    try {
      await act?.(page);
    } catch (fault) {
      console.error(`${name}: ${String(fault)}`);
    }
    await shoot(page, name);
  }
  await context.close();
  const stranger = await consoleContext(browser, dev, {});
  const refused = await stranger.newPage();
  await refused.goto(dev.console);
  await shoot(refused, "refused");
  await stranger.close();
}

/** The sign-in, the consent page, the patient's app, and the accounting that it links to. */
async function shootPatient(browser: Browser): Promise<void> {
  const [user] = dev.users;
  if (user === undefined) return;
  const app = await startApp();
  const context: BrowserContext = await browser.newContext({
    ignoreHTTPSErrors: true,
    timezoneId: "America/Chicago",
  });
  try {
    const page = await context.newPage();
    await page.goto("http://127.0.0.1:4173/");
    await page.getByLabel("Login").waitFor();
    await shoot(page, "issuer-patient");
    const { login, password } = typed(user);
    await page.getByLabel("Login").fill(login);
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await shoot(page, "issuer-patient-wrong");
    await page.getByLabel("Login").fill(login);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Allow" }).waitFor();
    await shoot(page, "consent");
    await page.getByRole("button", { name: "Allow" }).click();
    await page.getByRole("button", { name: "Who received my records?" }).waitFor();
    await shoot(page, "patient-app");
    await page.getByRole("button", { name: "Who received my records?" }).click();
    await page.getByRole("heading", { name: "Accounting of disclosures" }).waitFor();
    await shoot(page, "accounting");
    await page.getByRole("button", { name: "Check every line" }).click();
    await page.waitForTimeout(3_000);
    await page.locator("details").first().click();
    await shoot(page, "accounting-checked");
  } finally {
    await context.close();
    app.kill();
  }
}

/** The example app; its client must be in the registry (examples/single-page-app/README.md). */
async function startApp(): Promise<ChildProcess> {
  const file = join(import.meta.dirname, "../examples/single-page-app/serve.mjs");
  const app = spawn(process.execPath, [file, resolve(values.state, "dev.json")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(app.stdout ?? app, "data");
  return app;
}

const browser = await openChromium();
try {
  if (!values.only.startsWith("patient-side")) await shootConsole(browser, officer, auditor);
  if (values.only === "" || values.only.startsWith("patient-side")) await shootPatient(browser);
} finally {
  await browser.close();
}
for (const each of wide) console.log(each);
