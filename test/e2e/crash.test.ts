import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { parseReceipt, type Receipt } from "#ledger/receipt";
import { parseVerifierKey } from "#ledger/signed-note";
import { verifyLog } from "#ledger/verify";
import { accessToken } from "../../cli/access-token.ts";
import { clientOf, readDevFile, type DevFile } from "../../cli/dev-file.ts";
import { httpLog } from "../../cli/http-log.ts";
import { closeConnections, send, type Reply } from "../../cli/mutual-tls.ts";
import { freePort } from "../support/stack.ts";

// The full form is 10 rounds of 2,000 reads: PHYLAX_CRASH=full.
const [rounds, reads] = process.env["PHYLAX_CRASH"] === "full" ? [10, 2000] : [2, 200];
const askers = ["telehealth", "payer", "public-health"] as const; // several, so that no quota ends the round

const root = join(import.meta.dirname, "../..");
const state = mkdtempSync(join(tmpdir(), "phylax-crash-"));
const running: ChildProcess[] = [];
afterAll(() => {
  for (const { pid = 0 } of running) if (isLeft(pid)) process.kill(-pid, "SIGKILL");
  rmSync(state, { recursive: true, force: true });
});

/** The whole stack in a process group of its own. */
async function start(port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, ["sandbox/start.ts", "--port", String(port), "--state", state], { cwd: root, detached: true });
  running.push(child);
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const until = Date.now() + 90_000;
  while (!/^ready/mu.test(said)) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready: ${said}`);
    await wait(100);
  }
  return child;
}

/** The runtime among the processes of a group. /proc/<pid>/stat: pid (comm) state ppid pgrp … */
function workerdOf(group: number): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const [, comm, pgrp] = /^\d+ \((.*)\) \S \d+ (\d+) /u.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      return comm === "workerd" && Number(pgrp) === group ? [Number(pid)] : [];
    } catch {
      return []; // not a process, or one that has just ended
    }
  });
}

function isLeft(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch {
    return false;
  }
}

async function end({ pid = 0 }: ChildProcess): Promise<void> {
  if (isLeft(pid)) process.kill(-pid, "SIGTERM");
  for (const until = Date.now() + 10_000; isLeft(pid) && Date.now() < until;) await wait(50);
  if (isLeft(pid)) process.kill(-pid, "SIGKILL"); // what waits for a runtime that is no more
  while (isLeft(pid)) await wait(50);
}

/** Reads as several clients at once and kills the runtime when this many answers are complete: the complete ones, and how many broke. */
async function readUntilKilled(dev: DevFile, group: number, killAfter: number): Promise<{ whole: Reply[]; broken: number }> {
  const tokens = await Promise.all(askers.map((id) => accessToken(dev, clientOf(dev, id))));
  const whole: Reply[] = [];
  let broken = 0;
  const one = async (i: number): Promise<void> => {
    const [client, token = ""] = [clientOf(dev, askers[i % askers.length] ?? "telehealth"), tokens[i % askers.length]];
    try {
      const reply = await send(dev, client, `${dev.fhir}/Patient/amara-okafor`, { headers: { authorization: `Bearer ${token}` } });
      if (reply.headers["phylax-receipt"] === undefined) broken++;
      else if (whole.push(reply) === killAfter) for (const pid of workerdOf(group)) process.kill(pid, "SIGKILL");
    } catch {
      broken++;
    }
  };
  await Promise.all(Array.from({ length: reads }, (_, i) => one(i)));
  closeConnections();
  return { whole, broken };
}

async function verifyAll(dev: DevFile, receipts: readonly Receipt[]): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const [log, key] of Object.entries(dev.logs)) {
    const verifier = parseVerifierKey(key);
    if (!verifier.ok) throw new Error(verifier.error);
    const own = receipts.filter((receipt) => receipt.log === log);
    const result = await verifyLog(httpLog(dev.ledger, log), verifier.value, { receipts: own });
    if (!result.ok) found[log] = result.error;
  }
  return found;
}

test(
  `the runtime is killed amid ${reads} reads, ${rounds} times: every complete answer is in the ledger after the restart, and it verifies`,
  { timeout: rounds * (60_000 + reads * 30) },
  async ({ expect }) => {
    const port = await freePort();
    const receipts: Receipt[] = [];
    let stack = await start(port);
    for (let round = 0; round < rounds; round++) {
      const killAfter = Math.ceil((reads * (round + 0.5)) / rounds / 1.5); // early in the first round, late in the last
      const { whole, broken } = await readUntilKilled(readDevFile(state), stack.pid ?? 0, killAfter);
      await end(stack);
      expect(whole.length, "answers before the kill").toBeGreaterThanOrEqual(killAfter);
      expect(broken, "the kill came amid the reads").toBeGreaterThan(0);
      expect(whole.every(({ status }) => status === 200)).toBe(true);
      for (const { headers } of whole) {
        const receipt = parseReceipt(String(headers["phylax-receipt"]));
        if (!receipt.ok) throw new Error(`not a receipt: ${String(headers["phylax-receipt"])}`);
        receipts.push(receipt.value);
      }
      stack = await start(port);
      expect(await verifyAll(readDevFile(state), receipts), `round ${round}`).toEqual({});
      console.log(`round ${round + 1}: ${whole.length} complete, ${broken} broken, ${receipts.length} receipts verified`);
    }
    expect(new Set(receipts.map(({ log, index }) => `${log} ${index}`)).size, "each answer has a record of its own").toBe(receipts.length);
    await end(stack);
  },
);
