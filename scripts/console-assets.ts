// Writes src/console/assets.gen.ts: the console's style sheet, its script and its icon, each with the hash that
// its name and its `integrity` have. With --check compares only.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { consoleAssets } from "./console-bundle.ts";

const file = join(import.meta.dirname, "../src/console/assets.gen.ts");
const text = await consoleAssets();
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") === text) process.exit(0);
  console.error("src/console/assets.gen.ts is not what its sources give: run node scripts/console-assets.ts");
  process.exit(1);
}
writeFileSync(file, text);
