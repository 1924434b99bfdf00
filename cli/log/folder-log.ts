import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { countRead } from "../progress.ts";
import { readAddress } from "#ledger/address";
import { plain } from "#ledger/bytes/bytes";
import { isInLog } from "#ledger/is-in-log";
import { FRAME_BYTES_MAX } from "#ledger/leaf/frame";
import type { LogExtent } from "#ledger/flush";
import type { LogReader } from "#ledger/ports";
import { tilePath } from "#ledger/tlog/tile";

/**
 * One log in a folder, each object a file at its public path. An absent file is undefined; a file that cannot
 * be an object throws.
 */
export function folderLog(folder: string): LogReader {
  const object = async (path: string): Promise<Uint8Array | undefined> => readLogObject(join(folder, path));
  return {
    checkpoint: () => object("checkpoint"),
    tile: (level, index, width) => object(`tile/${level}/${tilePath(index, width)}`),
    entries: (index, width) => object(`tile/entries/${tilePath(index, width)}`),
    frame: (number) => object(`frame/${number}`),
  };
}

/** The paths in a log's folder that a whole copy of the log would not have. */
export async function strayObjects(folder: string, log: string, extent: LogExtent): Promise<string[]> {
  const stray: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/");
    const address = readAddress(`/${log}/${path}`);
    if (!entry.isFile() || !address.ok || !isInLog(address.value, extent)) stray.push(path);
  }
  return stray.sort();
}

/**
 * The bytes of a regular file no longer than the longest frame. A symbolic link is refused. It waits for the
 * file: a log is thousands of small files, and each turn through the pool of threads costs more than its file.
 */
export function readLogObject(path: string): Uint8Array | undefined {
  const file = openObject(path);
  if (file === undefined) return undefined;
  try {
    const about = fstatSync(file);
    if (!about.isFile() || about.size > FRAME_BYTES_MAX)
      throw new Error(`${path} is not an object of a log: it is no regular file, or too large`);
    countRead();
    return plain(readFileSync(file));
  } finally {
    closeSync(file);
  }
}

function openObject(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (fault) {
    if (isCoded(fault) && ["ENOENT", "ENOTDIR"].includes(fault.code)) return undefined;
    throw new Error(`${path} cannot be read`, { cause: fault });
  }
}

const isCoded = (fault: unknown): fault is { readonly code: string } =>
  fault instanceof Error && "code" in fault;
