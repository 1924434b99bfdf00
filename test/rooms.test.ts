import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "vitest";
import { circlesIn, crowdedFolders, importGraph, roomGraph, sourcesOf } from "./support/import-graph.ts";

const root = join(import.meta.dirname, "..");
const planted: string[] = [];

/**
 * Plants each source in its own folder inside its room, lints all of them in one run, and returns the
 * linter's report for each.
 */
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

test("the linter permits every import of the room table", ({ expect }) => {
  const allowed = [
    ["src/policy", 'export { ok } from "#kernel/result";'],
    ["src/token", 'export { x } from "#entrypoint/refusal-reasons";'],
    ["bench", 'export { x } from "../../sandbox/worker-bundles.ts";'],
  ] as const;
  for (const said of lint(allowed)) {
    expect(said).not.toContain("room table");
    expect(said).not.toContain("never import each other");
  }
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

const sources = sourcesOf(root, ["src", "workers", "cli", "sandbox"]);
const graph = importGraph(sources);
const planting = (...files: readonly (readonly [file: string, text: string])[]) =>
  importGraph(new Map([...sources, ...files]));

test("no file imports itself by way of other files, type imports included", ({ expect }) => {
  expect(circlesIn(graph)).toEqual([]);
});

test("a planted circle of a type import and an import is found", ({ expect }) => {
  const planted = planting(
    ["src/kernel/planted-a.ts", 'import type { B } from "#kernel/planted-b";\nexport type A = B;'],
    ["src/kernel/planted-b.ts", 'export {\n  A,\n} from "./planted-a.ts";'],
  );
  expect(circlesIn(planted)).toContainEqual(["src/kernel/planted-a.ts", "src/kernel/planted-b.ts"]);
});

/** The sub-room of a file of the gateway. Each file next to the sub-rooms counts as a room. */
const subRoomOf = (file: string): string | undefined =>
  /^src\/gateway\/(?<room>[^/]+)/u.exec(file)?.groups?.["room"];

test("no sub-room of the gateway imports itself by way of further sub-rooms, type imports included", ({
  expect,
}) => {
  expect(circlesIn(roomGraph(graph, subRoomOf))).toEqual([]);
});

test("a planted circle of the gateway's sub-rooms is found", ({ expect }) => {
  const planted = planting([
    "src/gateway/origin/planted.ts",
    'import type { Draft } from "#gateway/answer/drafts";\nexport type X = Draft;',
  ]);
  expect(circlesIn(roomGraph(planted, subRoomOf)).flat()).toContain("origin");
});

const filesMax = 25;

test("no folder below src/ has more than 25 files", ({ expect }) => {
  const below = new Map([...sources].filter(([file]) => file.startsWith("src/")));
  expect(crowdedFolders(below, filesMax)).toEqual([]);
});

test("a planted folder of 26 files is found", ({ expect }) => {
  const many = Array.from({ length: filesMax + 1 }, (_, n) => [`src/planted/${n}.ts`, ""] as const);
  expect(crowdedFolders(new Map(many), filesMax)).toEqual(["src/planted"]);
});
