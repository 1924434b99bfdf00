import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { accessibilityFaults, chromiumPath, startChromium } from "../support/chromium.ts";
import { PatientWeb, typed } from "../support/patient-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const person = "joao";
const hl7 = (system: string, code: string) => ({
  system: `http://terminology.hl7.org/CodeSystem/${system}`,
  code,
});
const records = {
  resourceType: "Bundle",
  type: "collection",
  entry: [
    { resourceType: "Patient", id: person, name: [{ family: "Nunes" }] },
    {
      resourceType: "Condition",
      id: "hiv",
      meta: { security: [hl7("v3-Confidentiality", "R"), hl7("v3-ActCode", "HIV")] },
      code: { coding: [{ system: "http://snomed.info/sct", code: "86406008" }] },
      subject: { reference: `Patient/${person}` },
    },
  ].map((resource) => ({ resource })),
};
const bundles = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
let phylax: TestStack;
let app: PatientWeb;
let browser: Browser;
beforeAll(async () => {
  if (chromiumPath === undefined) return;
  writeFileSync(join(bundles, "records.json"), JSON.stringify(records));
  phylax = await startTestStack({ bundles });
  app = await PatientWeb.start(phylax.dev);
  browser = await startChromium();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await app?.close();
  await phylax?.close();
  rmSync(bundles, { recursive: true });
});

/** Opens the consent page as the person. */
async function openConsent(): Promise<{ readonly page: Page; readonly close: () => Promise<void> }> {
  const user = phylax.dev.users.find(({ patient }) => patient === person);
  if (user === undefined) throw new Error(`no user for ${person}`);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  // no server listens at the app's address
  await page.route("http://127.0.0.1:*/**", (route) => route.fulfill({ body: "back at the app" }));
  await page.goto((await app.request()).url.href);
  const { login, password } = typed(user);
  await page.getByLabel("Login").fill(login);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Open Chart asks for access" }).waitFor();
  return { page, close: () => context.close() };
}

/**
 * The number of conditions of the person that a treating client finds; undefined while the Consents cannot be
 * read (503), as on a busy machine.
 */
async function foundByTreatment(): Promise<number | undefined> {
  const { status, text } = await phylax.ask("telehealth", `Condition?patient=${person}&code=86406008`);
  if (status === 503) return undefined;
  if (status !== 200) throw new Error(text);
  return (JSON.parse(text) as { readonly entry?: readonly unknown[] }).entry?.length ?? 0;
}

const within10Seconds = async (found: number) => {
  const end = Date.now() + 10_000;
  while ((await foundByTreatment()) !== found) {
    if (Date.now() > end) return false;
    await new Promise((go) => setTimeout(go, 500));
  }
  return true;
};

test.skipIf(chromiumPath === undefined)(
  "a person chooses at sign-in who sees sensitive records, and the next reads obey it; a later choice takes it back",
  { timeout: 180_000 },
  async ({ expect }) => {
    expect(await within10Seconds(0)).toBe(true);
    const first = await openConsent();
    expect(await accessibilityFaults(first.page)).toEqual([]);
    expect(await first.page.getByRole("listitem").allTextContents()).toEqual([
      "Know who you are and which record is yours",
      "Stay connected for a day without asking you again",
      "Read and search all kinds of your records",
    ]);
    const hiv = first.page.getByLabel("HIV and AIDS");
    expect(await hiv.isChecked()).toBe(false);
    await hiv.check();
    await first.page.getByRole("button", { name: "Allow" }).click();
    await first.page.getByText("back at the app").waitFor();
    await first.close();
    expect(await within10Seconds(1)).toBe(true);

    const second = await openConsent();
    expect(await second.page.getByLabel("HIV and AIDS").isChecked()).toBe(true);
    await second.page.getByLabel("HIV and AIDS").uncheck();
    await second.page.getByRole("button", { name: "Allow" }).click();
    await second.page.getByText("back at the app").waitFor();
    await second.close();
    expect(await within10Seconds(0)).toBe(true);
  },
);
