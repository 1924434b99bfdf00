// Writes the script that checks an accounting's page in the browser: its text for the ledger worker, which serves
// it, and its path and hash for the page. With --check compares only.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { accountingScriptFiles } from "./accounting-script-files.ts";

for (const [path, text] of await accountingScriptFiles()) {
  const file = join(import.meta.dirname, "..", path);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`${path} is not what its sources give: run node scripts/accounting-script.ts`);
    process.exitCode = 1;
  }
}
