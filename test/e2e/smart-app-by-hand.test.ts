import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { appOf, Browser } from "../support/browser.ts";
import { typed } from "../support/patient-web.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
}, 60_000);
afterAll(() => phylax.close());

const root = join(import.meta.dirname, "../..");

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("not set up");
  return value;
}

/** The shell blocks of the section on SMART apps, for this test's state. */
function printed(): readonly string[] {
  const state = dirname(dirname(phylax.dev.ca)); // <state>/pki/ca.pem
  const [, section = ""] = readFileSync(join(root, "docs/sign-in.md"), "utf8").split(
    "## A SMART app, from the FHIR base alone",
  );
  const blocks = [...(section.split("\n## ", 1)[0]?.matchAll(/```sh\n([\s\S]*?)```/gu) ?? [])];
  return blocks.map(([, block = ""]) =>
    block
      .replaceAll(".phylax", state)
      .replaceAll("smart.json", join(state, "smart.json"))
      .replace("--operator registrar", `--operator registrar --state ${state}`),
  );
}

test("the commands of docs/sign-in.md work as printed: the base names the sign-in server, and fhirclient reads the signed-in patient's record", async ({
  expect,
  onTestFinished,
}) => {
  const [register = "", script = ""] = printed();
  const applied = await promisify(execFile)("sh", ["-c", register], { cwd: root });
  expect(applied.stdout).toMatch(/smart\.json: 3 added, 1 changed/u);
  const tokenEndpoint = async () => {
    const reply = await send(phylax.dev, undefined, `${phylax.dev.fhir}/.well-known/smart-configuration`);
    return JSON.parse(reply.text).token_endpoint;
  };
  await expect.poll(tokenEndpoint, patience).toBe(`${must(phylax.dev.issuers[0]).iss}/token`);

  const running = spawn("sh", ["-c", script], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  onTestFinished(() => {
    if (running.exitCode === null) process.kill(-must(running.pid), "SIGKILL"); // the shell and its app
  });
  const lines = createInterface(running.stdout)[Symbol.asyncIterator]();
  const home = await fetch(must((await lines.next()).value), { redirect: "manual" });
  const browser = new Browser(phylax.dev);
  const user = must(phylax.dev.users[1]);
  const consent = await browser.submit(
    await browser.open(new URL(must(home.headers.get("location") ?? undefined))),
    typed(user),
  );
  const back = appOf(await browser.submit(consent, { decision: "allow" }));
  expect(await (await fetch(back)).text()).toBe("You can close this window.");
  expect((await lines.next()).value).toMatch(
    new RegExp(`^Patient/${user.patient} .*"id":"${user.patient}"`, "u"),
  );
  expect(await once(running, "exit")).toEqual([0, null]);
});
