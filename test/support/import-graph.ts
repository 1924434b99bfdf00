import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Source texts by their path from the repository's root. */
export type Sources = ReadonlyMap<string, string>;

export function sourcesOf(root: string, folders: readonly string[]): Sources {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`),
  );
  return new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
}

type Graph = ReadonlyMap<string, ReadonlySet<string>>;

/** The files that each file imports. An `import type` counts: a reader of the file needs the imported file too. */
export function importGraph(sources: Sources): Graph {
  return new Map(
    [...sources].map(([file, text]) => {
      const named = [...text.matchAll(/\b(?:from|import)\s*\(?\s*"(?<name>[#.][^"]*)"/gu)];
      const imported = named.flatMap(({ groups }) => {
        const name = groups?.["name"] ?? "";
        const target = name.startsWith("#")
          ? `src/${name.slice(1)}.ts`
          : normalize(join(dirname(file), name));
        return sources.has(target) && target !== file ? [target] : [];
      });
      return [file, new Set(imported)];
    }),
  );
}

/** The rooms that each room imports. */
export function roomGraph(graph: Graph, roomOf: (file: string) => string | undefined): Graph {
  const rooms = new Map<string, Set<string>>();
  for (const [file, imported] of graph) {
    const room = roomOf(file);
    if (room === undefined) continue;
    const others = rooms.get(room) ?? new Set<string>();
    for (const other of imported) {
      const target = roomOf(other);
      if (target !== undefined && target !== room) others.add(target);
    }
    rooms.set(room, others);
  }
  return rooms;
}

/** Groups of files, or of rooms, in which every member imports its way to every other member. */
export function circlesIn(graph: Graph): readonly (readonly string[])[] {
  const reach = new Map([...graph.keys()].map((from) => [from, reachedFrom(graph, from)]));
  const circles = new Map<string, readonly string[]>();
  for (const [from, reached] of reach) {
    if (!reached.has(from)) continue;
    const members = [...reached].filter((other) => reach.get(other)?.has(from) === true).toSorted();
    circles.set(members.join(" "), members);
  }
  return [...circles.values()];
}

function reachedFrom(graph: Graph, from: string): ReadonlySet<string> {
  const reached = new Set<string>();
  const open = [from];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    for (const next of graph.get(file) ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      open.push(next);
    }
  }
  return reached;
}

/** Folders with more files than `filesMax`, without the files of their subfolders. */
export function crowdedFolders(sources: Sources, filesMax: number): readonly string[] {
  const byFolder = Map.groupBy(sources.keys(), (file) => dirname(file));
  return [...byFolder].flatMap(([folder, files]) => (files.length > filesMax ? [folder] : []));
}
