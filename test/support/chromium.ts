import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type Page } from "playwright-core";

const candidates = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser of this machine; undefined: there is none, and a test that needs it says that it was skipped. */
export const chromiumPath = candidates.find((path) => existsSync(path));

/** Starts the browser without a window. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath ?? "",
    args: ["--no-sandbox"], // CI runs as root, where the browser's own sandbox does not start
  });

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** The rules of WCAG that a page breaks, each with the first element (axe-core). */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  // in a world of its own: the page's Content-Security-Policy forbids scripts
  const source = (await import("node:fs")).readFileSync(axe, "utf8");
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId } = await session.send("Page.createIsolatedWorld", {
    frameId: frameTree.frame.id,
    worldName: "axe",
  });
  await session.send("Runtime.evaluate", { expression: source, contextId: executionContextId });
  const { result } = await session.send("Runtime.evaluate", {
    expression:
      "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))",
    contextId: executionContextId,
    awaitPromise: true,
    returnByValue: true,
  });
  return result.value as readonly string[];
}
