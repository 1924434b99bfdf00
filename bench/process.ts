import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { cpuMicros } from "./cpu.ts";

/** A process that the benchmark started, with all that it started itself. */
export interface Running {
  readonly child: ChildProcess;
  /** What it said when it was ready: the groups of the pattern. */
  readonly ready: Readonly<Record<string, string>>;
  /** CPU time so far, in microseconds. */
  cpuMicros(): number;
  close(): Promise<void>;
}

/** Where a process runs: peers on a core of their own, what only serves the measurement on the other. */
export type Place = "measured" | "beside";

// One core for the peer that is measured, so that each has the same; the generator and the origin never compete with it.
const cores: Readonly<Record<Place, string>> = { beside: "0", measured: "1" };

/** Whether processes are held to cores. Without (one core, or no taskset) the figures wander more. */
export const isPinned = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

const patienceMilliseconds = 60_000;
const groups = new Set<number>();
// A group of its own hears no Ctrl-C: whatever way the benchmark ends, they end with it.
process.on("exit", () => groups.forEach((group) => signal(group, "SIGKILL")));

/** Starts a command and waits until its standard output fits the pattern. Throws with what it said when it does not come to that. */
export async function start(
  place: Place,
  command: readonly [string, ...string[]],
  ready: RegExp,
  ipc = false,
): Promise<Running> {
  const [program, ...args] = isPinned ? (["taskset", "-c", cores[place], ...command] as const) : command;
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${program} does not start`);
  groups.add(pid);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-65_536)));
  const until = Date.now() + patienceMilliseconds;
  while (!ready.test(said)) {
    if (child.exitCode !== null || Date.now() > until)
      throw new Error(`${command.join(" ")} is not ready: ${said}`);
    await wait(50);
  }
  return {
    child,
    ready: { ...ready.exec(said)?.groups },
    cpuMicros: () => cpuMicros(pid),
    close: () => end(pid),
  };
}

/** Ends everything that was started, in its own time. */
export async function endAll(): Promise<void> {
  await Promise.all([...groups].map(end));
}

async function end(group: number): Promise<void> {
  signal(group, "SIGTERM");
  const until = Date.now() + 10_000;
  while (signal(group, 0) && Date.now() < until) await wait(50);
  signal(group, "SIGKILL");
  groups.delete(group);
}

/** False: nothing of the group is left. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name);
  } catch {
    return false;
  }
}
