import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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

test("a process that holds the earlier file open, or laid a link there, does not get the text", ({
  expect,
}) => {
  const folder = mkdtempSync(join(tmpdir(), "phylax-private-"));
  const [existing, target, link] = ["existing", "target", "link"].map((name) => join(folder, name));
  if (existing === undefined || target === undefined || link === undefined) throw new Error("no names");
  writeFileSync(existing, "before", { mode: 0o644 });
  writeFileSync(target, "before");
  symlinkSync(target, link);
  const held = openSync(existing, "r");
  try {
    for (const file of [existing, link]) writePrivateFile(file, "token");
    expect(readFileSync(held, "utf8")).toBe("before");
  } finally {
    closeSync(held);
  }
  expect([existing, link, target].map((file) => readFileSync(file, "utf8"))).toEqual([
    "token",
    "token",
    "before",
  ]);
  expect(readdirSync(folder).sort(), "no further file is left").toEqual(["existing", "link", "target"]);
});
