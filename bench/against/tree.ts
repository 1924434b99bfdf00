import { execFileSync, spawn, spawnSync } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const entry = "bench/serve.ts";

/** A checkout with the code of one commit. */
export interface Tree {
  /** Its whole id; undefined: the present files, committed or not. */
  readonly commit: string | undefined;
  readonly path: string;
}

/** The files of the checkout that runs. */
export const thisTree: Tree = { commit: undefined, path: root };

const git = (...args: readonly string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });

/**
 * The id of a commit that can be compared with; `baseline`: the commit that `bench/baseline` names. Throws for
 * anything else, and for a commit from before `bench/serve.ts`.
 */
export function commitOf(name: string): string {
  const asked = name === "baseline" ? readFileSync(join(root, "bench/baseline"), "utf8").trim() : name;
  const { status, stdout } = git("rev-parse", "--verify", "--quiet", "--end-of-options", `${asked}^{commit}`);
  const commit = stdout.trim();
  if (status !== 0) throw new Error(`--against: this checkout has no commit ${asked}`);
  if (git("cat-file", "-e", `${commit}:${entry}`).status !== 0)
    throw new Error(`--against: ${commit} has no ${entry}, so it cannot be started beside this tree`);
  return commit;
}

/**
 * Checks a commit out to a folder that is absent until now, with this tree's packages, or with its own where the
 * lock file differs. The folder goes when this process ends, however it ends.
 */
export function checkOut(commit: string, path: string): Tree {
  removeAtEnd(path);
  execFileSync("git", ["worktree", "add", "--quiet", "--detach", path, commit], { cwd: root });
  const lock = (folder: string) => readFileSync(join(folder, "package-lock.json"), "utf8");
  if (lock(path) === lock(root)) symlinkSync(join(root, "node_modules"), join(path, "node_modules"));
  else execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: path, stdio: "ignore" });
  return { commit, path };
}

/** A shell that waits until its standard input ends, which it does with this process, also after SIGKILL. */
function removeAtEnd(path: string): void {
  // A git that still writes the checkout outlives a killed process, and its checkout is locked until it is whole.
  const script = `cat
    is_gone() { [ ! -e "$1" ] && ! git worktree list --porcelain | grep -qxF "worktree $1"; }
    for again in 1 2 3 4 5 6 7 8 9 10 11 12; do
      git worktree remove --force --force "$1"; rm -rf "$1"; git worktree prune
      is_gone "$1" && sleep 0.5 && is_gone "$1" && break
    done`;
  const stdio = ["pipe", "ignore", "ignore"] as const;
  const shell = spawn("sh", ["-c", script, "sh", path], { cwd: root, detached: true, stdio: [...stdio] });
  shell.unref();
  // a pipe of Node's keeps the event loop alive
  Reflect.apply(Reflect.get(shell.stdin, "unref"), shell.stdin, []);
}
