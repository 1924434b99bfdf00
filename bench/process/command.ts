import { spawnSync } from "node:child_process";

/**
 * CPU time in microseconds, user and system, of a command from its start to its end, with all processes that it waits
 * for. Bash's `time` has the kernel's own sum to a millisecond; /proc has it in steps of ten. Throws when the command
 * fails, so that only one that answers is measured.
 */
export function cpuOfCommand(program: string, args: readonly string[]): number {
  const timed = ["-c", "TIMEFORMAT=$'\\n%3U %3S'; time \"$@\"", "bash", program, ...args];
  const { status, stdout, stderr } = spawnSync("bash", timed, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")}: ${stdout}${stderr}`);
  const [user, system] = (stderr.trimEnd().split("\n").at(-1) ?? "").split(" ").map(Number);
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * 1_000_000;
}
