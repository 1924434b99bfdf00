import { readdirSync, readFileSync } from "node:fs";

// proc_pid_stat(5): clock ticks of USER_HZ, which Linux fixes at 100 a second for every program.
const microsPerTick = 10_000;

/**
 * CPU time in microseconds, user and system, that a process and all processes below it have used, with every
 * thread and every ended child. It leaves out later work of the kernel on its own behalf, such as writing a
 * journal.
 */
export function cpuMicros(root: number): number {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .flatMap((pid) => stat(pid) ?? []);
  const childrenOf = Map.groupBy(processes, ({ parent }) => parent);
  const sum = (one: Stat): number =>
    one.ticks + (childrenOf.get(one.pid) ?? []).reduce((total, child) => total + sum(child), 0);
  const top = processes.find(({ pid }) => pid === root);
  if (top === undefined) throw new Error(`process ${root} has ended`);
  return sum(top) * microsPerTick;
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
  readonly ticks: number;
  readonly ended: number; // the part of it that ended children used
}

function stat(pid: string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it ended meanwhile
  }
  // The second field is the program's name in parentheses and may contain any text. The manual's third field
  // is the first here.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map((at) =>
    Number(fields[at]),
  );
  const ended = childUser + childSystem;
  return { pid: Number(pid), parent, ticks: user + system + ended, ended };
}
