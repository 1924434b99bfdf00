import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, test } from "vitest";
import { circlesIn, crowdedFolders, importGraph, roomGraph, sourcesOf } from "./support/import-graph.ts";

const root = join(import.meta.dirname, "..");
/** Bad imports, each with its room and the linter's report. */
const badImports = [
  ["src/fhir", 'export { x } from "#platform/registry/schema";', "The room table lets fhir/ import only"],
  ["src/ledger", 'export { x } from "#phi/disclose";', "The room table lets ledger/ import only"],
  ["src/platform", 'export { x } from "#gateway/pipeline";', "The room table lets platform/ import only"],
  ["src/policy", 'export { SignJWT } from "jose";', "The room table lets policy/ use only"],
  ["src/policy", 'export { string } from "zod";', "The room table lets policy/ use only"],
  [
    "src/platform",
    'export { x } from "#entrypoint/client-refusals";',
    "The room table lets platform/ import only",
  ],
  ["src/entrypoint", 'export { x } from "#gateway/pipeline";', "The room table lets entrypoint/ import only"],
  ["src/doors/bulk", 'export { x } from "#policy/grant";', "The room table lets doors/ import only"],
  ["src/fhir", 'export { x } from "#doors/bulk/read-export";', "The room table lets fhir/ import only"],
  ["src/phi", 'export { readFileSync } from "node:fs";', "The room table lets phi/ use only"],
  [
    "src/deid-check",
    'export { x } from "#policy/form/fates";',
    "The room table lets deid-check/ import only",
  ],
  ["src/deid-check", 'export { x } from "#phi/disclose";', "The room table lets deid-check/ import only"],
  ["src/identity", 'export { x } from "../kernel/result.ts";', "Across folders import by name"],
  ["sandbox", 'export { x } from "../../cli/verify.ts";', "never import each other"],
  ["src/gateway/http", 'export { x } from "#policy/grant";', "A door has no rule"],
  ["src/gateway/http", 'export { x } from "#phi/disclose";', "A door has no rule"],
  ["src/gateway/http", 'export { x } from "#gateway/record/recorder";', "A door has no rule"],
  [
    "src/gateway/http",
    'export { x } from "#gateway/admission/authorize";',
    "neither authorizes nor releases",
  ],
  ["src/gateway/http", 'export { release } from "#gateway/release";', "neither releases nor records"],
  [
    "src/gateway/read",
    'export { evaluate } from "#policy/evaluate";',
    "Only gateway/admission/authorize.ts asks",
  ],
] as const;
const goodImports = [
  ["src/policy", 'export { ok } from "#kernel/result";'],
  ["src/policy", 'export { string } from "zod/mini";'],
  ["src/token", 'export { x } from "#entrypoint/client-refusals";'],
  ["src/gateway/http", 'export { pass } from "#gateway/pipeline";'],
] as const;
const impurities = [
  "Date.now()",
  "Math.random()",
  'fetch("https://example.org")',
  "console.log(1)",
  "crypto.randomUUID()",
].map((source) => ["src/policy", `export const x = ${source};`] as const);

const longArguments = [
  "export const x = (list: readonly number[]) => Math.min(...list);",
  "export const x = (list: number[], more: number[]) => list.push(...more);",
  "export const x = (bytes: Uint8Array) => String.fromCharCode(0, ...bytes);",
  "export const x = (list: readonly number[]) => Math.max(...[0, ...list]);",
  "export const x = (list: readonly number[]) => new Array(...list.map(Number));",
].map((source) => ["src/policy", source] as const);
const shortArguments = [
  "export const x = (...list: readonly number[]) => Math.min(...list);",
  "export const x = (is: boolean) => Math.min(0, ...(is ? [1, 2] : []));",
  "const list = [1, 2] as const;\nexport const x = Math.min(...list.map(Number));",
  "export const x = (list: readonly number[]) => new Set([...list]);",
].map((source) => ["src/policy", source] as const);

const typeComparisons = [
  'export const x = (type: string) => type === "Consent";',
  'export const x = (type: string) => "Patient" !== type;',
  'export function x(type: string) {\n  switch (type) {\n    case "Binary":\n      return 1;\n    default:\n      return 2;\n  }\n}',
].map((source) => ["src/gateway/read", source] as const);
const typeTable = [
  "src/gateway/read",
  'export const x = (type: string) => new Set(["Consent"]).has(type) && type !== "send";',
] as const;

/**
 * Plants each source in its own folder inside its room and lints all of them in one run, which takes a second
 * of processor time. The rooms are in a folder of their own: tests that run meanwhile read this one. Returns
 * the linter's report for each `room: source`.
 */
function lint(cases: readonly (readonly [room: string, source: string])[]): ReadonlyMap<string, string> {
  const house = mkdtempSync(join(tmpdir(), "phylax-rooms-"));
  try {
    for (const name of ["oxlint.config.ts", "package.json", "tsconfig.json", "tsconfig.base.json"])
      copyFileSync(join(root, name), join(house, name));
    mkdirSync(join(house, "scripts"));
    copyFileSync(join(root, "scripts/lint-rules.ts"), join(house, "scripts/lint-rules.ts"));
    symlinkSync(join(root, "node_modules"), join(house, "node_modules"));
    const planted = cases.map(([room, source], index) => ({
      key: `${room}: ${source}`,
      file: join(room, `planted-${index}/bad.ts`),
      source,
    }));
    for (const { source, file } of planted) {
      mkdirSync(dirname(join(house, file)), { recursive: true });
      writeFileSync(join(house, file), source);
    }
    const files = planted.map(({ file }) => file);
    const { stdout } = spawnSync("oxlint", ["--format=json", ...files], { cwd: house, encoding: "utf8" });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string }[] };
    return new Map(
      planted.map(({ key, file }) => [
        key,
        JSON.stringify(diagnostics.filter(({ filename }) => filename === file)),
      ]),
    );
  } finally {
    rmSync(house, { recursive: true, force: true });
  }
}

