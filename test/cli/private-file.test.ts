import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { writePrivateFile } from "../../cli/private-file.ts";

test("a private file is its owner's alone, also when a file with a further mode existed", ({ expect }) => {
  const folder = mkdtempSync(join(tmpdir(), "phylax-private-"));
  const [fresh, existing] = [join(folder, "fresh"), join(folder, "existing")];
  writeFileSync(existing, "a longer text that was readable for all", { mode: 0o644 });
  for (const file of [fresh, existing]) {
    writePrivateFile(file, "token");
    expect([statSync(file).mode & 0o777, readFileSync(file, "utf8")]).toEqual([0o600, "token"]);
  }
});
