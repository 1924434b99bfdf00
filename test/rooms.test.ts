import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "vitest";

const root = join(import.meta.dirname, "..");
const planted: string[] = [];

/** Plants each source in a folder of its own inside its room, lints all of them in one run, and gives what the linter said of each. */
function lint(cases: readonly (readonly [room: string, source: string])[]): string[] {
  const folders = cases.map(([room], index) =>
    join(room, `planted-${process.pid}-${planted.length + index}`),
  );
  planted.push(...folders);
  for (const [index, [, source]] of cases.entries()) {
    const folder = join(root, folders[index] ?? "");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "bad.ts"), source);
  }
  const { stdout } = spawnSync(
    "oxlint",
    ["--format=json", ...folders.map((folder) => join(folder, "bad.ts"))],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string }[] };
  return folders.map((folder) =>
    JSON.stringify(diagnostics.filter(({ filename }) => filename.startsWith(`${folder}/`))),
  );
}

afterEach(() => {
  for (const folder of planted.splice(0)) rmSync(join(root, folder), { recursive: true, force: true });
});

test("the linter reports an import that the room table does not allow", ({ expect }) => {
  const cases = [
    ["src/fhir", 'export { x } from "#platform/registry/schema";', "The room table lets fhir/ import only"],
    ["src/ledger", 'export { x } from "#phi/disclose";', "The room table lets ledger/ import only"],
    ["src/platform", 'export { x } from "#gateway/pipeline";', "The room table lets platform/ import only"],
    ["src/policy", 'export { SignJWT } from "jose";', "The room table lets policy/ use only"],
    [
      "src/platform",
      'export { x } from "#entrypoint/refusal-reasons";',
      "The room table lets platform/ import only",
    ],
    [
      "src/entrypoint",
      'export { x } from "#gateway/pipeline";',
      "The room table lets entrypoint/ import only",
    ],
    ["src/phi", 'export { readFileSync } from "node:fs";', "The room table lets phi/ use only"],
    ["src/identity", 'export { x } from "../kernel/result.ts";', "Across folders import by name"],
    ["sandbox", 'export { x } from "../../cli/verify.ts";', "never import each other"],
  ] as const;
  const said = lint(cases.map(([room, source]) => [room, source] as const));
  for (const [index, [, source, expected]] of cases.entries())
    expect(said[index], source).toContain(expected);
});

test("the linter lets through what the room table allows", ({ expect }) => {
  const allowed = [
    ["src/policy", 'export { ok } from "#kernel/result";'],
    ["src/token", 'export { x } from "#entrypoint/refusal-reasons";'],
  ] as const;
  for (const said of lint(allowed)) expect(said).not.toContain("room table");
});

test("a pure room may not read the clock, make randomness, fetch or log", ({ expect }) => {
  const sources = [
    "Date.now()",
    "Math.random()",
    'fetch("https://example.org")',
    "console.log(1)",
    "crypto.randomUUID()",
  ];
  const said = lint(sources.map((source) => ["src/policy", `export const x = ${source};`] as const));
  for (const [index, source] of sources.entries()) expect(said[index], source).toContain("A pure room");
});
