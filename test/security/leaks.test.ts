import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/leaks.md"), "utf8");
const rows = [...page.matchAll(/^- \*\*(?<id>L\d+)\. .*?\*\*: (?<rule>.*)\. (?<shown>–|`test\/.*)$/gmu)].map(
  ({ groups }) => ({
    id: groups?.["id"] ?? "",
    rule: groups?.["rule"] ?? "",
    shown: [...(groups?.["shown"] ?? "").matchAll(/`(?<path>test\/[^`]+)`/gu)].map(
      (match) => match.groups?.["path"] ?? "",
    ),
  }),
);

test("every class has one row, in order", ({ expect }) => {
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: rows.length }, (_, at) => `L${at + 1}`));
});

test.for(rows)(
  "$id: the file that its row names has a test that begins with the number, or the row says that it does not hold yet",
  ({ id, rule, shown }, { expect }) => {
    if (rule.startsWith("Not yet")) return;
    expect(shown.length).toBeGreaterThan(0);
    for (const path of shown) {
      expect(existsSync(join(root, path)), path).toBe(true);
      expect(readFileSync(join(root, path), "utf8"), path).toMatch(new RegExp(`\\btest\\(\\s*"${id}: `, "u"));
    }
  },
);

test("no test of a class is without its row", ({ expect }) => {
  const files = new Set(rows.flatMap(({ shown }) => shown));
  const named = [...files].flatMap((path) =>
    [...readFileSync(join(root, path), "utf8").matchAll(/\btest\(\s*"(?<id>L\d+): /gu)].map(
      ({ groups }) => groups?.["id"] ?? "",
    ),
  );
  // a class may have several tests
  expect([...new Set(named)].toSorted()).toEqual(
    rows
      .filter(({ shown }) => shown.length > 0)
      .map(({ id }) => id)
      .toSorted(),
  );
});

test("the files that the page names beside the table are there", ({ expect }) => {
  for (const [, path = ""] of page.matchAll(/`(test\/[^`]+)`/gu))
    expect(existsSync(join(root, path)), path).toBe(true);
});
