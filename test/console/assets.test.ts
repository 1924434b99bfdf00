import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { consoleAssets } from "../../scripts/console-bundle.ts";

test("the console's files are what their sources give: otherwise run node scripts/console-assets.ts", async ({
  expect,
}) => {
  const written = readFileSync(join(import.meta.dirname, "../../src/console/assets.gen.ts"), "utf8");
  expect(written === (await consoleAssets())).toBe(true);
});
