import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import type { Accounting } from "#audit/accounting/compose";
import { english, type PageTexts } from "#audit/accounting/page/english";
import { accountingPage } from "#audit/accounting/page/html";
import { instant } from "#kernel/clock";
import { accessibilityFaults, chromiumPath, startChromium } from "../support/chromium.ts";
import { typed } from "../support/patient-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const root = join(import.meta.dirname, "../..");
const example = (name: string) => join(root, "examples/single-page-app", name);
const run = promisify(execFile);
let phylax: TestStack;
let browser: Browser;
let server: ChildProcess;
let page: Page;

beforeAll(async () => {
  if (chromiumPath === undefined) return;
  phylax = await startTestStack();
  const dev = join(phylax.state, "dev.json");
  const file = join(phylax.state, "single-page-app.json");
  writeFileSync(file, (await run(process.execPath, [example("registry.mjs"), dev])).stdout);
  const apply = ["registry", "apply", file, "--operator", "registrar", "--state", phylax.state];
  await run(process.execPath, [join(root, "cli/phylax.mjs"), ...apply], { cwd: root });
  for (const who of ["public-health", "telehealth"]) {
    const { status, text } = await phylax.ask(who, "Immunization?patient=amara-okafor");
    if (status !== 200) throw new Error(text);
  }
  server = spawn(process.execPath, [example("serve.mjs"), dev], { stdio: ["ignore", "pipe", "inherit"] });
  await once(server.stdout ?? server, "data");
  browser = await startChromium();
  page = await openAccounting();
}, 180_000);
afterAll(async () => {
  await browser?.close();
  server?.kill();
  await phylax?.close();
});

/** Signs in at the app as the first patient, and opens the accounting as a person does. */
async function openAccounting(): Promise<Page> {
  const [user] = phylax.dev.users;
  if (user === undefined) throw new Error("no user");
  const context = await browser.newContext({ ignoreHTTPSErrors: true, timezoneId: "America/Chicago" });
  const opened = await context.newPage();
  await opened.goto("http://127.0.0.1:4173/");
  const { login, password } = typed(user);
  await opened.getByLabel("Login").fill(login);
  await opened.getByLabel("Password").fill(password);
  await opened.getByRole("button", { name: "Sign in" }).click();
  await opened.getByRole("button", { name: "Allow" }).click();
  await opened.getByRole("button", { name: "Who received my records?" }).click();
  await opened.getByRole("heading", { name: "Accounting of disclosures" }).waitFor();
  return opened;
}

const inBrowser = test.skipIf(chromiumPath === undefined);

inBrowser(
  "axe finds no violation from the sign-in to the accounting, on a phone and a screen, light and dark",
  { timeout: 180_000 },
  async ({ expect }) => {
    const user = phylax.dev.users.at(-1);
    if (user === undefined) throw new Error("no user");
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const walked = await context.newPage();
    const found: string[] = [];
    const look = async (name: string) => {
      for (const width of [1280, 390])
        for (const colorScheme of ["light", "dark"] as const) {
          await walked.setViewportSize({ width, height: 844 });
          await walked.emulateMedia({ colorScheme });
          for (const fault of await accessibilityFaults(walked))
            found.push(`${name} ${width} ${colorScheme}: ${fault}`);
          const [wide, shown] = await walked.evaluate<[number, number]>(
            "[document.documentElement.scrollWidth, innerWidth]",
          );
          if (wide > shown) found.push(`${name} ${width}: scrolls sideways (${wide})`);
        }
    };
    const { login, password } = typed(user);
    await walked.goto("http://127.0.0.1:4173/");
    await walked.getByLabel("Login").waitFor();
    await look("sign-in");
    await walked.getByLabel("Login").fill(login);
    await walked.getByLabel("Password").fill("wrong");
    await walked.getByRole("button", { name: "Sign in" }).click();
    await walked.getByText("The login or the password is wrong").waitFor();
    await look("sign-in refused");
    await walked.getByLabel("Login").fill(login);
    await walked.getByLabel("Password").fill(password);
    await walked.getByRole("button", { name: "Sign in" }).click();
    await walked.getByRole("button", { name: "Allow" }).waitFor();
    await look("consent");
    await walked.getByRole("button", { name: "Allow" }).click();
    await walked.getByRole("button", { name: "Who received my records?" }).waitFor();
    await look("app");
    await walked.getByText("The whole record as the hospital sent it").click();
    await look("app, the whole record");
    await walked.getByRole("button", { name: "Who received my records?" }).click();
    await walked.getByRole("heading", { name: "Accounting of disclosures" }).waitFor();
    await look("accounting");
    for (const details of await walked.locator("summary").all()) await details.click();
    await walked.getByRole("button", { name: "Check every line" }).click();
    await walked.getByRole("status").waitFor();
    await look("accounting, checked");
    await context.close();
    expect(found).toEqual([]);
  },
);

inBrowser(
  "paper shows the list and the explanation of its proofs, light and without folded parts",
  async ({ expect }) => {
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const text = await page.locator("main").innerText();
    const ground = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    await page.emulateMedia({ media: "screen", colorScheme: "light" });
    expect(ground).toBe("rgb(255, 255, 255)");
    expect(text).toContain("What the proofs show, and what they do not");
    expect(text).toContain("State Department of Health");
    expect(text).not.toMatch(/Details and proof|Check this page here|Check every line/u);
  },
);

