import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
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
