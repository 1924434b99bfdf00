import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** A whole stack in a process group of its own, whose runtime can be killed like a machine that loses its power. */
export interface KillableStack {
  /** SIGKILL to workerd: nothing is written any more, nobody is told. */
  killRuntime(): void;
  /** SIGTERM to what is left, and SIGKILL when it does not end. */
  end(): Promise<void>;
}

const root = join(import.meta.dirname, "../..");

/** Starts it on a state folder, as `npm start` does, and resolves when it is ready. */
export async function startKillable(port: number, state: string): Promise<KillableStack> {
  const child = spawn(process.execPath, ["sandbox/start.ts", "--port", String(port), "--state", state], { cwd: root, detached: true });
  const { pid: group = 0 } = child;
  const end = async () => {
    if (isLeft(group)) process.kill(-group, "SIGTERM");
    for (const until = Date.now() + 10_000; isLeft(group) && Date.now() < until;) await wait(50);
    if (isLeft(group)) process.kill(-group, "SIGKILL"); // what waits for a runtime that is no more
    while (isLeft(group)) await wait(50);
  };
  await ready(child).catch(async (fault: unknown) => {
    await end();
    throw fault;
  });
  return {
    killRuntime() {
      for (const pid of workerdOf(group)) process.kill(pid, "SIGKILL");
    },
    end,
  };
}

async function ready(child: ChildProcess): Promise<void> {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  for (const until = Date.now() + 120_000; !/^ready/mu.test(said);) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready: ${said}`);
    await wait(100);
  }
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