let reports: ReadonlyMap<string, string>;

beforeAll(() => {
  reports = lint([
    ...badImports.map(([room, source]) => [room, source] as const),
    ...goodImports,
    ...impurities,
    ...longArguments,
    ...shortArguments,
    ...typeComparisons,
    typeTable,
  ]);
}, 90_000);

test("the linter reports an import that the room table does not allow", ({ expect }) => {
  for (const [room, source, expected] of badImports)
    expect(reports.get(`${room}: ${source}`), source).toContain(expected);
});

test("the linter permits every import of the room table", ({ expect }) => {
  for (const [room, source] of goodImports)
    expect(reports.get(`${room}: ${source}`), source).not.toMatch(/room table|A door/u);
});

test("a pure room may not read the clock, make randomness, fetch or log", ({ expect }) => {
  for (const [room, source] of impurities)
    expect(reports.get(`${room}: ${source}`), source).toContain("A pure room");
});

test("an array of any length may not become arguments, and a list that is written out may", ({ expect }) => {
  for (const [room, source] of longArguments)
    expect(reports.get(`${room}: ${source}`), source).toContain("must not become arguments");
  for (const [room, source] of shortArguments)
    expect(reports.get(`${room}: ${source}`), source).not.toContain("must not become arguments");
});

test("the gateway compares no resource type with a literal, and may ask a table", ({ expect }) => {
  for (const [room, source] of typeComparisons)
    expect(reports.get(`${room}: ${source}`), source).toContain("compares no resource type");
  expect(reports.get(typeTable.join(": "))).not.toContain("compares no resource type");
});

const sources = sourcesOf(root, ["src", "workers", "cli", "sandbox"]);
const graph = importGraph(sources);
/** The import graph of a folder with planted files. */
const planting = (folder: string, ...files: readonly (readonly [file: string, text: string])[]) =>
  importGraph(new Map([...[...sources].filter(([file]) => file.startsWith(folder)), ...files]));

test("no file imports itself by way of other files, type imports included", ({ expect }) => {
  expect(circlesIn(graph)).toEqual([]);
});

test("a planted circle of a type import and an import is found", ({ expect }) => {
  const planted = planting(
    "src/kernel/",
    ["src/kernel/planted-a.ts", 'import type { B } from "#kernel/planted-b";\nexport type A = B;'],
    ["src/kernel/planted-b.ts", 'export {\n  A,\n} from "./planted-a.ts";'],
  );
  expect(circlesIn(planted)).toContainEqual(["src/kernel/planted-a.ts", "src/kernel/planted-b.ts"]);
});

/** The sub-room of a file of the gateway or the command. Each file next to the sub-rooms counts as a room. */
const subRoomOf = (file: string): string | undefined =>
  /^(?:src\/gateway|cli)\/(?<room>[^/]+)/u.exec(file)?.groups?.["room"];

test("no sub-room of the gateway or the command imports itself, type imports included", ({ expect }) => {
  for (const top of ["src/gateway/", "cli/"]) {
    const below = roomGraph(graph, (file) => (file.startsWith(top) ? subRoomOf(file) : undefined));
    expect(circlesIn(below), top).toEqual([]);
  }
});

test("a planted circle of the gateway's sub-rooms is found", ({ expect }) => {
  const planted = planting("src/gateway/", [
    "src/gateway/origin/planted.ts",
    'import type { FhirDoorPorts } from "#gateway/http/fhir-door";\nexport type X = FhirDoorPorts;',
  ]);
  expect(circlesIn(roomGraph(planted, subRoomOf)).flat()).toContain("origin");
});

const filesMax = 25;

test("no folder has more than 25 files", ({ expect }) => {
  expect(crowdedFolders(sources, filesMax)).toEqual([]);
});

test("a planted folder of 26 files is found", ({ expect }) => {
  const many = Array.from({ length: filesMax + 1 }, (_, n) => [`src/planted/${n}.ts`, ""] as const);
  expect(crowdedFolders(new Map(many), filesMax)).toEqual(["src/planted"]);
});

const exported =
  /^export (?:abstract |async |declare )*(?:const|let|function\*?|class|interface|type|enum) (?<name>[\w$]+)/gmu;

/**
 * Names that several files declare and export. An entry point in `workers/` may have the name of the port that
 * it serves: both mean the same, and the binding has that name.
 */
function namesWithTwoMeanings(sources: ReadonlyMap<string, string>): readonly string[] {
  const declaredIn = new Map<string, Set<string>>();
  for (const [file, text] of sources) {
    if (file.startsWith("workers/")) continue;
    for (const { groups } of text.matchAll(exported)) {
      const name = groups?.["name"] ?? "";
      declaredIn.set(name, (declaredIn.get(name) ?? new Set()).add(file));
    }
  }
  return [...declaredIn].flatMap(([name, files]) =>
    files.size > 1 ? [`${name}: ${[...files].join(", ")}`] : [],
  );
}

test("an exported name means one thing: no two files declare it", ({ expect }) => {
  expect(namesWithTwoMeanings(sources)).toEqual([]);
});

test("a planted second declaration of an exported name is found", ({ expect }) => {
  const planted = new Map([
    ["src/kernel/a.ts", "export const twice = 1;"],
    ["sandbox/b.ts", "export interface Once {}\nexport async function twice() {}"],
  ]);
  expect(namesWithTwoMeanings(planted)).toEqual(["twice: src/kernel/a.ts, sandbox/b.ts"]);
});
