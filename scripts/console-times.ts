import { cpus } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Page, Request } from "playwright-core";
import { readDevFile } from "../cli/connection/dev-file.ts";
import { consoleContext, enterConsole, openChromium } from "../test/support/console-browser.ts";
import { consoleScenes } from "../test/support/console-scenes.ts";
import { serveSampleLedger } from "../test/support/sample-ledger-page.ts";

/*
 * Measures the console of a running sandbox in Chromium: the server's time of each page with its results, and the
 * time to verify ten thousand leaves in the browser. The tests count clicks, and no test asserts a time, because
 * the time depends on the machine. docs/console.md has the last figures.
 */
const { values } = parseArgs({
  options: {
    state: { type: "string", default: ".phylax" },
    rounds: { type: "string", default: "11" },
  },
});
const dev = readDevFile(resolve(values.state));
const [officer] = dev.officers;
const auditor = dev.auditors[0]?.key;
if (officer === undefined || auditor === undefined)
  throw new Error("the sandbox has no operator who signs in, or no auditor");
const rounds = Number(values.rounds);

/** The scenes that change nothing, so that a page is the same in each round. */
const scenes = consoleScenes({ dev, officer, auditor, refused: "0".repeat(32) }).filter(({ name }) =>
  /^(?:patients|ledger-checked|registry|client|sees|client-change|review|change|approvals|events|breach|why)$/u.test(
    name,
  ),
);

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Milliseconds of the console's server while `act` runs: from each request's start to the end of its answer. */
async function serverTime(page: Page, act: () => Promise<unknown>): Promise<number> {
  let milliseconds = 0;
  const add = (request: Request) => {
    if (!request.url().startsWith(dev.console) || request.url().endsWith("/live")) return;
    const { requestStart, responseEnd } = request.timing();
    milliseconds += Math.max(0, responseEnd - requestStart);
  };
  page.on("requestfinished", add);
  await act();
  page.off("requestfinished", add);
  return milliseconds;
}

const browser = await openChromium();
try {
  const context = await consoleContext(browser, dev, { certificate: officer });
  const page = await context.newPage();
  await enterConsole(page, dev, officer);
  console.log(`${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores, ${rounds} rounds`);
  const found = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++)
    for (const { name, path, act } of scenes) {
      const time = await serverTime(page, async () => {
        await page.goto(dev.console + path);
        await act?.(page);
      });
      found.set(name, [...(found.get(name) ?? []), time]);
    }
  for (const [name, times] of found)
    console.log(
      `${name.padEnd(16)} server ${median(times).toFixed(0).padStart(5)} ms, at most ${Math.max(...times).toFixed(0)} ms`,
    );
  const leaves = await serveSampleLedger(
    page,
    dev,
    Array.from({ length: 40 }, () => 250),
  );
  const checks: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await page.goto(`${dev.console}/ledger`);
    const before = performance.now();
    await page.click("[data-check] button");
    await page.locator("[data-banner].warn").waitFor({ timeout: 120_000 });
    checks.push(performance.now() - before);
  }
  console.log(
    `verify ${leaves} leaves in the browser: ${median(checks).toFixed(0)} ms, at most ${Math.max(...checks).toFixed(0)} ms`,
  );
} finally {
  await browser.close();
}
