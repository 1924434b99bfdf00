import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/security-requirements.md"), "utf8");
const rows = [...page.matchAll(/^- \*\*(?<id>T\d+)\. .*?\*\*(?: \(.*?\))?: (?<shown>.*)$/gmu)].map(
  ({ groups }) => ({
    id: groups?.["id"] ?? "",
    shown: groups?.["shown"] ?? "",
  }),
);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `T${from + i}`);
const pathsIn = (text: string) =>
  [...text.matchAll(/`(?<path>(?:test|docs)\/[^`]+)`/gu)].map(({ groups }) => groups?.["path"] ?? "");

test("every requirement has one row, in order", ({ expect }) => {
  expect(rows.map(({ id }) => id)).toEqual([...numbers(1, 42), ...numbers(45, 50)]);
});

test.for(rows)(
  "$id: its row names tests that name it, or says that it does not hold yet",
  ({ id, shown }, { expect }) => {
    const paths = pathsIn(shown);
    const tests = paths.filter((path) => path.startsWith("test/"));
    for (const path of paths) expect(existsSync(join(root, path)), path).toBe(true);
    if (shown.startsWith("Not yet")) return;
    expect(tests.length).toBeGreaterThan(0);
    const named = tests.filter((path) => naming(id, readFileSync(join(root, path), "utf8")));
    expect(named, `${id} is named in each of these`).toEqual(tests);
  },
);

test("the files that the page names beside the table are there", ({ expect }) => {
  for (const path of pathsIn(page)) expect(existsSync(join(root, path)), path).toBe(true);
});

/** By its number in a test's name, alone or in a range: `T26–T28`. */
function naming(id: string, source: string): boolean {
  if (new RegExp(`"${id}\\b|[ ,]${id}\\b`, "u").test(source)) return true;
  const number = Number(id.slice(1));
  return [...source.matchAll(/\bT(?<from>\d+)–T(?<to>\d+)\b/gu)].some(
    ({ groups }) => Number(groups?.["from"]) <= number && number <= Number(groups?.["to"]),
  );
}
