import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Reserves a state folder for this process, and deletes its content first if `reset` is true. Two stacks on
 * one state would be two writers of one ledger: the first stack keeps a file with its process id until it
 * ends. Returns the function that releases the folder. Throws when another stack runs on it.
 */
export function claim(state: string, reset: boolean): () => void {
  const file = join(state, "running.pid");
  const holder = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (holder > 0 && holder !== process.pid && isRunning(holder))
    throw new Error(
      `${state} is in use by process ${holder}: stop it, or choose another folder with --state`,
    );
  if (reset) rmSync(state, { recursive: true, force: true });
  mkdirSync(state, { recursive: true, mode: 0o700 });
  // left by a stack that was killed
  for (const left of [file, join(state, "dev.json")]) rmSync(left, { force: true });
  writeFileSync(file, String(process.pid), { flag: "wx" });
  return () => rmSync(file, { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
