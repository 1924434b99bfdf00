// Looks at the subject of each commit since this check exists: one line of at most 72 characters, so that
// `git log --oneline` reads as a list. A checkout without that history has nothing to look at.
import { spawnSync } from "node:child_process";

const charactersMax = 72;
const git = (...options: readonly string[]) => spawnSync("git", options, { encoding: "utf8" }).stdout.trim();

const first = git("log", "--diff-filter=A", "--format=%H", "-1", "--", "scripts/subjects.ts");
const commits = first === "" ? "" : git("log", "--no-merges", "--format=%h %s", `${first}^..HEAD`);
const long = commits.split("\n").filter((line) => line.slice(line.indexOf(" ") + 1).length > charactersMax);
for (const line of long) console.error(`the subject has more than ${charactersMax} characters: ${line}`);
process.exitCode = long.length === 0 ? 0 : 1;
