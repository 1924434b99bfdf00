import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "vitest";
import { commitOf } from "../../bench/against/tree.ts";

const root = join(import.meta.dirname, "../..");
const git = (...args: readonly string[]) => spawnSync("git", args, { cwd: root, encoding: "utf8" });
const [first = ""] = git("rev-list", "--max-parents=0", "HEAD").stdout.split("\n");
const isOld = first !== "" && git("cat-file", "-e", `${first}:bench/serve.ts`).status !== 0;

test("a comparison with no commit is refused by name", ({ expect }) => {
  expect(() => commitOf("no-such-commit")).toThrow("no commit no-such-commit");
  expect(() => commitOf("--all")).toThrow("no commit --all");
});

test.skipIf(!isOld)(
  "a commit that cannot start itself for a comparison is refused (needs history)",
  ({ expect }) => {
    expect(() => commitOf(first)).toThrow("has no bench/serve.ts");
  },
);
