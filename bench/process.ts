import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { cpuMicros } from "./cpu.ts";

/** A process that the benchmark started, with all processes below it. */
export interface Running {
  readonly child: ChildProcess;
  /** The facts in its ready line: the groups of the pattern. */
  readonly ready: Readonly<Record<string, string>>;
  /** CPU time so far, in microseconds. */
  cpuMicros(): number;
  close(): Promise<void>;
}

/** The core of a process: peers have a core of their own, the measuring processes run on the other core. */
export type Place = "measured" | "beside";

// One core for the measured peer, so that each peer has the same core; the generator and the origin never
// compete with it.
const cores: Readonly<Record<Place, string>> = { beside: "0", measured: "1" };

/** True if processes are pinned to cores. Without pinning (one core, or no taskset) the figures vary more. */
export const isPinned = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

const patienceMilliseconds = 60_000;
const groups = new Set<number>();
// A process group of its own gets no Ctrl-C, so the groups are killed here, however the benchmark ends.
process.on("exit", () => groups.forEach((group) => signal(group, "SIGKILL")));

/**
 * Starts a command and waits until its standard output matches the pattern. Throws with its output when it
 * never does.
 */
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

/** Ends every started process gracefully. */
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

/** False: the group has no process left. */
function signal(group: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, name);
  } catch {
    return false;
  }
}
