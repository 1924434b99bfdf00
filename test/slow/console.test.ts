import { afterAll, beforeAll, describe, test } from "vitest";
import axe, { type AxeResults } from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { DevOfficer } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { trafficOf } from "#audit/traffic/count";
import { numberText } from "#console/words";
import { openLedger } from "../support/auditor.ts";
import { consoleContext, enterConsole, hasChromium, openChromium } from "../support/console-browser.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

/* The console in Debian's Chromium, against a whole running Phylax. */
describe.skipIf(!hasChromium)("the operators' console in Chromium", () => {
  let phylax: TestStack;
  let officer: DevOfficer;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    phylax = await startTestStack();
    const [first] = phylax.dev.officers;
    if (first === undefined) throw new Error("no operator signs in");
    officer = first;
    browser = await openChromium();
    context = await consoleContext(browser, phylax.dev, { certificate: officer });
    page = await context.newPage();
    await enterConsole(page, phylax.dev, officer);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await phylax?.close();
  });

  test("a person signs in with certificate and second factor, and the sign-in is on record", async ({
    expect,
  }) => {
    await page.goto(phylax.dev.console);
    expect(await page.textContent("h1")).toBe("Now");
    expect(await page.textContent("header")).toContain("officer");
    const events = (await openLedger(phylax.dev)).map(({ event }) => event);
    const signIns = events.filter(({ what }) => what?.interaction === "console-sign-in");
    expect(signIns.map(({ kind, outcome }) => [kind, outcome?.status])).toEqual([
      ["administration", undefined],
      ["administration", 200],
    ]);
    expect(signIns[0]?.who).toMatchObject({ operator: "officer", subject: officer.login });
  });

  test("the page Now updates by itself, from its stream", async ({ expect }) => {
    await page.goto(phylax.dev.console);
    const before = await page.textContent("#now");
    await phylax.ask("telehealth", "Patient?_count=1");
    await expect.poll(() => page.textContent("#now"), { timeout: 15_000 }).not.toBe(before);
  });

  test("the plots have the auditor's numbers of requests and refusals by reason, in each range, and show no patient", async ({
    expect,
  }) => {
    const canary = "Canaryfamily";
    await phylax.ask("payer", `Patient?family=${canary}`);
    await phylax.ask("payer", `Patient/${canary}/$${canary}`);
    await phylax.ask("payer", `${canary}/1?${canary}=1`, { headers: { "phylax-purpose": canary } });
    const audited = async () => {
      const events = new Map(
        (await openLedger(phylax.dev)).map(({ event }) => [`${event.id} ${event.step ?? 0}`, event] as const),
      );
      const counts = [...events.values()].flatMap((event) => Array.from(trafficOf([event])));
      const of = (instrument: string) => counts.filter(([series]) => series.startsWith(`${instrument} `));
      const sumOf = (some: typeof counts) => numberText(some.reduce((sum, [, n]) => sum + n, 0));
      const reasons = Map.groupBy(of("phylax_refusals"), ([series]) => series.split(" ")[1] ?? "");
      return {
        whole: [sumOf(of("phylax_requests")), sumOf(of("phylax_refusals"))],
        reasons: Array.from(reasons, ([reason, some]) => `${reason} ${sumOf(some)}`).sort(),
      };
    };
    for (const range of ["hour", "day", "week", "month"]) {
      await expect
        .poll(
          async () => {
            await page.goto(`${phylax.dev.console}?range=${range}`);
            const figure = page.locator(".plot");
            const textOf = (i: number) => figure.nth(i).locator("figcaption strong").textContent();
            const reasons = await figure.nth(1).locator(".legend li").allTextContents();
            return {
              whole: [await textOf(0), await textOf(1)],
              reasons: reasons.map((text) => text.trim()).sort(),
            };
          },
          { timeout: 30_000 },
        )
        .toEqual(await audited());
      const html = await page.content();
      for (const secret of [canary, "amara", "okafor"]) expect(html.toLowerCase()).not.toContain(secret);
    }
    expect((await audited()).reasons.length).toBeGreaterThan(1);
  });

  test("a time in the numbers of refusals leads to its refusals, by keyboard alone", async ({ expect }) => {
    await page.goto(phylax.dev.console);
    await page.locator(".plot summary").nth(1).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/console\/why#\d{8}T\d{4}Z-\d{8}T\d{4}Z$/u);
    const key = phylax.dev.auditors[0]?.key ?? "";
    await page.setInputFiles("#auditor-key", key);
    const banner = async () => {
      await page.click("[data-key-form] button:enabled");
      await page.locator("[data-key-form] button:enabled").waitFor(); // the look has ended
      return page.textContent("[data-banner]");
    };
    await expect.poll(banner, { timeout: 20_000, interval: 1_000 }).toMatch(/\d+ refusals? of/u);
    expect(await page.locator("[data-results] tbody tr").count()).toBeGreaterThan(0);
  });

  /** Every violation that axe finds on the page: rule and place. */
  const violations = async (): Promise<readonly string[]> => {
    await page.evaluate(axe.source);
    const found = await page.evaluate<AxeResults>("axe.run()");
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  };

  test("axe finds no violation on the page Now", async ({ expect }) => {
    await page.goto(phylax.dev.console);
    expect(await violations()).toEqual([]);
    await page.locator(".plot summary").first().click();
    for (const { width, colorScheme } of [
      { width: 1280, colorScheme: "dark" },
      { width: 390, colorScheme: "light" },
      { width: 390, colorScheme: "dark" },
    ] as const) {
      await page.setViewportSize({ width, height: 844 });
      await page.emulateMedia({ colorScheme });
      expect(await violations(), `${width} ${colorScheme}`).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth"), "no scrolling sideways").toBe(
        width,
      );
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
  });

  test("the session cookie is a __Host- cookie that no script reads, and Strict", async ({ expect }) => {
    const cookies = await context.cookies(phylax.dev.ops);
    expect(cookies.filter(({ name }) => name.startsWith("__Host-phylax"))).toEqual([
      expect.objectContaining({
        name: "__Host-phylax-console",
        httpOnly: true,
        secure: true,
        sameSite: "Strict",
      }),
    ]);
    expect(await page.evaluate("document.cookie")).toBe("");
  });

  /** A request outside of the browser, with the certificate and the cookies of the session. */
  const raw = async (
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string,
    cookie?: string,
  ) => {
    const cookies = await context.cookies(phylax.dev.ops);
    const { value } = cookies.find(({ name }) => name === "__Host-phylax-console") ?? { value: "" };
    return send(phylax.dev, officer, `${phylax.dev.ops}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { cookie: cookie ?? `__Host-phylax-console=${value}`, ...headers },
      ...(body !== undefined && { body }),
    });
  };
  const formType = { "content-type": "application/x-www-form-urlencoded" };

  test("a form from elsewhere is refused: a foreign origin, a foreign site, a missing token", async ({
    expect,
  }) => {
    await page.goto(phylax.dev.console);
    const token = await page.getAttribute("input[name=form]", "value");
    const sendForm = (headers: Readonly<Record<string, string>>, form: string) =>
      raw("/console/sign-out", { ...formType, ...headers }, form);
    const right = { origin: phylax.dev.ops, "sec-fetch-site": "same-origin" };
    for (const [headers, form] of [
      [{ ...right, origin: "https://evil.example" }, `form=${token}`],
      [{ ...right, origin: "null" }, `form=${token}`],
      [{ ...right, "sec-fetch-site": "cross-site" }, `form=${token}`],
      [{ ...right, "sec-fetch-site": "same-site" }, `form=${token}`],
      [{}, `form=${token}`],
      [right, "form=wrong"],
      [right, ""],
    ] as const) {
      const reply = await sendForm(headers, form);
      expect([reply.status, reply.headers["set-cookie"]], JSON.stringify([headers, form])).toEqual([
        403,
        undefined,
      ]);
    }
  });

  test("a planted or foreign session is no session, and a sign-in takes a new one", async ({ expect }) => {
    const planted = await raw("/console", {}, undefined, "__Host-phylax-console=cGxhbnRlZC1zZXNzaW9u");
    expect([planted.status, planted.headers.location]).toEqual([303, "/console/sign-in"]);
    const own = (await context.cookies(phylax.dev.ops)).find(({ name }) => name === "__Host-phylax-console");
    const twice = await raw(
      "/console",
      {},
      undefined,
      `__Host-phylax-console=x; __Host-phylax-console=${own?.value}`,
    );
    expect(twice.status, "a second cookie of the name").toBe(303);
    const other = await consoleContext(browser, phylax.dev, { certificate: officer });
    await other.addCookies([
      { name: "__Host-phylax-console", value: "planted", url: `${phylax.dev.ops}/`, secure: true },
    ]);
    const second = await other.newPage();
    await enterConsole(second, phylax.dev, officer);
    const fresh = (await other.cookies(phylax.dev.ops)).find(({ name }) => name === "__Host-phylax-console");
    expect(fresh?.value).not.toBe("planted");
    expect(fresh?.value).not.toBe(own?.value);
    await other.close();
  });

  test("no page may frame the console, run a foreign or inline script, or be cached", async ({ expect }) => {
    for (const path of ["/console", "/console/sign-in", "/console/nothing"]) {
      const { headers } = await raw(path, {});
      const policy = String(headers["content-security-policy"]);
      expect(policy, path).toContain("frame-ancestors 'none'");
      expect(policy, path).toContain("script-src 'self';");
      expect(policy, path).not.toContain("unsafe");
      expect([headers["cache-control"], headers["x-frame-options"]], path).toEqual(["no-store", "DENY"]);
    }
  });

  test("sign-out ends the session everywhere: a kept cookie is refused, and the issuer ends its session", async ({
    expect,
  }) => {
    const other = await consoleContext(browser, phylax.dev, { certificate: officer });
    const leaving = await other.newPage();
    await enterConsole(leaving, phylax.dev, officer);
    const kept = (await other.cookies(phylax.dev.ops)).find(({ name }) => name === "__Host-phylax-console");
    const replay = (path: string) =>
      raw(path, {}, undefined, `__Host-phylax-console=${kept?.value ?? "absent"}`);
    expect((await replay("/console")).status, "the session works before").toBe(200);
    const token = await leaving.getAttribute("input[name=form]", "value");
    await leaving.click('button:text-is("Sign out")');
    await leaving.waitForURL(/\/session\/end/u);
    await leaving.click("button[name=logout]");
    await leaving.waitForURL(`${phylax.dev.console}/signed-out`);
    expect(await leaving.textContent("h1")).toBe("Signed out");
    for (const path of ["/console", "/console/registry", "/console/now/live"]) {
      const reply = await replay(path);
      expect([reply.status, reply.headers.location], path).toEqual([303, "/console/sign-in?again=1"]);
    }
    const form = { ...formType, origin: phylax.dev.ops, "sec-fetch-site": "same-origin" };
    const cookie = `__Host-phylax-console=${kept?.value ?? "absent"}`;
    expect((await raw("/console/sign-out", form, `form=${token}`, cookie)).status).toBe(303);
    // the issuer asks for the password again, and further sessions of the person go on
    await leaving.goto(`${phylax.dev.console}/sign-in/begin`);
    expect(await leaving.locator("[name=password]").count()).toBe(1);
    expect((await raw("/console", {})).status).toBe(200);
    await other.close();
    const ends = (await openLedger(phylax.dev)).filter(
      ({ event }) => event.what?.interaction === "end-session",
    );
    expect(ends.map(({ event }) => event.outcome?.status)).toEqual([undefined, 200]);
  });

  test("without a certificate, or with the certificate of a machine, there is no console", async ({
    expect,
  }) => {
    for (const certificate of [undefined, phylax.dev.operators[0]]) {
      const other = await consoleContext(browser, phylax.dev, { certificate });
      const stranger = await other.newPage();
      const answer = await stranger.goto(phylax.dev.console);
      expect(answer?.status()).toBe(403);
      expect(await stranger.textContent("h1")).toBe("No access");
      await other.close();
    }
  });
});
