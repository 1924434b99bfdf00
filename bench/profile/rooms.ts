import { readFileSync } from "node:fs";
import type { CpuProfile } from "./inspector.ts";

/** The samples of one isolate that were not idle, by the place of the function on top of the stack. */
export interface RoomSamples {
  readonly busy: number;
  /** By room or package, such as `src/phi`, `hono`, `(garbage collector)`. */
  readonly rooms: ReadonlyMap<string, number>;
  /** By file and function. */
  readonly functions: ReadonlyMap<string, number>;
}

/** The source files of a bundle, each from a line on: esbuild names each file in a comment. */
export type Files = readonly { readonly line: number; readonly file: string }[];

export function filesOf(bundle: string): Files {
  return readFileSync(bundle, "utf8")
    .split("\n")
    .flatMap((text, line) => {
      const file = /^\/\/ (?:\.\.\/)*(?<file>\S+\.(?:ts|js|mjs))$/u.exec(text)?.groups?.["file"];
      return file === undefined ? [] : [{ line, file }];
    });
}

/** Counts the samples of a profile. `files`: of the isolate's bundle; without them only functions are known. */
export function samplesByRoom({ nodes, samples = [] }: CpuProfile, files: Files): RoomSamples {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const [rooms, functions] = [new Map<string, number>(), new Map<string, number>()];
  let busy = 0;
  for (const id of samples) {
    const frame = frames.get(id);
    if (frame === undefined || frame.functionName === "(idle)" || frame.functionName === "(root)") continue;
    busy += 1;
    const isOurs = frame.url !== "" && !frame.url.startsWith("node-internal:");
    const file = isOurs ? fileAt(files, frame.lineNumber) : undefined;
    const room = file === undefined ? nativeRoom(frame) : roomOf(file);
    const name = `${file ?? room} ${frame.functionName || "(anonymous)"}`;
    rooms.set(room, (rooms.get(room) ?? 0) + 1);
    functions.set(name, (functions.get(name) ?? 0) + 1);
  }
  return { busy, rooms, functions };
}

/** The source file of a line of a bundle, from 0. */
export const fileAt = (files: Files, lineNumber: number): string | undefined =>
  files.findLast(({ line }) => line <= lineNumber)?.file;

const nativeRoom = ({ url, functionName }: CpuProfile["nodes"][number]["callFrame"]) =>
  url === "" ? (functionName.startsWith("(") ? functionName : "(native)") : (url.split(":")[0] ?? url);

/** `src/phi/redact.ts` is in `src/phi`, a file of a package in the package. */
export function roomOf(file: string): string {
  const packed = /(?:^|\/)node_modules\/(?<name>(?:@[^/]+\/)?[^/]+)/u.exec(file)?.groups?.["name"];
  if (packed !== undefined) return packed;
  const parts = file.split("/");
  return parts.slice(0, parts[0] === "src" ? Math.min(3, parts.length - 1) : 1).join("/");
}
