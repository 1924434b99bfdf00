import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { commands } from "../cli/commands/commands.ts";
import frozen from "./frozen-names.json" with { type: "json" };

const root = join(import.meta.dirname, "..");
const page = readFileSync(join(root, "docs/runbook.md"), "utf8");
const events = frozen["log events"].map((shape) => shape.split(" ")[0] ?? "");

test("docs/runbook.md has a section for each log event, with its meaning, the first look and the first act", ({
  expect,
}) => {
  const [, section = ""] = page.split("## Events\n");
  const [all = ""] = section.split(/^## /mu);
  const sections = new Map(
    all
      .split(/^### /mu)
      .slice(1)
      .map((text) => [/^`(?<name>\w+)`/u.exec(text)?.groups?.["name"] ?? "", text]),
  );
  expect([...sections.keys()].sort()).toEqual([...new Set(events)].sort());
  for (const [name, text] of sections)
    for (const part of ["Means", "Look", "Do"])
      expect(text, name).toMatch(new RegExp(`^- \\*\\*${part}:\\*\\* .`, "mu"));
});

/** The options and the number of names outside the brackets of a usage. */
function neededBy(takes: string): { readonly options: readonly string[]; readonly names: number } {
  let text = takes;
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replaceAll(/\[[^[\]]*\]…?/gu, "");
  }
  const words = text.split("\n")[0]?.split(" ").filter(Boolean) ?? [];
  const options = words.filter((word) => word.startsWith("--"));
  return { options, names: words.length - 2 * options.length };
}

test("each command of docs/runbook.md has every mandatory option and name", ({ expect }) => {
  const calls = Array.from(
    page.matchAll(/(?:`|^)(?:npx --no )?phylax (?<call>[a-z][^`\n]*)/gmu),
    ({ groups }) => (groups?.["call"] ?? "").split(/ +/u),
  );
  expect(calls.length).toBeGreaterThan(15);
  for (const call of calls) {
    const command = commands.find(({ words }) => words.every((word, i) => call[i] === word));
    expect(command, call.join(" ")).toBeDefined();
    const given = call.slice(command?.words.length);
    const { options, names } = neededBy(command?.takes ?? "");
    for (const option of options) expect(given, call.join(" ")).toContain(option);
    const named = given.filter(
      (word, i) => !word.startsWith("--") && given[i - 1]?.startsWith("--") !== true,
    );
    expect(named.length, call.join(" ")).toBeGreaterThanOrEqual(names);
  }
});

test("a worker logs through the union of events alone", ({ expect }) => {
  const files = ["src", "workers"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".gen.ts")) // generated: scripts for browsers
      .map((name) => `${folder}/${name}`),
  );
  const loud = files.filter((file) =>
    /^(?!\s*(?:\/\/|\*|\/\*)).*\bconsole\.(?:debug|error|info|log|warn)\(/mu.test(
      readFileSync(join(root, file), "utf8"),
    ),
  );
  expect(loud).toEqual(["src/platform/log.ts"]);
});
