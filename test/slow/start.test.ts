import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { readDevFile } from "../../cli/connection/dev-file.ts";
import { holdsSecret } from "../support/secret-watch.ts";
import { freePort } from "../support/free-port.ts";
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
  const telltales = [...words.values()].filter((said) => holdsSecret(said, state));
  rmSync(state, { recursive: true, force: true });
  if (telltales.length > 0) throw new Error("npm start printed a token or a key"); // T46
});

/** The environment of a fresh clone: without the folder of locked commands on the PATH. */
const env = {
  ...process.env,
  PATH: (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => !folder.includes("node_modules"))
    .join(delimiter),
};

const words = new Map<ChildProcess, string>();
const saidBy = (child: ChildProcess): string => words.get(child) ?? "";

async function start(port: number, ...options: string[]): Promise<ChildProcess> {
  const child = spawn("npm", ["start", "--", "--port", String(port), "--state", state, ...options], {
    cwd: root,
    env,
    detached: true,
  });
  running.push(child);
  words.set(child, "");
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => words.set(child, saidBy(child) + chunk.toString()));
  const until = Date.now() + 60_000;
  while (!/^ready/mu.test(saidBy(child))) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready: ${saidBy(child)}`);
    await wait(100);
  }
  return child;
}

/**
 * Sends a signal to npm's process alone, or to the whole group as a terminal's Ctrl-C does, and waits until
 * no process of the group is left.
 */
async function end({ pid = 0 }: ChildProcess, signal: "SIGINT" | "SIGTERM", group: boolean): Promise<void> {
  process.kill(group ? -pid : pid, signal);
  const until = Date.now() + 10_000;
  while (isLeft(pid) && Date.now() < until) await wait(50);
  if (isLeft(pid)) throw new Error(`a process of npm start is left 10 s after ${signal}`);
}

/** True if any process of the group is left. */
function isLeft(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

/** The nth shell block of the README, for this test's port and state. */
function readmeCommand(n: number, port: number): string {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```sh\n([\s\S]*?)```/gu)].map(
    ([, block = ""]) => block.trim(),
  );
  return (blocks[n] ?? "")
    .replaceAll(".phylax/", `${state}/`)
    .replaceAll("8443", String(port))
    .replace("phylax token payer", `phylax token payer --state ${state}`);
}

const shell = (command: string) => spawnSync("sh", ["-c", command], { cwd: root, env, encoding: "utf8" });

/** A start that ends by itself: its exit code and its output. */
function failedStart(
  port: number,
  options: readonly string[],
  folder = root,
): { readonly code: number | null; readonly said: string } {
  const given = ["--prefix", root, "start", "--", "--port", String(port), "--state", state, ...options];
  const { status, stdout, stderr } = spawnSync("npm", given, {
    cwd: folder,
    env,
    encoding: "utf8",
    timeout: 30_000,
  }); // a stack that starts after all would wait for ever
  return { code: status, said: stdout + stderr };
}

/** The processes of a group that run a program of this name, read from Linux's /proc. */
function processesOf(group: number, name: string): number[] {
  const pids = readdirSync("/proc").filter((entry) => /^[0-9]+$/u.test(entry));
  return pids.map(Number).filter((pid) => {
    const [, comm, pgrp] = /^[0-9]+ \((.*)\) \S [0-9]+ ([0-9]+) /u.exec(statOf(pid)) ?? [];
    return comm === name && Number(pgrp) === group;
  });
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return ""; // it ended meanwhile
  }
}

const withoutCurl = spawnSync("curl", ["--version"]).status !== 0;

test.skipIf(withoutCurl)(
  "npm start is ready, the README's commands work as printed (needs curl), Ctrl-C ends everything, and a second start keeps the ledger",
  { timeout: 180_000 },
  async ({ expect }) => {
    const port = await freePort();
    const first = await start(port);
    expect(saidBy(first)).not.toContain("NOSENTRY"); // a note of workerd to its own makers
    const dev = readDevFile(state);
    expect(dev).toMatchObject({
      gateway: `https://localhost:${port}`,
      fhir: `https://localhost:${port}/v1/fhir/main`,
    });
    expect(dev.clients.map(({ id }) => id)).toEqual(
      expect.arrayContaining(["telehealth", "payer", "public-health", "lapsed"]),
    );

    const read = shell(readmeCommand(1, port));
    expect(read.stdout, read.stderr).toContain("HTTP/1.1 200 OK");
    expect(read.stdout).toContain('"id":"amara-okafor"');
    expect(read.stdout).toContain("SUBSETTED");
    const receipt = /^phylax-receipt: (.*?)\r?$/imu.exec(read.stdout)?.[1] ?? "";
    expect(shell(readmeCommand(2, port)).status).toBe(0);

    const ready = shell(`curl -s -o /dev/null -w '%{http_code}' --cacert ${dev.ca} ${dev.gateway}/readyz`);
    expect(ready.stdout).toBe("200");
    await end(first, "SIGINT", true);
    expect(existsSync(join(state, "running.pid"))).toBe(false); // closed in order, not cut off

    const second = await start(port);
    const verified = await verifyLedger(readDevFile(state), ["--receipt", receipt]);
    expect(verified.code, verified.said).toBe(0);
    expect(verified.said).toContain("has the receipt's leaf");
    await end(second, "SIGTERM", false);
    expect(existsSync(join(state, "running.pid"))).toBe(false); // closed in order, not cut off
  },
);

