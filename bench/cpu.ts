import { readdirSync, readFileSync } from "node:fs";

// proc_pid_stat(5): clock ticks of USER_HZ, which Linux fixes at 100 a second for every program.
const microsPerTick = 10_000;

/**
 * CPU time in microseconds, user and system, that a process and everything below it has used: all threads, and children that ended.
 * Not in it: what the kernel does on its own behalf afterwards, such as writing a journal.
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

/** CPU time in microseconds of this process's own children that have ended, with all below them. */
export function endedChildrenMicros(): number {
  const own = stat("self");
  if (own === undefined) throw new Error("CPU time cannot be read");
  return own.ended * microsPerTick;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  readonly ended: number; // of it, the part of children that ended
}

function stat(pid: string): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it ended meanwhile
  }
  // The second field is the program's name in parentheses and may hold anything; the third field of the manual is the first here.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map((at) =>
    Number(fields[at]),
  );
  const ended = childUser + childSystem;
  return { pid: Number(pid), parent, ticks: user + system + ended, ended };
}
