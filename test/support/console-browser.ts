import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import type { DevFile, DevOfficer } from "../../cli/connection/dev-file.ts";
import { totp } from "../../sandbox/identity-provider/totp.ts";

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));

/** True where Debian's Chromium is installed. The tests of the console are skipped without it. */
export const hasChromium = executablePath !== undefined;

export const openChromium = (): Promise<Browser> =>
  chromium.launch({
    ...(executablePath !== undefined && { executablePath }),
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });

export interface ConsoleContextOptions {
  readonly width?: number;
  readonly dark?: boolean;
  readonly javaScriptEnabled?: boolean;
  /** Undefined: the browser shows no certificate. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

/** A browser profile that trusts the sandbox's servers and shows a certificate at the operators' door. */
export const consoleContext = (
  browser: Browser,
  dev: DevFile,
  { width = 1280, dark = false, javaScriptEnabled = true, certificate }: ConsoleContextOptions,
): Promise<BrowserContext> =>
  browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width, height: width < 600 ? 844 : 900 },
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled,
    ...(certificate !== undefined && {
      clientCertificates: [{ origin: dev.ops, certPath: certificate.cert, keyPath: certificate.key }],
    }),
  });

/** Types the login, the password and the code of this moment at the sandbox's issuer, and agrees. */
export async function typeSignIn(page: Page, { login, password, totp: secret }: DevOfficer): Promise<void> {
  await page.fill("[name=login]", login);
  await page.fill("[name=password]", password);
  const code = page.locator("[name=code]");
  if ((await code.count()) > 0) await code.fill(totp(secret, nextCodeTime()));
  await page.click("button[value=allow]");
  const agree = page.locator("button[value=allow]");
  if (page.url().includes("/interaction/")) await agree.click();
}

let codeTime = 0;
/** A code is valid once, and for the step before and after its own: each sign-in takes the next code. */
function nextCodeTime(): number {
  const [before, now] = [codeTime, Date.now()];
  codeTime = Math.max(now - 30_000, before + 30_000);
  return codeTime;
}

/** Opens the console from its front door to its first page. */
export async function enterConsole(page: Page, dev: DevFile, officer: DevOfficer): Promise<void> {
  await page.goto(dev.console);
  await page.click("a.button");
  await typeSignIn(page, officer);
  await page.waitForURL(dev.console);
}