test(
  "a second start on the same state, and an unknown option, are refused",
  { timeout: 60_000 },
  async ({ expect }) => {
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
    expect(
      spawnSync("npm", ["start", "--", "--prot", "1"], { cwd: root, env, encoding: "utf8" }).status,
    ).toBe(2);
  },
);

test(
  "a registry file is merged before ready, from the folder of the command, and again at the next start",
  { timeout: 120_000 },
  async ({ expect }) => {
    const client = {
      id: "from-a-file",
      kind: "payer",
      auth: "tls_client_auth",
      certificates: ["F".repeat(43)],
    };
    const file = join(state, "registry.json");
    const secretly = {
      name: "elsewhere",
      url: "https://fhir.example.org/r4",
      credentials: { kind: "bearer", secret: "NOT_IN_THE_ENVIRONMENT" },
    };
    const port = await freePort();
    writeFileSync(file, JSON.stringify({ clients: [client], origins: [secretly] }));
    for (const added of ["3 added", "0 added"]) {
      const child = await start(port, "--registry", file);
      expect(saidBy(child)).toContain(added);
      expect(saidBy(child)).toContain("NOT_IN_THE_ENVIRONMENT is not in the environment");
      expect(
        readDevFile(state).clients.map(({ id }) => id),
        "of a stranger there is no private key",
      ).not.toContain("from-a-file");
      await end(child, "SIGTERM", true);
    }

    const refused: readonly (readonly [string, string])[] = [
      [JSON.stringify({ clients: [{ ...client, kind: "other" }] }), "/clients/0/kind"], // a clash
      [
        JSON.stringify({ origins: [{ ...secretly, credentials: { kind: "kerberos" } }] }),
        "/origins/0/credentials/kind",
      ], // no version knows it
      [
        JSON.stringify({ origins: [{ ...secretly, credentials: { kind: "bearer", secret: "PAGING_KEY" } }] }),
        "/origins/0/credentials/secret",
      ],
      ["{", "is not JSON"],
      ['{"clients":[],"clients":[]}', "an object names a member twice"],
    ];
    for (const [content, reason] of refused) {
      writeFileSync(file, content);
      const { code, said } = failedStart(port, ["--registry", "registry.json"], state);
      expect([code, said], reason).toEqual([2, expect.stringContaining(`${file}: ${reason}`)]);
      expect(said).not.toMatch(/^ready/mu);
      expect(existsSync(join(state, "dev.json"))).toBe(false);
    }
    const absent = failedStart(port, ["--registry", "absent.json", "--reset"], state);
    expect([absent.code, absent.said]).toEqual([2, expect.stringContaining("absent.json: cannot be read")]);
    expect(existsSync(file), "nothing was thrown away for a start that could not be").toBe(true);
  },
);

test.skipIf(!existsSync("/proc/self/stat"))(
  "when the Workers runtime dies, npm start says so and ends at once, with everything it started",
  { timeout: 60_000 },
  async ({ expect }) => {
    const child = await start(await freePort());
    const group = child.pid ?? 0;
    const [runtime, ...more] = processesOf(group, "workerd");
    expect([typeof runtime, more.length]).toEqual(["number", 0]);
    const began = Date.now();
    process.kill(runtime ?? 0, "SIGKILL");
    while (isLeft(group) && Date.now() - began < 10_000) await wait(20);
    expect(isLeft(group)).toBe(false);
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(child.exitCode).toBe(1);
    expect(saidBy(child)).toContain("the Workers runtime died");
  },
);
