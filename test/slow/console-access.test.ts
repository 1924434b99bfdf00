import { randomBytes } from "node:crypto";
import axe, { type AxeResults } from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { DevOfficer } from "../../cli/connection/dev-file.ts";
import {
  consoleContext,
  enterConsole,
  hasChromium,
  openChromium,
  typeSignIn,
} from "../support/console-browser.ts";
import { consoleScenes } from "../support/console-scenes.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

/* The console for people who see little, who use no mouse, or who hold a phone. */
describe.skipIf(!hasChromium)("the console is accessible", () => {
  let phylax: TestStack;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let officer: DevOfficer;
  let auditor = "";
  let refused = "";

  beforeAll(async () => {
    phylax = await startTestStack();
    const [first] = phylax.dev.officers;
    if (first === undefined) throw new Error("no operator signs in");
    officer = first;
    auditor = phylax.dev.auditors[0]?.key ?? "";
    for (const who of ["telehealth", "payer"]) await phylax.ask(who, "Immunization?patient=amara-okafor");
    await phylax.ask("payer", "$export", { headers: { prefer: "respond-async" } });
    refused = String((await phylax.ask("privacy-officer", "Condition?patient=1")).headers["x-request-id"]);
    browser = await openChromium();
    context = await consoleContext(browser, phylax.dev, { certificate: officer });
    page = await context.newPage();
    await enterConsole(page, phylax.dev, officer);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await phylax?.close();
  });

  /** The use of break-glass that waits for a review. */
  const openReview = async () => {
    const registry = await phylax.stack.runtime.miniflare.getD1Database("REGISTRY", "phylax-gateway");
    const insert =
      "INSERT INTO reviews (id, opened_at, request_id, client, origin, purpose) VALUES (?, ?, ?, 'telehealth', 'main', 'ETREAT')";
    const [id, request] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
    await registry.prepare(insert).bind(id, Date.now(), request).run();
  };

  /** Texts that need a scroll to the side, and links and buttons with a break inside a word. */
  const cutTexts = `
  const linesOf = (element) => {
    const text = document.createRange();
    text.selectNodeContents(element);
    return new Set([...text.getClientRects()].map(({ top }) => Math.round(top))).size;
  };
  [
    ...[...document.querySelectorAll("main pre, main td, main th, main p")]
      .filter((each) => each.clientWidth > 1 && each.scrollWidth > each.clientWidth + 1)
      .map((each) => "cut: " + each.textContent.slice(0, 80)),
    ...[...document.querySelectorAll("main a, main button")]
      .filter((each) => linesOf(each) > each.textContent.trim().split(/[\\s-]+/).length)
      .map((each) => "broken: " + each.textContent),
  ]`;

  const looks = [
    { width: 1280, dark: false },
    { width: 390, dark: true },
  ];
  const look = async ({ width, dark }: { readonly width: number; readonly dark: boolean }) => {
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await page.setViewportSize({ width, height: 900 });
  };

  test(
    "axe finds no violation on any page, before and after its result, no page is wider than the screen, and no text is cut",
    { timeout: 300_000 },
    async ({ expect }) => {
      await openReview();
      const found: string[] = [];
      for (const { name, path, act } of consoleScenes({ dev: phylax.dev, officer, auditor, refused })) {
        await page.goto(phylax.dev.console + path);
        await act?.(page);
        for (const each of looks) {
          await look(each);
          await page.evaluate(axe.source);
          const { violations } = await page.evaluate<AxeResults>("axe.run()");
          for (const { id, nodes } of violations)
            found.push(`${name} ${each.width} ${each.dark}: ${id} ${nodes[0]?.html}`);
          const [inner, outer] = await page.evaluate<[number, number]>(
            "[document.documentElement.scrollWidth, innerWidth]",
          );
          if (inner > outer) found.push(`${name} ${each.width}: scrolls sideways (${inner})`);
          for (const cut of await page.evaluate<string[]>(cutTexts))
            found.push(`${name} ${each.width}: ${cut}`);
        }
      }
      expect(found).toEqual([]);
    },
  );

  /** Presses Tab until the focus is on the element, and demands that a person sees where it is. */
  const tabTo = async (selector: string, at: Page = page) => {
    const isThere = `document.activeElement?.matches(${JSON.stringify(selector)}) === true`;
    for (let presses = 0; presses < 300; presses++) {
      await at.keyboard.press("Tab");
      // the page of the press before may be on its way
      const found = await at.evaluate<boolean>(isThere).catch(() => at.waitForLoadState());
      if (found !== true) continue;
      const outline = await at.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle");
      if (outline === "none") throw new Error(`no mark shows the focus on ${selector}`);
      return;
    }
    throw new Error(`no Tab leads to ${selector}`);
  };
  const press = async (selector: string, at: Page = page) => {
    await tabTo(selector, at);
    await at.keyboard.press("Enter");
  };
  const type = async (selector: string, text: string) => {
    await tabTo(selector);
    await page.keyboard.type(text);
  };
  const open = async (path: string) => {
    await page.goto(phylax.dev.console);
    await press(`nav a[href="/console${path}"]`);
    await page.waitForURL(`${phylax.dev.console}${path}`);
  };
  // A file is chosen in the browser's own dialog, which no page can show.
  const openKey = async () => {
    await tabTo("#auditor-key");
    await page.setInputFiles("#auditor-key", auditor);
    await press("[data-key-form] button");
    await page.locator("[data-banner]:is(.good,.warn,.bad)").waitFor({ timeout: 60_000 });
  };
  const main = () => page.locator("main").innerText();

  test.for(looks)(
    "the keyboard alone suffices for the ten tasks, at %j",
    { timeout: 300_000 },
    async (each, { expect }) => {
      await look(each);
      await page.goto(phylax.dev.console);
      await press(".skip");
      expect(await page.evaluate<string>("document.activeElement?.id ?? ''")).toBe("content");

      await open("/patients");
      await press("[data-open] button");
      // the issuer remembers a consent that was given before
      const [login, allow] = [page.locator("[name=login]"), page.locator("button[value=allow]")];
      const find = page.locator("[data-find]:not([hidden])");
      await login.or(allow).or(find).first().waitFor();
      if ((await login.count()) > 0) await typeSignIn(page, officer);
      else if ((await allow.count()) > 0) await press("button[value=allow]");
      await find.waitFor();
      await page.keyboard.type("Okafor"); // the field has the focus
      await page.keyboard.press("Enter");
      await page.locator("[data-people] button").first().waitFor();
      await press("[data-people] button");
      await page.locator("[data-lines] tbody tr").first().waitFor();
      expect(await main(), "who saw, and each line proven").toContain("Lantern Telehealth");
      const saved = page.waitForEvent("download");
      await press("[data-results] p button:last-child");
      expect(await (await saved).path(), "the accounting is exported").toBeTruthy();

      await open("/ledger");
      await press("[data-check] button");
      await page.locator("[data-banner]:is(.good,.warn,.bad)").waitFor({ timeout: 60_000 });
      expect(await main()).toMatch(/ledger/u);

      await open("/registry");
      await press('a[href="/console/registry/clients/operations"]');
      await press('button[aria-label^="Deny: certificate"]');
      await page.getByRole("heading", { name: "Denied" }).waitFor();
      await press('form[action="/console/lift"] button');
      await page.getByRole("heading", { name: "Lifted" }).waitFor();

      await open("/registry");
      await press('a[href="/console/registry/clients/tiny"]');
      await press('form[action="/console/deny"] button[aria-label^="Deny this client"]');
      await page.getByRole("heading", { name: "Denied" }).waitFor();
      await press('form[action="/console/lift"] button');
      await page.getByRole("heading", { name: "Lifted" }).waitFor();

      await open("/registry");
      await press('a[href="/console/registry/clients/sampler"]');
      await press('a[href="/console/registry/clients/sampler/change"]');
      await type("#quota-requests", String(each.width));
      await press('button[aria-label="Plan: Change a quota"]');
      await type("#why", "A keyboard alone");
      await press("button[value=propose]");
      await page.getByText("Proposed. A second person").waitFor();
      await press('main a[href^="/console/approvals/"]');
      expect(await main(), "the author cannot approve it").toContain("You proposed this.");
      expect(await page.locator('form[action="/console/approvals/approve"]').count()).toBe(0);
      const approver = phylax.dev.officers.find(({ id }) => id === "approver");
      if (approver === undefined) throw new Error("the sandbox has no approver");
      const second = await consoleContext(browser, phylax.dev, { certificate: approver, width: each.width });
      const other = await second.newPage();
      await enterConsole(other, phylax.dev, approver);
      await press('nav a[href="/console/approvals"]', other);
      await press('main a[href^="/console/approvals/"]', other);
      await press('form[action="/console/approvals/approve"] button', other);
      await other.getByText("Approved. It takes effect").waitFor();
      await second.close();
      await page.goto(`${phylax.dev.console}/registry/clients/sampler/change`);
      expect(await page.inputValue("#quota-requests"), "the approved quota").toBe(String(each.width));

      await openReview();
      await open("/events");
      await press("button[value=justified]");
      await page.getByText("The review is closed.").waitFor();

      await open("/why");
      await type("#request-id", refused);
      await openKey();
      expect(await main()).toMatch(/Reason: [a-z_]+/u);

      await open("/registry");
      await press('a[href="/console/registry/review"]');
      await openKey();
      expect(await main()).toMatch(/grants have no use on record/u);
    },
  );

  /** The texts that paper shows, in the order of the page. */
  const onPaper = async (): Promise<string> => {
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    const text = await page.locator("body").innerText();
    const ink = await page.evaluate<string>("getComputedStyle(document.documentElement).backgroundColor");
    const [inner, outer] = await page.evaluate<[number, number]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    await page.emulateMedia({ media: "screen" });
    if (ink !== "rgb(255, 255, 255)" || inner > outer) throw new Error(`paper: ${ink}, ${inner}/${outer}`);
    return text;
  };
  const scene = async (name: string) => {
    const found = consoleScenes({ dev: phylax.dev, officer, auditor, refused }).find(
      (each) => each.name === name,
    );
    if (found === undefined) throw new Error(`no scene ${name}`);
    await page.goto(phylax.dev.console + found.path);
    await found.act?.(page);
  };

  test("paper is light and shows the result alone: the look-up, the scope of a breach, and each letter", async ({
    expect,
  }) => {
    await page.setViewportSize({ width: 794, height: 1_123 }); // A4 at 96 pixels an inch
    await scene("patients-found");
    const lookUp = await onPaper();
    expect(lookUp).toMatch(/Disclosures about Amara Ngozi Okafor/u);
    expect(lookUp).not.toMatch(/Sign out|Save as CSV|Auditor's private key|For the individual/u);

    // records reach the copies of the logs within a minute
    const found = async () => {
      await scene("breach-found");
      return page.textContent("[data-banner]");
    };
    await expect.poll(found, { timeout: 60_000, interval: 2_000 }).toMatch(/^\d+ individuals? in/u);
    await page.evaluate("window.print = () => {}");
    await page.click('button:text-is("Print")');
    const scope = await onPaper();
    expect(scope).toMatch(/Affected individuals: \d+/u);
    expect(scope, "paper says too if a record was not read").toMatch(/every record was read/u);
    expect(scope).not.toMatch(/Sign out|Save as CSV|Find the scope|The same, offline/u);
    await page.click('button:text-is("Letters")');
    await page.click('button:text-is("Print the letters")');
    const letters = await onPaper();
    expect(letters.trim(), "the first letter begins the first sheet").toMatch(/^\[date\]/u);
    expect(letters).not.toMatch(/Affected individuals|every record was read|Drafts of the notice/u);
    const sheets = page.locator(".letter");
    expect(letters.split("[date]")).toHaveLength(1 + (await sheets.count()));
    await page.emulateMedia({ media: "print" });
    expect(
      await page.evaluate<string>("getComputedStyle(document.querySelector('.letter')).breakAfter"),
    ).toBe("page");
    await page.emulateMedia({ media: "screen" });
  });
});
