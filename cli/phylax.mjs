#!/usr/bin/env node
// The `phylax` command: runs cli/main.ts, on this Node if it is new enough, otherwise on the Node that the lock file
// names. It needs no package installed before it runs.
import { existsSync } from "node:fs";
import module from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const main = join(here, "main.ts");
// Compiled code and stripped types are kept beside the packages, with the same owner: Node's default is a folder
// that every user of the machine may write. Without write access there, each start compiles anew.
const cache = join(here, "../node_modules/.cache/phylax");
const [major, minor] = process.versions.node.split(".").map(Number);
const isInstalled = existsSync(join(here, "../node_modules/.installed-from"));
// Node 24.3 and newer run TypeScript without a warning: a second process would double the time of a start.
if (isInstalled && (major > 24 || (major === 24 && minor >= 3))) {
  module.enableCompileCache(cache);
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} else {
  process.env.NODE_COMPILE_CACHE ??= cache;
  process.argv.splice(2, 0, main);
  await import("../scripts/with-node.mjs");
}
