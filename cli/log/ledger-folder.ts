import { existsSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { parseLogName } from "#ledger/log-name";
import { siblingOf } from "#ledger/root-log";
import { hasKeysOf, type Verifier } from "#ledger/tlog/signed-note";
import { type Claims, verifyLog } from "#ledger/verify";
import { folderLog, readLogObject, strayObjects } from "./folder-log.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { keyText, parseLogKey } from "./ledger-keys.ts";
import type { LogReport } from "#auditing/log-report";
import { type RootPlace, rootKeyOf, verifyLogs } from "#auditing/ledger-root";

export const keysFile = "keys";
const keysHead =
  "# The C2SP verifier keys of these logs. They prove nothing by themselves: " +
  "whoever can change this folder can change them too.\n";

export const keysText = (keys: readonly Verifier[]): string =>
  keysHead +
  keys
    .map((key) => `${keyText(key)}\n`)
    .sort()
    .join("");

/** The exported folder itself, or the export in the folder of a backup. */
export const exportIn = (folder: string): string =>
  existsSync(join(folder, "backup.json")) && !existsSync(join(folder, keysFile))
    ? join(folder, "ledger")
    : folder;

/**
 * The keys in an exported folder. Undefined when the file of keys is missing or not as an export writes it.
 */
export async function ownKeys(folder: string): Promise<Verifier[] | undefined> {
  const text = fromUtf8(readLogObject(join(folder, keysFile)) ?? new Uint8Array());
  if (text?.startsWith(keysHead) !== true || !text.endsWith("\n")) return undefined;
  // The lines as they stand: the order of the keys in a line has no meaning.
  const lines = text.slice(keysHead.length).split("\n").slice(0, -1);
  const keys = lines.flatMap((line) => parseLogKey(line) ?? []);
  const isSorted = [...new Set(lines)].sort().join("\n") === lines.join("\n");
  return isSorted && keys.length === lines.length && keys.length > 0 ? keys : undefined;
}

/**
 * Checks an exported folder: each log is whole, every known log is there, the folder has no stray file, and
 * its file of keys has the keys of this check. With `only`, checks these logs alone.
 */
export async function verifyFolder(
  folder: string,
  keys: readonly Verifier[],
  claimsOf: (verifier: Verifier) => Claims,
  only: readonly string[] = [],
  witnesses: readonly Verifier[] = [],
): Promise<LogReport[]> {
  const entries = await readdir(folder);
  const reports: LogReport[] = [await checkKeys(folder, keys)].filter((report) => "wrong" in report);
  const checked = await verifyLogs(
    { keys: withSiblings(keys, entries), claimsOf, only, witnesses, nowSeconds: Date.now() / 1000 },
    folderPlace(folder),
  );
  reports.push(...checked);
  if (only.length > 0) return reports;
  const known = new Set([keysFile, ...keys.map(logOfVerifier), ...checked.map(({ name }) => name)]);
  const stray = entries
    .filter((name) => !known.has(name))
    .map((name) => ({ name, wrong: "is neither a log of a known key nor the file of keys" }));
  // A log in the file of keys was in the export. It is missed even by an auditor who has the key of another
  // log only.
  const hidden = ((await ownKeys(folder)) ?? [])
    .map(logOfVerifier)
    .filter((name) => !known.has(name) && !entries.includes(name));
  const missing = hidden.map((name) => ({ name, wrong: "its folder is missing" }));
  return [...reports, ...[...stray, ...missing].sort((a, b) => (a.name < b.name ? -1 : 1))];
}

/**
 * With the root log's key, adds the keys of all logs in the folder: one key pair signs every log of a ledger.
 */
function withSiblings(keys: readonly Verifier[], entries: readonly string[]): readonly Verifier[] {
  const root = rootKeyOf(keys);
  const named = entries.filter(
    (name) => parseLogName(name) !== undefined && !keys.some((key) => logOfVerifier(key) === name),
  );
  return root === undefined ? keys : [...keys, ...named.sort().map((name) => siblingOf(root, name))];
}

const folderPlace = (folder: string): RootPlace => ({
  readerOf: (log) => folderLog(join(folder, log)),
  async verify(reader, verifier, claims, rules) {
    const name = logOfVerifier(verifier);
    // The target of a link is not in the folder: the next reader may find a different file there.
    if ((await lstat(join(folder, name)).catch(() => undefined))?.isSymbolicLink() === true)
      return { name, wrong: "is a link" };
    const result = await verifyLog(reader, verifier, claims, rules);
    if (!result.ok)
      return { name, wrong: (await hasEntry(folder, name)) ? result.error : "its folder is missing" };
    const [stray] = await strayObjects(join(folder, name), name, result.value);
    return stray === undefined
      ? { name, good: result.value }
      : { name, wrong: { object: stray, problem: "is no object of this log" } };
  },
});

async function checkKeys(
  folder: string,
  keys: readonly Verifier[],
): Promise<LogReport | { readonly name: string }> {
  const written = await ownKeys(folder);
  if (written === undefined) return { name: keysFile, wrong: "is missing or not as an export writes it" };
  const other = keys.find((key) => !written.some((known) => hasKeysOf(known, key)));
  return other === undefined
    ? { name: keysFile }
    : { name: keysFile, wrong: `does not have the key of ${logOfVerifier(other)} that was given` };
}

const hasEntry = async (folder: string, name: string): Promise<boolean> =>
  (await readdir(folder)).includes(name);
