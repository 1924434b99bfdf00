import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { cpuMicros } from "./cpu.ts";

/** A process that the benchmark started, with all processes below it. */
export interface Running {
  readonly child: ChildProcess;
  /** The facts in its ready lines: the groups of the patterns. */
  readonly ready: Readonly<Record<string, string>>;
  /** CPU time so far, in microseconds. */
  cpuMicros(): number;
  /** Its last 64 KiB of standard output and standard error. */
  said(): string;
  close(): Promise<void>;
}

/** The core of a process: peers have a core of their own, the measuring processes run on the other core. */
export type Place = "measured" | "beside";

/** A command with its own place; `ready`: patterns that its output matches, each once, when it can work. */
export interface Command {
  readonly place: Place;
  readonly command: readonly [string, ...string[]];
  readonly ready: readonly RegExp[];
  readonly ipc?: boolean;
}

// One core for the measured peer, so that each peer has the same core; the generator and the origin never
// compete with it.
const cores: Readonly<Record<Place, string>> = { beside: "0", measured: "1" };

const has = (program: string, ...args: readonly string[]) => spawnSync(program, args).status === 0;
/** True if processes are pinned to cores. Without pinning (one core, or no taskset) the figures vary more. */
export const isPinned = availableParallelism() > 1 && has("taskset", "--version");
// The kernel kills the process when the benchmark itself is killed, so that even SIGKILL leaves none behind.
const tied = has("setpriv", "--pdeathsig", "KILL", "true") ? ["setpriv", "--pdeathsig", "KILL"] : [];

const patienceMilliseconds = 60_000;
const groups = new Set<number>();
// A process group of its own gets no Ctrl-C, so the groups are killed here, however the benchmark ends.
process.on("exit", () => groups.forEach((group) => signal(group, "SIGKILL")));

/** Starts a command and waits until it is ready. Throws with its output when it never is. */
export async function start({ place, command, ready, ipc = false }: Command): Promise<Running> {
  const pinned = isPinned ? ["taskset", "-c", cores[place]] : [];
  const [program = "", ...args] = [...tied, ...pinned, ...command];
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
  });
  const spawned = new Promise<number>((done, failed) => {
    child.once("spawn", () => done(child.pid ?? 0));
    child.once("error", failed); // such as a missing program
  });
  const pid = await spawned;
  groups.add(pid);
  let said = "";
  await new Promise<void>((listens, failed) => {
    const fail = (why: string) => failed(new Error(`${command.join(" ")} ${why}:\n${said}`));
    const patience = setTimeout(
      () => fail(`is not ready after ${patienceMilliseconds / 1_000} s`),
      patienceMilliseconds,
    );
    child.once("close", () => fail("ended before it was ready"));
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-65_536);
        if (!ready.every((pattern) => pattern.test(said))) return;
        clearTimeout(patience);
        listens();
      });
  });
  return {
    child,
    ready: Object.assign({}, ...ready.map((pattern) => pattern.exec(said)?.groups)) as Record<string, string>,
    cpuMicros: () => cpuMicros(pid),
    said: () => said,
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
  while (signal(group, 0) && Date.now() < until) await wait(20);
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
