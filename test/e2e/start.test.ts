import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { readDevFile } from "../../cli/dev-file.ts";
import { freePort } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

const root = join(import.meta.dirname, "../..");
const state = mkdtempSync(join(tmpdir(), "phylax-start-"));
const running: ChildProcess[] = [];
afterAll(() => {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, "SIGKILL");
    } catch {
      // it ended, as it should
    }
  }
  rmSync(state, { recursive: true, force: true });
});

/** As somebody who just cloned would have it: without the folder of locked commands on the PATH. */
const env = {
  ...process.env,
  PATH: (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(delimiter),
};

async function start(port: number): Promise<ChildProcess> {
  const child = spawn("npm", ["start", "--", "--port", String(port), "--state", state], { cwd: root, env, detached: true });
  running.push(child);
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const until = Date.now() + 60_000;
  while (!/^ready/mu.test(said)) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready: ${said}`);
    await wait(100);
  }
  return child;
}

/** Sends a signal to npm's process alone, or to the whole group as a terminal's Ctrl-C does, and waits until nothing of it is left. */
async function end({ pid = 0 }: ChildProcess, signal: "SIGINT" | "SIGTERM", group: boolean): Promise<void> {
  process.kill(group ? -pid : pid, signal);
  const until = Date.now() + 10_000;
  while (isLeft(pid) && Date.now() < until) await wait(50);
  if (isLeft(pid)) throw new Error(`a process of npm start is left 10 s after ${signal}`);
}

/** Whether any process of the group is left. */
function isLeft(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

/** The nth shell block of the README, for this test's port and state. */
function readmeCommand(n: number, port: number): string {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```sh\n([\s\S]*?)```/gu)].map(([, block = ""]) =>
    block.trim(),
  );
  return (blocks[n] ?? "")
    .replaceAll(".phylax/", `${state}/`)
    .replaceAll("8443", String(port))
    .replace("phylax token payer", `phylax token payer --state ${state}`);
}

const shell = (command: string) => spawnSync("sh", ["-c", command], { cwd: root, env, encoding: "utf8" });

const withoutCurl = spawnSync("curl", ["--version"]).status !== 0;

test.skipIf(withoutCurl)(
  "npm start is ready, the README's commands work as printed (needs curl), Ctrl-C ends everything, and a second start keeps the ledger",
  { timeout: 180_000 },
  async ({ expect }) => {
    const port = await freePort();
    const first = await start(port);
    const dev = readDevFile(state);
    expect(dev).toMatchObject({ gateway: `https://localhost:${port}`, fhir: `https://localhost:${port}/v1/fhir/main` });
    expect(dev.clients.map(({ id }) => id)).toEqual(expect.arrayContaining(["telehealth", "payer", "public-health", "lapsed"]));

    const read = shell(readmeCommand(1, port));
    expect(read.stdout, read.stderr).toContain("HTTP/1.1 200 OK");
    expect(read.stdout).toContain('"id":"amara-okafor"');
    expect(read.stdout).toContain("SUBSETTED");
    const receipt = /^phylax-receipt: (.*?)\r?$/imu.exec(read.stdout)?.[1] ?? "";
    expect(shell(readmeCommand(2, port)).status).toBe(0);

    const ready = shell(`curl -s -o /dev/null -w '%{http_code}' --cacert ${dev.ca} ${dev.gateway}/readyz`);
    expect(ready.stdout).toBe("200");
    await end(first, "SIGINT", true);

    const second = await start(port);
    const verified = await verifyLedger(readDevFile(state), ["--receipt", receipt]);
    expect(verified.code, verified.said).toBe(0);
    expect(verified.said).toContain("has the receipt's leaf");
    await end(second, "SIGTERM", false);
  },
);

test("a second start on the same state, and an option that does not exist, are refused", { timeout: 60_000 }, async ({ expect }) => {
  const port = await freePort();
  const child = await start(port);
  const other = spawnSync("npm", ["start", "--", "--port", String(await freePort()), "--state", state], {
    cwd: root,
    env,
    encoding: "utf8",
  });
  expect(other.status).toBe(1);
  expect(other.stderr).toContain("in use");
  await end(child, "SIGTERM", true);
  expect(spawnSync("npm", ["start", "--", "--prot", "1"], { cwd: root, env, encoding: "utf8" }).status).toBe(2);
});
