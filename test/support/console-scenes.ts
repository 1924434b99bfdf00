import type { Page } from "playwright-core";
import type { DevFile, DevOfficer } from "../../cli/connection/dev-file.ts";
import { typeSignIn } from "./console-browser.ts";

/** A page of the console, and what is done on it before the picture. */
export interface ConsoleScene {
  readonly name: string;
  readonly path: string;
  readonly act?: (page: Page) => Promise<void>;
}

const done = (page: Page) => page.locator("[data-banner]:is(.good,.warn,.bad)").waitFor({ timeout: 60_000 });

interface SceneSetting {
  readonly dev: DevFile;
  /** The operator who is signed in. */
  readonly officer: DevOfficer;
  /** The path of an auditor's private key. */
  readonly auditor: string;
  /** The id of a refused request. */
  readonly refused: string;
}

/** Every page of the console, empty and with results, after a refusal, and with a ledger that was tampered with. */
export function consoleScenes({ dev, officer, auditor, refused }: SceneSetting): readonly ConsoleScene[] {
  const withKey = async (page: Page) => {
    await page.setInputFiles("#auditor-key", auditor);
    await page.click("[data-key-form] button");
    await done(page);
  };
  const fill = async (page: Page, fields: Readonly<Record<string, string>>) => {
    for (const [field, value] of Object.entries(fields)) await page.fill(`#${field}`, value);
  };
  const today = new Date().toISOString().slice(0, 10);
  return [
    { name: "now", path: "", act: async (page) => page.waitForTimeout(9_000) },
    { name: "patients", path: "/patients" },
    {
      name: "patients-found",
      path: "/patients",
      act: async (page) => {
        await page.click("[data-open] button");
        // the issuer may remember the sign-in, and the consent too
        const [login, allow] = [page.locator("[name=login]"), page.locator("button[value=allow]")];
        const find = page.locator("[data-find]:not([hidden])");
        await login.or(allow).or(find).first().waitFor();
        if ((await login.count()) > 0) await typeSignIn(page, officer);
        else if ((await allow.count()) > 0) await allow.click();
        await find.waitFor();
        await page.fill("#patient-name", "Okafor");
        await page.click("[data-find] button");
        await page.locator("[data-people] button").first().waitFor();
        await page.click("[data-people] button");
        await page.locator("[data-results] tbody tr").first().waitFor();
      },
    },
    { name: "cases", path: "/cases" },
    { name: "exports", path: "/exports" },
    { name: "ledger", path: "/ledger" },
    {
      name: "ledger-checked",
      path: "/ledger",
      act: async (page) => {
        await page.click("[data-check] button");
        await done(page);
      },
    },
    {
      name: "ledger-tampered",
      path: "/ledger",
      act: async (page) => {
        const changed = /\/tile\/entries\//u;
        await page.route(changed, async (route) => {
          const answer = await route.fetch();
          const body = await answer.body();
          body[body.length - 9] = (body[body.length - 9] ?? 0) ^ 1;
          await route.fulfill({ response: answer, body });
        });
        await page.click("[data-check] button");
        await done(page);
        await page.unroute(changed);
      },
    },
    { name: "registry", path: "/registry" },
    { name: "client", path: "/registry/clients/telehealth" },
    { name: "client-missing", path: "/registry/clients/absent" },
    { name: "sees", path: "/registry/clients/payer/sees?purpose=HPAYMT&origin=main" },
    { name: "client-change", path: "/registry/clients/telehealth/change" },
    {
      name: "client-change-planned",
      path: "/registry/clients/research/change",
      act: async (page) => {
        await page.fill("#quota-requests", "60");
        await page.click('button[aria-label="Plan: Change a quota"]');
      },
    },
    {
      name: "client-change-opens",
      path: "/registry/clients/privacy-desk/change",
      act: async (page) => {
        await page.selectOption("#policy-name", "hoperat");
        await page.click('button[aria-label="Plan: Change the policy of a grant"]');
      },
    },
    { name: "review", path: "/registry/review" },
    { name: "review-found", path: "/registry/review", act: withKey },
    { name: "change", path: "/registry/change" },
    {
      name: "change-planned",
      path: "/registry/change",
      act: async (page) => {
        const shown = await (await page.request.get(`${dev.console}/registry`)).text();
        const expects = /sha256:[0-9a-f]{64}/u.exec(shown)?.[0];
        const change = {
          expects,
          remove: { grants: [{ client: "research", purpose: "HRESCH", origin: "main" }] },
        };
        await fill(page, { change: JSON.stringify(change, undefined, 2), why: "The study has ended" });
        await page.click("button[value=plan]");
      },
    },
    {
      name: "change-refused",
      path: "/registry/change",
      act: async (page) => {
        await fill(page, { change: '{"set": {"clients": 3}}' });
        await page.click("button[value=plan]");
      },
    },
    {
      name: "client-denied",
      path: "/registry/clients/tiny",
      act: async (page) => {
        await page.click('button[aria-label^="Deny this client"]');
        await page.goto(`${dev.console}/registry/clients/tiny`);
      },
    },
    {
      name: "lifted",
      path: "/registry/clients/tiny",
      act: async (page) => {
        await page.click('button[aria-label="Lift this denial: client tiny"]');
      },
    },
    { name: "approvals", path: "/approvals" },
    {
      name: "approvals-open",
      path: "/registry/clients/research/change",
      act: async (page) => {
        await page.fill("#quota-requests", "9000");
        await page.click('button[aria-label="Plan: Change a quota"]');
        await page.fill("#why", "The study asks for more");
        await page.click("button[value=propose]");
      },
    },
    {
      name: "proposal",
      path: "/approvals",
      act: async (page) => {
        await page.locator('main a[href^="/console/approvals/"]').first().click();
        await page.locator("dl").first().waitFor();
      },
    },
    {
      name: "proposal-rejected",
      path: "/approvals",
      act: async (page) => {
        await page.locator('main a[href^="/console/approvals/"]').first().click();
        await page.click('form[action="/console/approvals/close"] button');
      },
    },
    { name: "alerts", path: "/alerts" },
    {
      name: "alerts-silenced",
      path: "/alerts",
      act: async (page) => {
        await page.check('input[value="ledger_behind"]');
        await page.fill("#reason", "R2 is moved");
        await page.click('form[action="/console/alerts/silence"] button');
        await page.locator('form[action="/console/alerts/unsilence"]').waitFor();
      },
    },
    { name: "events", path: "/events" },
    { name: "events-opened", path: "/events", act: withKey },
    { name: "breach", path: "/events/breach" },
    {
      name: "breach-found",
      path: "/events/breach",
      act: async (page) => {
        await fill(page, {
          "breach-value": "telehealth",
          "breach-from": "2026-01-01",
          "breach-to": today,
          "breach-discovered": today,
        });
        await withKey(page);
      },
    },
    { name: "why", path: "/why" },
    {
      name: "why-found",
      path: "/why",
      act: async (page) => {
        await page.fill("#request-id", refused);
        await withKey(page);
      },
    },
    { name: "missing", path: "/nothing" },
  ];
}
