import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { accountingScriptFiles } from "../../scripts/accounting-script-files.ts";

test("the script of the accounting's page is what its sources give, and the page names its hash", async ({
  expect,
}) => {
  for (const [path, text] of await accountingScriptFiles())
    expect(readFileSync(join(import.meta.dirname, "../..", path), "utf8") === text, path).toBe(true);
});
