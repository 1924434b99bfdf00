import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/**
 * A whole stack in its own process group. It can be killed like a machine that loses power: nothing more is
 * written, and no client gets a notice.
 */
export interface KillableStack {
  /** Resolves when the stack answers. Rejects with the printed text when the stack ended before that. */
  readonly ready: Promise<void>;
  /** The process ids of workerd. */
  runtimes(): readonly number[];
  /** SIGKILL to workerd alone, if it runs. The stack then ends by itself. */
  killRuntime(): void;
  /** SIGKILL to all of its processes. Resolves when no process is left. */
  killAll(): Promise<void>;
  /** SIGTERM, then SIGKILL to each process that does not end. */
  end(): Promise<void>;
}

const root = join(import.meta.dirname, "../..");

/**
 * Starts a stack on a state folder, as `npm start` does, in front of a FHIR server that outlives the stack.
 *
 * @param more further options of `npm start`.
 */
export function startKillable(
  port: number,
  state: string,
  origin: string,
  more: readonly string[] = [],
): KillableStack {
  const options = ["--port", String(port), "--state", state, "--origin", origin, ...more];
  const child = spawn(process.execPath, ["sandbox/start.ts", ...options], { cwd: root, detached: true });
  const { pid: group = 0 } = child;
  const killAll = async () => {
    while (isLeft(group)) {
      process.kill(-group, "SIGKILL");
      await wait(20);
    }
  };
  const started = ready(child);
  started.catch(() => undefined); // no test waits for most stacks that are killed early
  return {
    ready: started,
    runtimes: () => workerdOf(group),
    killRuntime() {
      for (const pid of workerdOf(group)) process.kill(pid, "SIGKILL");
    },
    killAll,
    async end() {
      if (isLeft(group)) process.kill(-group, "SIGTERM");
      for (const until = Date.now() + 10_000; isLeft(group) && Date.now() < until;) await wait(50);
      await killAll(); // the launcher still waits for the runtime that was killed
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  for (const until = Date.now() + 120_000; !/^ready/mu.test(said);) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > until)
      throw new Error(`not ready: ${said}`);
    await wait(50);
  }
}

/** The runtime among the processes of a group. /proc/<pid>/stat: pid (comm) state ppid pgrp … */
function workerdOf(group: number): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const [, comm, pgrp] =
        /^\d+ \((.*)\) \S \d+ (\d+) /u.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
      return comm === "workerd" && Number(pgrp) === group ? [Number(pid)] : [];
    } catch {
      return []; // not a process, or a process that has just ended
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
