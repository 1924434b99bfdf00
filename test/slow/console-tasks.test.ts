import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { DevOfficer } from "../../cli/connection/dev-file.ts";
import { openLedger } from "../support/auditor.ts";
import {
  consoleContext,
  enterConsole,
  hasChromium,
  openChromium,
  typeSignIn,
} from "../support/console-browser.ts";
import { serveSampleLedger } from "../support/sample-ledger-page.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const bannerDone = "[data-banner]:is(.good,.warn,.bad)";

/*
 * Tasks of operators in Debian's Chromium, each with the clicks that docs/console.md states. The times
 * are measured by scripts/console-times.ts.
 */
describe.skipIf(!hasChromium)("the operators' tasks in Chromium", () => {
  let phylax: TestStack;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let officer: DevOfficer;
  let auditor = "";
  let clicks = 0;
  const addresses: string[] = [];

  const signedIn = async (who: DevOfficer, width = 1280) => {
    const made = await consoleContext(browser, phylax.dev, { certificate: who, width });
    const opened = await made.newPage();
    await enterConsole(opened, phylax.dev, who);
    return { made, opened };
  };
  const officerNamed = (id: string): DevOfficer => {
    const found = phylax.dev.officers.find((each) => each.id === id);
    if (found === undefined) throw new Error(`no operator ${id}`);
    return found;
  };

  beforeAll(async () => {
    phylax = await startTestStack();
    officer = officerNamed("officer");
    auditor = phylax.dev.auditors[0]?.key ?? "";
    browser = await openChromium();
    ({ made: context, opened: page } = await signedIn(officer));
    page.on("request", (request) => void addresses.push(request.url()));
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await phylax?.close();
  });

  /** Begins a task at the front page. */
  const begin = async (): Promise<void> => {
    await page.goto(phylax.dev.console);
    clicks = 0;
  };
  const click = async (selector: string, at: Page = page): Promise<void> => {
    clicks += 1;
    await at.click(selector);
  };
  const nav = (name: string, at: Page = page) => click(`nav a:text-is("${name}")`, at);
  /** Begins at the console's first page, and opens one of its pages, and there something. */
  const open = async (name: string, selector?: string): Promise<void> => {
    await begin();
    await nav(name);
    if (selector !== undefined) await click(selector);
  };
  const banner = async (): Promise<string> => {
    await page.locator(bannerDone).waitFor({ timeout: 30_000 });
    return (await page.textContent("[data-banner]")) ?? "";
  };
  const giveKey = async (): Promise<void> => {
    clicks += 1;
    await page.setInputFiles("#auditor-key", auditor);
  };

  test("who saw patient X, with each line proven, and the accounting as CSV", async ({ expect }) => {
    await phylax.ask("telehealth", "Patient/amara-okafor");
    await expect // the proofs come with the next checkpoint
      .poll(
        async () => (await phylax.ask("privacy-officer", "Patient/amara-okafor/$disclosures?all=true")).text,
        { timeout: 30_000 },
      )
      .toContain('"proof"');
    await open("Who saw this patient?");
    await click("[data-open] button");
    await page.waitForURL(/interaction/u);
    if ((await page.locator("[name=login]").count()) > 0) await typeSignIn(page, officer);
    else await click("button[value=allow]");
    await page.waitForURL(/\/console\/patients$/u);
    await page.fill("#patient-name", "Amara Okafor");
    await click("[data-find] button");
    await page.locator("[data-people] button").first().waitFor();
    await click("[data-people] button");
    await page.locator("[data-results] tbody tr").first().waitFor();
    expect(clicks).toBeLessThanOrEqual(6);
    const text = (await page.textContent("[data-results]")) ?? "";
    expect(text).toContain("Okafor");
    expect(text).toContain("telehealth");
    expect(text).toContain("treatment");
    expect(text).toContain("proven");
    expect(await page.textContent("[data-banner]")).not.toContain("WRONG");
    await page.setInputFiles("#auditor-key", auditor);
    const line = page.locator("[data-lines] tbody tr", { hasText: "telehealth" }).first();
    const person = async () => {
      await page.click("[data-key-form] button");
      await page.locator("[data-banner]", { hasText: /^Opened/u }).waitFor({ timeout: 30_000 });
      return line.locator('[data-head="Person"]').textContent();
    };
    // the record reaches the public objects within a minute
    await expect.poll(person, { timeout: 60_000, interval: 1_000 }).toBe("no person: a system asked");
    expect(await line.locator('[data-head="Consents"]').textContent()).toMatch(/^(?:none|asked)/u);
    const saved = page.waitForEvent("download");
    await click('button:text-is("Save as CSV")');
    const path = await (await saved).path();
    expect(readFileSync(path, "utf8")).toContain("telehealth");
    // the page for the individual, and a time that no line is in
    await page.click('summary:text-is("For the individual")');
    await page.check("[data-results] input[type=checkbox]");
    const handedOut = page.waitForEvent("download");
    await page.click('button:text-is("Save the page for the individual")');
    const html = readFileSync(await (await handedOut).path(), "utf8");
    expect(html).toContain("Accounting of disclosures");
    expect(html).toContain("Amara Ngozi Okafor, born March 12, 1984");
    expect(html).toContain("Lantern Telehealth");
    await page.fill("#patient-from", "2025-01-01");
    await page.fill("#patient-to", "2025-01-31");
    await page.click("[data-find] button");
    await page.click("[data-people] button");
    await page.getByText("No disclosure is listed.").waitFor();
    expect(await page.textContent("[data-results]")).toContain("It covers 2025-01-01 to 2025-01-31.");
    // The typed name is in no address, neither of a page nor of a request.
    expect(addresses.filter((address) => /okafor/iu.test(address) && !address.includes("/Patient/"))).toEqual(
      [],
    );
    expect(
      addresses.filter((address) => address.startsWith(phylax.dev.ops) && /okafor/iu.test(address)),
    ).toEqual([]);
  });

  test("verify the whole ledger; a tile that a proxy changed turns the banner red", async ({ expect }) => {
    const check = async () => {
      await page.goto(`${phylax.dev.console}/ledger`);
      await page.click("[data-check] button");
      return banner();
    };
    // a young ledger's records reach the root log within a minute
    await expect.poll(check, { timeout: 60_000, interval: 2_000 }).toMatch(/^The ledger holds/u);
    await open("Ledger");
    await click("[data-check] button");
    expect(await banner()).toMatch(/^The ledger holds: .* cosigned by every witness/u);
    expect(clicks).toBe(2);
    for (const changed of [
      /\/s\d+-[^/]+\/tile\/0\//u,
      /\/s\d+-[^/]+\/tile\/entries\//u,
      /\/root\/frames?\/(?:1|\d+-\d+)$/u,
      /\/root\/checkpoint$/u,
    ]) {
      await page.route(changed, async (route) => {
        const answer = await route.fetch();
        const body = await answer.body();
        body[body.length - 9] = (body[body.length - 9] ?? 0) ^ 1;
        await route.fulfill({ response: answer, body });
      });
      expect(await check(), String(changed)).toMatch(/NOT hold|could not be finished/u);
      expect(await page.locator("[data-banner].bad").count(), String(changed)).toBe(1);
      await page.unroute(changed);
    }
  });

  test("ten thousand leaves are verified, and without a witness the banner is not green", async ({
    expect,
  }) => {
    const frames = Array.from({ length: 40 }, () => 250);
    expect(await serveSampleLedger(page, phylax.dev, frames)).toBeGreaterThanOrEqual(10_000);
    await open("Ledger");
    await click("[data-check] button");
    expect(await banner()).toMatch(/agrees with itself: 1\d.\d{3} records/u);
    expect(clicks).toBe(2);
    expect(await page.locator("[data-banner].warn").count()).toBe(1);
    await page.unrouteAll();
  });

  test("deny a stolen certificate, and lift the denial again", async ({ expect }) => {
    await open("Registry", 'a:text-is("operations")');
    await click('button[aria-label^="Deny: certificate"]');
    expect(await page.textContent("h1")).toBe("Denied");
    expect(clicks).toBe(3);
    await expect
      .poll(
        async () => (await phylax.ask("operations", "Patient?_count=1").catch(() => undefined))?.status ?? 0,
        { timeout: 20_000 },
      )
      .not.toBe(200);
    await page.goto(phylax.dev.console);
    expect(await page.textContent("#now")).toContain("certificate of operations: ");
    // the denial is shown, and lifted, where the certificate stands
    await open("Registry", 'a:text-is("operations")');
    await click('button[aria-label^="Lift this denial: certificate of operations"]');
    expect(await page.textContent("h1")).toBe("Lifted");
    expect(clicks).toBe(3);
  });

  test("who changed this client: the acts that name it, with the entries that they touched", async ({
    expect,
  }) => {
    const history = async () => {
      await open("Registry", 'a:text-is("operations")');
      await click('a:text-is("Who changed this client?")');
      await giveKey();
      await click("[data-key-form] button");
      await banner();
      return page.locator("[data-acts] tbody tr").allInnerTexts();
    };
    await expect.poll(history, { timeout: 60_000, interval: 2_000 }).toHaveLength(2);
    const [lifted, denied] = await history();
    expect(clicks).toBe(5);
    expect(lifted).toContain("Lifted a denial");
    expect(denied).toContain("certificate ");
    expect(denied).toContain("officer");
    await page.fill("#events-filter", "no such word");
    expect(await page.textContent("[data-acts]")).toContain("No event names no such word.");
  });

  test("see what a client may see, element by element", async ({ expect }) => {
    await open("Registry", 'a:text-is("payer")');
    await click('a:has-text("what it sees")');
    expect(clicks).toBe(3);
    const granted = page.locator("table:has(caption:text-is('Every type and element')) tbody tr");
    expect(await granted.count()).toBeGreaterThan(20);
    expect(await granted.filter({ hasText: "identifier[system=" }).count()).toBeGreaterThan(0);
    expect(
      await page.locator("section:has(h3:text-is('Observation')) tr:has-text('note')").textContent(),
    ).toContain("removed");
    expect(
      await page.locator("section:has(h3:text-is('Observation')) tr:has-text('valueQuantity')").textContent(),
    ).toContain("shown");
  });

  test("deny a client", async ({ expect }) => {
    await open("Registry", 'a:text-is("tiny")');
    await click('button:text-is("Deny this client")');
    expect(await page.textContent("h1")).toBe("Denied");
    expect(clicks).toBe(3);
    await page.click('button:text-is("Lift this denial")');
    expect(await page.textContent("h1")).toBe("Lifted");
  });

  test("approve a policy that another person proposed", async ({ expect }) => {
    await open("Registry", 'a:text-is("Plan a change")');
    const shown = await (await page.request.get(`${phylax.dev.console}/registry`)).text();
    const digest = /sha256:[0-9a-f]{64}/u.exec(shown)?.[0];
    const body = JSON.parse(readFileSync("policies/treat.json", "utf8")) as object;
    const policy = { ...body, name: "treat-two", title: "Another title" };
    const change = { expects: digest, set: { policies: [{ name: "treat-two", body: policy }] } };
    await page.fill("#change", JSON.stringify(change));
    await page.fill("#why", "A test of two persons");
    expect(await page.locator('button:text-is("Propose")').count(), "unread, it cannot be proposed").toBe(0);
    await click('button:text-is("Plan")');
    expect(await page.textContent("main")).toContain("Another title");
    await click('button:text-is("Propose")');
    expect(await page.textContent("main")).toContain("A second person approves it");
    expect(clicks, "plan and propose").toBe(4);
    // a change of a different entry leaves the proposal as it is
    await planQuota(77);
    await page.click('button:text-is("Apply")');

    const { made, opened } = await signedIn(officerNamed("approver"));
    clicks = 0;
    await nav("Approvals", opened);
    await click('a:text-is("A test of two persons")', opened);
    expect(await opened.textContent("main")).toContain("Another title");
    await click('button:text-is("Approve")', opened);
    expect(await opened.textContent("main")).toContain("Approved.");
    expect(clicks).toBe(3);
    await made.close();
  });

  /** Plans a quota of the payer, in the form of its page. */
  async function planQuota(requests: number): Promise<void> {
    await page.goto(`${phylax.dev.console}/registry/clients/payer/change`);
    await page.fill("#quota-requests", String(requests));
    await page.click('form[aria-labelledby="change-quota"] button');
  }

  test("a proposal whose entry has changed since is planned again by one click", async ({ expect }) => {
    await planQuota(88);
    await page.fill("#why", "A quota of 88");
    await page.click('button:text-is("Propose")');
    await planQuota(99);
    await page.click('button:text-is("Apply")');
    await open("Approvals", 'a:text-is("A quota of 88")');
    expect(await page.textContent("main")).toContain("have changed since the proposal");
    expect(await page.locator('button:text-is("Approve")').count()).toBe(0);
    expect(await page.evaluate<number>("document.documentElement.scrollHeight")).toBeLessThan(2_000);
    await click('button:text-is("Plan again")');
    expect(await page.textContent("main")).toMatch(/"requests": ?99[^]*"requests": ?88/u);
    expect(await page.inputValue("#why")).toBe("A quota of 88");
    await click('button:text-is("Apply")');
    expect(await page.textContent("main")).toContain("Applied.");
  });

  test("why was this request refused", async ({ expect }) => {
    const refused = await phylax.ask("privacy-officer", "Condition?patient=1");
    expect(refused.status).toBeGreaterThanOrEqual(400);
    // A record of a log that was just opened is shown once the root log's checkpoint names the log.
    await expect
      .poll(
        async () => {
          await open("Why refused?");
          await page.fill("#request-id", String(refused.headers["x-request-id"]));
          await giveKey();
          await click("[data-key-form] button");
          return banner();
        },
        { timeout: 30_000, interval: 1_000 },
      )
      .toMatch(/^\d+ records? found/u);
    expect(clicks).toBe(3);
    expect(await page.textContent("[data-results]")).toMatch(/Reason: [a-z ]+ [a-z_]+/u);
    expect(await page.textContent("[data-results]")).toContain("privacy-officer");
    // without a request id: the refusals of a client
    await page.fill("#request-id", "privacy-officer");
    await page.click("[data-key-form] button");
    await page.locator("[data-banner]", { hasText: "privacy-officer" }).waitFor();
    expect(await page.textContent("[data-banner]")).toMatch(/^\d+ refusals? of privacy-officer/u);
    expect(await page.textContent("[data-results]")).toContain("search Condition");
  });

  test("find a grant that no client uses", async ({ expect }) => {
    await open("Registry", 'a:has-text("Access review")');
    await giveKey();
    await click("[data-key-form] button");
    expect(await banner()).toMatch(/^\d+ of \d+ grants have no use on record/u);
    expect(clicks).toBe(4);
    const last = (grant: string) => page.textContent(`[data-grant="${grant}"] [data-last]`);
    expect(await last("telehealth/main/TREAT")).toContain("UTC");
    const age = /^no use on record; its records begin \d+ (?:s|min) ago$/u;
    expect(await last("research/main/HRESCH"), "ninety days are not covered yet").toMatch(age);
    expect(await page.locator("[data-proposal] button").count()).toBe(0);
    expect(await banner()).toContain("nothing is proposed for them");
    await fillCoveredDays();
    await page.click("[data-key-form] button");
    await expect.poll(() => last("research/main/HRESCH")).toMatch(/^no use in 0\.\d+ days$/u);
  });

  /** The longest period that the records of this test cover. */
  async function fillCoveredDays(): Promise<void> {
    const began = Math.min(...(await openLedger(phylax.dev)).map(({ event }) => event.at));
    await page.fill("#review-days", String((Date.now() - began - 200) / 86_400_000));
  }

  test("the access review accepts a narrower policy by one key, and removes a grant by one click", async ({
    expect,
  }) => {
    const sent: string[] = [];
    const note = (request: { postData(): string | null }) => void sent.push(request.postData() ?? "");
    page.on("request", note);
    const focused = () => page.evaluate<string>("document.activeElement?.getAttribute('aria-label') ?? ''");
    const answerOf = (grant: string) => page.locator(`[data-grant="${grant}"] [data-answer]`);
    await open("Registry", 'a:has-text("Access review")');
    await giveKey();
    await fillCoveredDays();
    await click("[data-key-form] button");
    expect(await banner()).toMatch(/^\d+ of \d+ grants have no use on record/u);
    // the first proposal has the focus
    const named = await focused();
    expect(named).toMatch(/^Accept the narrower policy: /u);
    const [, client = "", purpose = "", origin = ""] = /: (\S+) (\S+) (\S+)$/u.exec(named) ?? [];
    const narrowed = `${client}/${origin}/${purpose}`;
    const card = page.locator(`[data-grant="${narrowed}"]`);
    expect(await card.textContent()).toContain("The narrower policy drops");
    await card.locator("summary").click();
    expect(await card.locator("pre").textContent()).toMatch(/^ +- /mu);
    expect(await card.locator("pre").textContent(), "nothing is added").not.toMatch(/^ +\+ /mu);
    await card.locator("[data-accept]").focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => answerOf(narrowed).textContent()).toMatch(/^Accepted/u);
    expect(await focused(), "the next proposal").not.toBe(named);
    await page.click('button[aria-label="Remove this grant: research HRESCH main"]');
    await expect.poll(() => answerOf("research/main/HRESCH").textContent()).toMatch(/^Accepted/u);
    page.off("request", note);
    expect(sent.filter((each) => /okafor|"d"/u.test(each))).toEqual([]);
    await page.goto(`${phylax.dev.console}/registry/review`);
    expect(await page.locator('[data-grant="research/main/HRESCH"]').count()).toBe(0);
    expect(await page.getAttribute(`[data-grant="${narrowed}"]`, "data-name")).toContain(client);
    // a decision about a grant that has changed since is refused
    const form = await page.getAttribute("[data-review]", "data-form");
    const stale = await page.request.post(`${phylax.dev.console}/registry/review/decide`, {
      headers: { origin: phylax.dev.ops, "sec-fetch-site": "same-origin" },
      form: { form: form ?? "", client, origin, purpose, name: "older", digest: "sha256:0", act: "remove" },
    });
    expect(stale.status()).toBe(409);
    const foreign = await page.request.post(`${phylax.dev.console}/registry/review/decide`, {
      headers: { origin: "https://evil.example" },
      form: { form: form ?? "", client, origin, purpose, name: "older", digest: "sha256:0", act: "remove" },
    });
    expect(foreign.status()).toBe(403);
  });

  test("scope a breach: individuals, clocks, a letter for each, and files; the key and the patients stay here", async ({
    expect,
  }) => {
    await phylax.ask("telehealth", "Patient/amara-okafor");
    const sent: string[] = [];
    const note = (request: { postData(): string | null; url(): string }) =>
      void sent.push(request.url() + (request.postData() ?? ""));
    page.on("request", note);
    const compute = async () => {
      await open("Events", 'a:has-text("Breach")');
      await page.fill("#breach-value", "telehealth");
      for (const [field, day] of [
        ["from", "2020-01-01"],
        ["to", "2099-12-31"],
        ["discovered", "2026-11-24"],
      ])
        await page.fill(`#breach-${field}`, String(day));
      await giveKey();
      await click("[data-key-form] button");
      return banner();
    };
    // records reach the copies of the logs within a minute
    await expect.poll(compute, { timeout: 60_000, interval: 2_000 }).not.toMatch(/^No individual/u);
    expect(await banner()).toMatch(/^\d+ individuals? in \d+ records?; every record was read/u);
    await click('button:text-is("Letters")');
    expect(clicks).toBe(5);
    const text = (await page.textContent("[data-results]")) ?? "";
    expect(text).toContain("main/Patient/amara-okafor");
    for (const clause of ["164.404(b)", "164.406", "164.408"]) expect(text).toContain(clause);
    expect(text).toContain("2027-01-23"); // 60 days
    const letters = page.locator(".letter");
    expect(await letters.count()).toBe(Number(/Affected individuals: (\d+)/u.exec(text)?.[1]));
    expect(await letters.filter({ hasText: "main/Patient/amara-okafor;" }).textContent()).toContain(
      "records of name, contacts and personal facts",
    );
    const files: string[] = [];
    for (const name of ["Save as CSV", "Save with receipts (JSON)"]) {
      const saved = page.waitForEvent("download");
      await page.click(`button:text-is("${name}")`);
      files.push(readFileSync(await (await saved).path(), "utf8"));
    }
    expect(files[0]).toMatch(/^patient,state,first,last,/u);
    expect(files[0]).toContain("main/Patient/amara-okafor,MA,");
    const report = JSON.parse(files[1] ?? "");
    expect(report).toMatchObject({ client: "telehealth", complete: true });
    expect(report.records[0].receipts[0]).toMatch(/^[\w-]/u);
    page.off("request", note);
    expect(sent.filter((each) => /okafor|"d"/u.test(each))).toEqual([]);
  });

  test("close the review of a use of break-glass", async ({ expect }) => {
    const registry = await phylax.stack.runtime.miniflare.getD1Database("REGISTRY", "phylax-gateway");
    const insert =
      "INSERT INTO reviews (id, opened_at, request_id, client, origin, purpose) VALUES (?, ?, ?, 'telehealth', 'main', 'ETREAT')";
    const use = await phylax.ask("telehealth", "Patient/amara-okafor");
    const request = String(use.headers["x-request-id"]);
    await registry.prepare(insert).bind(randomBytes(16).toString("hex"), Date.now(), request).run();
    await begin();
    expect(await page.textContent("#state")).toContain("1 use of break-glass");
    const happened = async () => {
      await begin();
      await click('#state a:has-text("break-glass")');
      await giveKey();
      await click("[data-key-form] button");
      await banner();
      return page.textContent("[data-use]");
    };
    // what left is read before it is judged
    await expect
      .poll(happened, { timeout: 60_000, interval: 2_000 })
      .toContain("no person: a system asked, main/Patient/amara-okafor: 1 record of name");
    expect(clicks).toBe(3);
    await page.fill("[data-close] input[name=note]", "Seen with the ward");
    await click('button:text-is("Justified")');
    await page.locator("[data-close] [data-answer]", { hasText: "The review is closed." }).waitFor();
    expect(clicks).toBe(4);
    expect(await page.textContent("[data-use]"), "the key and what it opened stay").toContain("amara-okafor");
    // the finding is changed, with a note
    await open("Events", "summary:text-is('Closed reviews: 1')");
    const table = page.locator("table:has(caption:text-is('Closed reviews: 1'))");
    expect(await table.textContent()).toContain("Seen with the ward");
    expect(await table.locator("a").getAttribute("href")).toBe(`/console/why#${request}`);
    await page.click('summary:text-is("Change the finding")');
    await page.fill("details [data-close] input[name=note]", "The ward knew nothing");
    await page.click('details [data-close] button:text-is("Not justified")');
    await page.locator("details [data-answer]", { hasText: "The review is closed." }).waitFor();
    await open("Events");
    expect(await table.textContent()).toMatch(/Not justified.*The ward knew nothing/u);
  });

  test("without script every page can be read", async ({ expect }) => {
    const other = await consoleContext(browser, phylax.dev, {
      certificate: officer,
      javaScriptEnabled: false,
    });
    await other.addCookies(await context.cookies(phylax.dev.ops));
    const still = await other.newPage();
    for (const [path, text] of [
      ["", "Logs"],
      ["/registry", "telehealth"],
      ["/events", "break-glass"],
      ["/ledger", "phylax ledger verify"],
    ] as const) {
      await still.goto(phylax.dev.console + path);
      expect(await still.textContent("main"), path).toContain(text);
    }
    await other.close();
  });
});
