import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { parseLogName } from "#ledger/log-name";
import { siblingOf } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import { type Claims, type Finding, verifyLog, type Verified } from "#ledger/verify";
import { folderLog, readObject, strayObjects } from "./folder-log.ts";
import { keyText, logOf, parseLogKey } from "./ledger-keys.ts";
import { type Place, rootKeyOf, verifyLogs } from "./ledger-root.ts";

/** What was found of one log, or of an object (`keys`, a file too many) beside them. */
export type Report = { readonly name: string } & (
  | {
      readonly good: Verified;
      readonly removed?: true; // its leaves are gone; `good` is the root log's word
      readonly rooted?: number; // leaves up to the log's last checkpoint in the root log
      readonly cosigned?: readonly { readonly name: string; readonly seconds: number }[]; // of the root log
    }
  | { readonly wrong: Finding | string }
);

export const keysFile = "keys";
const keysHead =
  "# The C2SP verifier keys of these logs. They prove nothing by themselves: whoever can change this folder can change them too.\n";

export const keysText = (keys: readonly Verifier[]): string =>
  keysHead +
  keys
    .map((key) => `${keyText(key)}\n`)
    .sort()
    .join("");

/** The keys that an exported folder carries; undefined when its file of keys is missing or not as an export writes it. */
export async function ownKeys(folder: string): Promise<Verifier[] | undefined> {
  const text = fromUtf8((await readObject(join(folder, keysFile))) ?? new Uint8Array());
  const lines = text?.startsWith(keysHead) ? text.slice(keysHead.length).split("\n").slice(0, -1) : [];
  const keys = lines.flatMap((line) => parseLogKey(line) ?? []);
  return text === keysText(keys) && keys.length > 0 ? keys : undefined;
}

/**
 * Checks an exported folder: each log whole, every known log there, nothing in it that does not belong, and its file of keys the
 * keys that it was checked with. With `only`, these logs and nothing else.
 */
export async function verifyFolder(
  folder: string,
  keys: readonly Verifier[],
  claimsOf: (verifier: Verifier) => Claims,
  only: readonly string[] = [],
  witnesses: readonly Verifier[] = [],
): Promise<Report[]> {
  const entries = await readdir(folder);
  const reports: Report[] = [await checkKeys(folder, keys)].filter((report) => "wrong" in report);
  const checked = await verifyLogs(
    { keys: withSiblings(keys, entries), claimsOf, only, witnesses },
    folderPlace(folder),
  );
  reports.push(...checked);
  if (only.length > 0) return reports;
  const known = new Set([keysFile, ...keys.map(logOf), ...checked.map(({ name }) => name)]);
  const others = entries
    .filter((name) => !known.has(name))
    .map((name) => ({ name, wrong: "is neither a log of a known key nor the file of keys" }));
  // A log that the file of keys names was there, also for one who was given the key of another only.
  const hidden = ((await ownKeys(folder)) ?? [])
    .map(logOf)
    .filter((name) => !known.has(name) && !entries.includes(name));
  const missing = hidden.map((name) => ({ name, wrong: "its folder is missing" }));
  return [...reports, ...[...others, ...missing].sort((a, b) => (a.name < b.name ? -1 : 1))];
}

/** With the root log's key among them the keys of all logs in the folder: one key pair signs every log of a ledger. */
function withSiblings(keys: readonly Verifier[], entries: readonly string[]): readonly Verifier[] {
  const root = rootKeyOf(keys);
  const named = entries.filter(
    (name) => parseLogName(name) !== undefined && !keys.some((key) => logOf(key) === name),
  );
  return root === undefined ? keys : [...keys, ...named.sort().map((name) => siblingOf(root, name))];
}

const folderPlace = (folder: string): Place => ({
  readerOf: (log) => folderLog(join(folder, log)),
  async verify(reader, verifier, claims, rules) {
    const name = logOf(verifier);
    // What it leads to is not in the folder: the next reader may find something else there.
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
): Promise<Report | { readonly name: string }> {
  const written = await ownKeys(folder);
  if (written === undefined) return { name: keysFile, wrong: "is missing or not as an export writes it" };
  const texts = written.map(keyText);
  const other = keys.find((key) => !texts.includes(keyText(key)));
  return other === undefined
    ? { name: keysFile }
    : { name: keysFile, wrong: `does not have the key of ${logOf(other)} that was given` };
}

const hasEntry = async (folder: string, name: string): Promise<boolean> =>
  (await readdir(folder)).includes(name);
