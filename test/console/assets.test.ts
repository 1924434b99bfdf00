import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { browserFiles } from "../../scripts/browser-bundle.ts";

test("the files for browsers are what their sources give: otherwise npm run generate writes them", async ({
  expect,
}) => {
  for (const [path, text] of await browserFiles())
    expect(readFileSync(join(import.meta.dirname, "../..", path), "utf8") === text, path).toBe(true);
});
