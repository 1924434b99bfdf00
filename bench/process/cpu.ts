import { readdirSync, readFileSync } from "node:fs";

// proc_pid_stat(5): clock ticks of USER_HZ, which Linux fixes at 100 a second for every program.
const microsPerTick = 10_000;

/**
 * CPU time in microseconds, user and system, that a process and all processes below it have used, with every
 * thread and every ended child. Living threads are read from `schedstat`, in nanoseconds. It leaves out later
 * work of the kernel on its own behalf, such as writing a journal. Throws when the process has ended.
 */
export function cpuMicros(root: number): number {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((pid) => stat(pid) ?? []);
  const childrenOf = Map.groupBy(processes, ({ parent }) => parent);
  const sum = (one: Stat): number =>
    microsOf(one) + (childrenOf.get(one.pid) ?? []).reduce((total, child) => total + sum(child), 0);
  const top = processes.find(({ pid }) => pid === root);
  if (top === undefined) throw new Error(`process ${root} has ended`);
  return sum(top);
}

/** CPU time in microseconds of this process's ended children and of all processes below them. */
export function endedChildrenMicros(): number {
  const own = stat("self");
  if (own === undefined) throw new Error("CPU time cannot be read");
  return own.ended * microsPerTick;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Ticks of the process itself, its ended threads included. */
  readonly own: number;
  /** Ticks of its ended children. */
  readonly ended: number;
}

/**
 * The ticks of a process include threads that have ended, `schedstat` does not; the ticks are rounded down.
 * So the larger of the two is the better figure.
 */
function microsOf({ pid, own, ended }: Stat): number {
  return Math.max(threadsMicros(pid), own * microsPerTick) + ended * microsPerTick;
}

/** The first number of `schedstat` is the time on a CPU in nanoseconds (Documentation/scheduler/sched-stats). */
function threadsMicros(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
      const [nanoseconds] = (read(`/proc/${pid}/task/${thread}/schedstat`) ?? "0").split(" ");
      return sum + Number(nanoseconds) / 1_000;
    }, 0);
  } catch {
    return 0; // it ended meanwhile
  }
}

function stat(pid: string): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the program's name in parentheses and may contain any text. The manual's third field
  // is the first here.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map((at) =>
    Number(fields[at]),
  );
  return { pid: Number.parseInt(text, 10), parent, own: user + system, ended: childUser + childSystem };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // the process or the thread ended meanwhile
  }
}
