// Prints how large the project is: `npm run size`, with `--json` for a program. `--against COMMIT` measures that
// commit as well, with the packages that are installed now, and prints before, after and the difference.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import ts from "typescript5";
import type { runStartGroup as Starter } from "../bench/start/group.ts";
import { textTable } from "../bench/text-table.ts";
import type { deployedWorkerText as Bundler } from "./bundle-worker.ts";

const root = join(import.meta.dirname, "..");

/** Code of the product and its tools, without tests, benchmark and scripts. */
const counted = ["src", "workers", "cli", "sandbox"];

const isCode = (path: string): boolean => /\.(?:[cm]?js|tsx?)$/u.test(path) && !isGenerated(path);
/** A file that a script or wrangler writes. */
const isGenerated = (path: string): boolean => /\.gen\.|(?:^|\/)env\.d\.ts$/u.test(path);

/** The lines with a token: blank lines and comments have none. A line inside a text counts too. */
export function codeLines(path: string, text: string): number {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  const lines = new Set<number>();
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    const below = node.getChildren(file);
    if (below.length > 0) return below.forEach(visit);
    const start = node.getStart(file);
    const first = file.getLineAndCharacterOfPosition(start).line;
    text
      .slice(start, node.end)
      .split("\n")
      .forEach((line, n) => line.trim() !== "" && lines.add(first + n));
  };
  visit(file);
  return lines.size;
}

export const words = (text: string): number => text.split(/\s+/u).filter(Boolean).length;

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** Figures by name, in the order in which they are printed. */
export type Sizes = Readonly<Record<string, number>>;

/** The folder that a line of the table sums up: a room of src/, or one of the other folders. */
const roomOf = (path: string): string => path.split("/", path.startsWith("src/") ? 2 : 1).join("/");

/** The figures that are counted in the sources. */
export function sourceSizes(files: readonly SourceFile[]): Sizes {
  const code = files
    .filter(({ path }) => isCode(path))
    .map(({ path, text }) => ({ path, lines: codeLines(path, text) }));
  const linesBelow = (folder: string): number =>
    code.filter(({ path }) => path.startsWith(`${folder}/`)).reduce((sum, { lines }) => sum + lines, 0);
  const rooms = [...new Set(code.map(({ path }) => roomOf(path)))].filter((room) =>
    counted.some((folder) => room.startsWith(folder)),
  );
  return {
    ...Object.fromEntries(rooms.toSorted().map((room) => [`${room}, code lines`, linesBelow(room)])),
    "src, code lines": linesBelow("src"),
    "src, workers, cli and sandbox, code lines": counted.reduce((sum, each) => sum + linesBelow(each), 0),
    "test, code lines": linesBelow("test"),
    "docs, words": files
      .filter(({ path }) => path.startsWith("docs/") && path.endsWith(".md"))
      .reduce((sum, { text }) => sum + words(text), 0),
  };
}

/** The figures of a build and of a start. The modules of the measured tree build its sources. */
async function builtSizes(folder: string): Promise<Sizes> {
  const [bundler, bench] = ["scripts/bundle-worker.ts", "bench/start/group.ts"].map((path) =>
    join(folder, path),
  );
  if (bundler === undefined || bench === undefined || !existsSync(bundler)) return {}; // an older commit
  const { deployedWorkerText }: { deployedWorkerText: typeof Bundler } = await import(bundler);
  const { runStartGroup }: { runStartGroup: typeof Starter } = await import(bench);
  const scratch = mkdtempSync(join(tmpdir(), "phylax-starts-"));
  try {
    const bundle = await deployedWorkerText("gateway");
    const measures = await runStartGroup(scratch, "quick");
    const start = measures.find(({ id }) => id === "start-up-cpu-ms")?.value;
    return {
      "gateway, KiB in gzip": round(gzipSync(bundle, { level: 9 }).length / 1_024),
      // older commits do not measure it
      ...(typeof start === "number" && { "gateway, ms of CPU to start above an empty Worker": round(start) }),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const round = (value: number): number => Math.round(value * 10) / 10;

const git = (...args: readonly string[]): string =>
  execFileSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 30 });

async function sizesOf(folder: string, paths: readonly string[]): Promise<Sizes> {
  const read = paths.filter((path) => isCode(path) || path.endsWith(".md"));
  const files = read.map((path) => ({ path, text: readFileSync(join(folder, path), "utf8") }));
  return { ...sourceSizes(files), ...(await builtSizes(folder)) };
}

/** The files of the working tree, also the files that are not committed yet. */
const ownPaths = (): readonly string[] => {
  const deleted = new Set(git("ls-files", "--deleted").split("\n"));
  return git("ls-files", "--cached", "--others", "--exclude-standard")
    .split("\n")
    .filter((path) => path !== "" && !deleted.has(path));
};

async function sizesOfCommit(commit: string): Promise<Sizes> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-size-"));
  try {
    const archive = join(folder, "tree.tar");
    git("archive", "--output", archive, commit);
    execFileSync("tar", ["-x", "-f", archive, "-C", folder]);
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    return await sizesOf(folder, git("ls-tree", "-r", "--name-only", commit).split("\n").filter(Boolean));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const cells = (value: number | undefined): string => value?.toLocaleString("en-US") ?? "–";

/** The rows of the table. */
export function rowsOf(now: Sizes, before?: Sizes): readonly (readonly string[])[] {
  if (before === undefined) return Object.entries(now).map(([name, value]) => [name, cells(value)]);
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return [
    ["", "before", "after", "difference"],
    ...names.map((name) => {
      const difference = round((now[name] ?? 0) - (before[name] ?? 0));
      const sign = difference > 0 ? "+" : "";
      return [name, cells(before[name]), cells(now[name]), `${sign}${cells(difference)}`];
    }),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { json: { type: "boolean", default: false }, against: { type: "string" } },
  });
  const before = values.against === undefined ? undefined : await sizesOfCommit(values.against);
  const now = await sizesOf(root, ownPaths());
  console.log(values.json ? JSON.stringify({ before, now }, undefined, 2) : textTable(rowsOf(now, before)));
}
