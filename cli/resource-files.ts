import { createReadStream, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { resourceTexts } from "./deid/resource-lines.ts";
import { UnusableFile } from "./misuse.ts";
import { countRead } from "./progress.ts";

/** A resource's text with its place. */
export interface ResourceText {
  /** Name of the file, without its folder. */
  readonly file: string;
  /** Line of an NDJSON file, counted from 1; of another file the resource's number. */
  readonly line: number;
  readonly text: string;
}

/**
 * The resources of a file, or of each `.ndjson` file of a folder in the order of the names. NDJSON is read line by
 * line, so that a file may be larger than the memory.
 */
export async function* resourcesIn(path: string): AsyncGenerator<ResourceText> {
  const files = isFolder(path) ? ndjsonFilesIn(path) : [path];
  for (const file of files) {
    const name = basename(file);
    let line = 0;
    for await (const text of name.endsWith(".ndjson") ? linesOf(file) : resourceTexts(file)) {
      line += 1;
      if (text.trim() === "") continue;
      countRead();
      yield { file: name, line, text };
    }
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** The paths of a folder's NDJSON files. Throws if there is none. */
function ndjsonFilesIn(folder: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".ndjson"));
  if (names.length === 0) throw new UnusableFile(`${folder}: has no file whose name ends in .ndjson`);
  return names.toSorted().map((name) => join(folder, name));
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file, { encoding: "utf8" });
  let isFirst = true;
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    yield isFirst ? line.replace(/^\uFEFF/u, "") : line;
    isFirst = false;
  }
}
