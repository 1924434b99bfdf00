import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { trafficOf } from "#audit/traffic/count";
import { numberText } from "#console/words";
import { openLedger } from "../support/auditor.ts";
import { consoleContext, enterConsole, hasChromium, openChromium } from "../support/console-browser.ts";
import { freePort } from "../support/free-port.ts";
import { startTestStack } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

/** Three hours: eight leaps of a quarter of an hour, and sixty of a minute. */
const days = 3 / 24;

test.skipIf(!hasChromium)(
  "a made state serves the requests of its shifted clock: the plots have the auditor's numbers, and the ledger verifies",
  { timeout: 400_000 },
  async ({ expect, onTestFinished }) => {
    const folder = mkdtempSync(join(tmpdir(), "phylax-month-test-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const state = join(folder, "state");
    const command = [join(import.meta.dirname, "../../scripts/month.ts"), "--into", state];
    const port = await freePort();
    const child = spawn(process.execPath, [...command, "--days", String(days), "--port", String(port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(said).toMatch(/^Answers: .*\b20[01] \d+/mu);
    expect(said, "no part of the stack failed").not.toMatch(/failed \d|\b50\d \d/u);

    const phylax = await startTestStack({ state });
    onTestFinished(() => phylax.close());
    await verifyLedger(phylax.dev);
    const [officer] = phylax.dev.officers;
    if (officer === undefined) throw new Error("no operator signs in");
    const browser = await openChromium();
    onTestFinished(() => browser.close());
    const context = await consoleContext(browser, phylax.dev, { certificate: officer });
    const page = await context.newPage();
    await enterConsole(page, phylax.dev, officer);
    const audited = async () => {
      const found = await openLedger(phylax.dev);
      const events = new Map(found.map(({ event }) => [`${event.id} ${event.step ?? 0}`, event] as const));
      const counts = [...events.values()].flatMap((event) => Array.from(trafficOf([event])));
      return ["phylax_requests ", "phylax_refusals "].map((instrument) =>
        numberText(counts.reduce((sum, [series, n]) => (series.startsWith(instrument) ? sum + n : sum), 0)),
      );
    };
    const plotted = async () => {
      await page.goto(`${phylax.dev.console}?range=day`);
      const figures = page.locator(".plot figcaption strong");
      return [await figures.nth(0).textContent(), await figures.nth(1).textContent()];
    };
    await expect.poll(plotted, { timeout: 60_000 }).toEqual(await audited());
    const times = (await openLedger(phylax.dev)).map(({ event }) => event.at);
    const spread = Math.max(...times) - Math.min(...times);
    expect(spread, "the records are of the shifted clock").toBeGreaterThan(days * 86_400_000);
  },
);
