import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Export } from "./tampered-exports.ts";

/** An export as files: the folder itself and each earlier checkpoint next to it. */
interface Written {
  readonly folder: string;
  readonly since: readonly string[];
}

/** Writes exports, runs questions on them, and removes them. */
export async function withFolders<T>(
  exports: readonly Export[],
  ask: (written: readonly Written[]) => Promise<T>,
): Promise<T> {
  const at = mkdtempSync(join(tmpdir(), "phylax-tampered-"));
  try {
    return await ask(exports.map((made, i) => write(join(at, String(i)), made)));
  } finally {
    rmSync(at, { recursive: true });
  }
}

function write(at: string, { files, since = [] }: Export): Written {
  const folder = join(at, "export");
  const put = (path: string, bytes: Uint8Array): string => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    return path;
  };
  for (const [path, bytes] of files) put(join(folder, path), bytes);
  return { folder, since: since.map((note, i) => put(join(at, `since-${i}`), note)) };
}

/**
 * The arguments for an export and its verifier's evidence. Both verifiers' commands take the same arguments.
 */
export const argumentsOf = (
  made: Export,
  { folder, since }: Written = { folder: "", since: [] },
): string[] => [
  folder,
  ...made.keys.flatMap((key) => ["--key", key]),
  ...since.flatMap((file) => ["--since", file]),
  ...(made.receipts ?? []).flatMap((receipt) => ["--receipt", receipt]),
  ...(made.witnesses ?? []).flatMap((key) => ["--witness", key]),
];
