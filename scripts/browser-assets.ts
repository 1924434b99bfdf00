// Writes the generated modules with the files for browsers: the console's style sheet, script and icon, and the
// script that checks an accounting's page. With --check compares only.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browserFiles } from "./browser-bundle.ts";

for (const [path, text] of await browserFiles()) {
  const file = join(import.meta.dirname, "..", path);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path} is not what its sources give: run npm run generate`);
    process.exitCode = 1;
  }
}
