#!/usr/bin/env node
// The `phylax` command: runs cli/main.ts, on this Node if it is new enough, otherwise on the Node that the lock file
// names. It needs no package installed before it runs.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const main = join(dirname(fileURLToPath(import.meta.url)), "main.ts");
const [major, minor] = process.versions.node.split(".").map(Number);
const isInstalled = existsSync(new URL("../node_modules/.installed-from", import.meta.url));
// Node 24.3 and newer run TypeScript without a warning: a second process would double the time of a start.
if (isInstalled && (major > 24 || (major === 24 && minor >= 3))) {
  process.argv[1] = main;
  await import(pathToFileURL(main).href);
} else {
  process.argv.splice(2, 0, main);
  await import("../scripts/with-node.mjs");
}