inBrowser(
  "a patient reads from the app who received the records, in words and in the own zone",
  async ({ expect }) => {
    const text = await page.locator("main").innerText();
    expect(text).toContain("Amara Ngozi Okafor, born March 12, 1984");
    expect(text).toContain("Springfield General Hospital");
    expect(text).toContain("Chicago time");
    expect(text).toContain("State Department of Health");
    expect(text).toMatch(/\d+ vaccinations/u);
    expect(text).not.toMatch(/\d{4}-\d\d-\d\dT|PUBHLTH|all=true/u); // folded
    expect(await accessibilityFaults(page)).toEqual([]);
  },
);

inBrowser("on a phone each line is a card, and nothing is wider than the screen", async ({ expect }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const [wide, shown] = await page.evaluate<[number, number]>(
    "[document.documentElement.scrollWidth, innerWidth]",
  );
  expect(wide).toBeLessThanOrEqual(shown);
  expect(await accessibilityFaults(page)).toEqual([]);
  await page.setViewportSize({ width: 1280, height: 900 });
});

inBrowser("the page checks itself in the browser, and a changed line turns red", async ({ expect }) => {
  await expect
    .poll(async () => {
      // lines without a proof yet get theirs within seconds
      await page.getByRole("button", { name: "Check every line" }).click();
      return page.getByRole("status").innerText();
    })
    .toMatch(/^(?:All \d+ lines are proven|\d+ lines? ha(?:s|ve) no proof yet)/u);
  const saved = join(phylax.state, "saved.html");
  const later = await openAccounting();
  await later.getByRole("button", { name: "Check every line" }).click();
  expect(await later.getByRole("status").innerText()).toMatch(/^All \d+ lines are proven/u);
  const html = await later.evaluate<string>("document.documentElement.outerHTML");
  writeFileSync(saved, html.replace("public health</td>", "treatment</td>"));
  const changed = await later.context().newPage();
  await changed.goto(pathToFileURL(saved).href);
  await changed.getByRole("button", { name: "Check every line" }).click();
  expect(await changed.getByRole("status").innerText()).toMatch(
    /^1 line does not show what the ledger says/u,
  );
  expect(await changed.locator("[data-verdict=wrong]").count()).toBe(1);
});

inBrowser(
  "the widest page fits on paper and at every width of a screen, and a long word of a further language on a phone",
  async ({ expect }) => {
    const [at, longWord] = [Date.UTC(2026, 10, 24, 12), "Gesundheitsversorgungsverwaltungstätigkeiten"];
    const says = {
      subject: new Uint8Array(32),
      at: instant(at),
      recipient: "hospital",
      purposes: ["HOPERAT"],
      agreement: "terms",
      counts: { Observation: 43, Patient: 1, ImmunizationRecommendation: 4, QuestionnaireResponse: 3 },
    };
    const accounting: Accounting = {
      patients: ["Patient/amara-okafor", "Patient/amara-okafor-2"],
      isWhole: true,
      from: "2020-11-24",
      to: "2026-11-24T12:00:00Z",
      all: true,
      summed: true,
      isFirst: true,
      next: undefined,
      research: [],
      words: [],
      lines: [
        {
          patient: "Patient/amara-okafor",
          says,
          recipient: {
            id: "hospital",
            name: "Springfield General Hospital, privacy office",
            address: "5 Lantern Lane, Springfield",
          },
          standing: { required: true },
          heldUntil: undefined,
          consents: [],
          place: "s0-2026h2/5/0",
          sum: {
            number: 3,
            last: "2026-11-24T12:00:00Z",
            lastPlace: "s0-2026h2/6/0",
            disclosed: "Observation 44",
            counts: { Observation: 44 },
          },
          proof: undefined,
        },
      ],
    };
    const facts = { person: undefined, maker: undefined, ledger: undefined, at, zone: "UTC" };
    const context = await browser.newContext();
    const shown = await context.newPage();
    const widthOf = async (texts: PageTexts, width: number, media: "print" | "screen") => {
      await shown.setViewportSize({ width, height: 1_000 });
      await shown.emulateMedia({ media });
      await shown.setContent(accountingPage(accounting, facts, texts));
      return shown.evaluate<number>("document.documentElement.scrollWidth");
    };
    const shownHeads = () =>
      shown.evaluate<string[]>(
        "[...document.querySelectorAll('tbody td')].map((cell) => getComputedStyle(cell, '::before').content).filter((head) => head !== 'none').map((head) => JSON.parse(head))",
      );
    expect(await widthOf(english, 718, "print"), "A4 without its margins").toBe(718);
    // each width by which cards begin or the table returns, and the widths between
    for (const width of [390, 700, 704, 705, 720, 768, 836, 865, 900, 960, 961, 1_024])
      expect(await widthOf(english, width, "screen"), `a screen of ${width} px`).toBe(width);
    await widthOf(english, 836, "screen");
    expect(await shownHeads(), "each column of a card has its head").toEqual(
      Object.values(english.heads).filter(
        (head) => head !== english.heads.when && head !== english.heads.more,
      ),
    );
    const further: PageTexts = {
      ...english,
      title: longWord,
      purpose: () => longWord,
      details: { ...english.details, openSummed: `${longWord} ${longWord}` },
    };
    expect(await widthOf(further, 390, "screen"), "a phone").toBe(390);
    await context.close();
  },
);
