#!/usr/bin/env node
// The `phylax` command: runs cli/main.ts on the Node that the lock file names. It needs no package installed
// before it runs.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, join(dirname(fileURLToPath(import.meta.url)), "main.ts"));
await import("../scripts/with-node.mjs");
