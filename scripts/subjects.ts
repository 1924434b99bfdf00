// Looks at the subject of each commit that is not yet on the remote main branch, or of the last fifty: one line of at
// most 72 characters, so that `git log --oneline` reads as a list.
import { spawnSync } from "node:child_process";

const charactersMax = 72;
const git = (...options: readonly string[]) => spawnSync("git", options, { encoding: "utf8" });

// A checkout without history (an archive, a shallow clone) has nothing to look at.
const isRemote = git("rev-parse", "--verify", "--quiet", "origin/main").status === 0;
const range = isRemote ? ["origin/main..HEAD"] : ["-50"];
const { stdout } = git("log", "--no-merges", "--format=%h %s", ...range);
const long = stdout.split("\n").filter((line) => line.slice(line.indexOf(" ") + 1).length > charactersMax);
for (const line of long) console.error(`the subject has more than ${charactersMax} characters: ${line}`);
process.exitCode = long.length === 0 ? 0 : 1;
