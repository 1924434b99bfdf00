import { Misuse } from "../misuse.ts";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { toBase64 } from "#ledger/bytes/base64";
import type { LogReader } from "#ledger/ports";
import { mayBeDeleted, RootLeaves } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import { tilePath } from "#ledger/tlog/tile";
import { type LeafRules, verifyLog } from "#ledger/verify";
import { httpLog } from "../log/http-log.ts";
import { keysFile, keysText, verifyFolder } from "../log/ledger-folder.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { givenKeys } from "../log/ledger-keys.ts";
import { sentence } from "#auditing/sentence";
import { keysWithRoot, rootKeyOf } from "#auditing/ledger-root";
import { CHECKPOINT_LAG_MS } from "#auditing/late-checkpoint";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Writes each log of a known key to a folder. Each object is checked on its way and once more from the disk.
 * Checkpoints are written last: a folder without a checkpoint is not an export. A failed export removes the
 * files it wrote.
 */
export async function ledgerExport(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = readCall(args, { key: many, keys: many });
  const [folder, named, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw new Misuse(wanted);
  giveResult({ folder: resolve(folder), logs: await exportLedger(resolve(folder), named, values) });
  return 0;
}

const wanted = "name a folder, then the ledger's URL unless a dev.json has it, and nothing more";

interface ExportedLog {
  readonly log: string;
  readonly size: number;
  readonly frames: number;
  /** Base64 of the root hash. */
  readonly root: string;
}

/** Copies the logs of the given keys to a new folder. Throws when an object is wrong. */
export async function exportLedger(
  folder: string,
  named: string | undefined,
  from: { readonly key: readonly string[]; readonly keys: readonly string[] },
): Promise<readonly ExportedLog[]> {
  const given = givenKeys(from.key, from.keys);
  const url = named ?? given?.url;
  if (url === undefined || !/^https?:\/\//.test(url)) throw new Misuse(wanted);
  if (given === undefined) throw new Misuse("no public key to check with: give one with --key or --keys");
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) throw new Misuse(`${folder} is not empty: choose a new folder`);
  const written = new Set([keysFile]);
  try {
    return await write(folder, url, given.keys, written);
  } catch (fault) {
    for (const name of written) await rm(join(folder, name), { recursive: true, force: true });
    throw fault;
  }
}

async function write(
  folder: string,
  url: string,
  given: readonly Verifier[],
  written: Set<string>,
): Promise<readonly ExportedLog[]> {
  const checkpoints = new Map<string, Uint8Array>();
  const copy = async (verifier: Verifier, rules?: LeafRules): Promise<void> => {
    const log = logOfVerifier(verifier);
    written.add(log);
    const reader = copying(httpLog(url, log), join(folder, log), (note) => checkpoints.set(log, note));
    const result = await verifyLog(reader, verifier, {}, rules);
    if (!result.ok) throw new Error(`${log}: WRONG: ${sentence(result.error)}`);
  };
  // The root log is copied first: every log, copied after it, has at least the leaves that it records. A
  // log's checkpoint may be a second old, and cached for another second.
  const root = rootKeyOf(given);
  const leaves = root && new RootLeaves(root);
  if (root !== undefined) {
    await copy(root, leaves);
    await wait(CHECKPOINT_LAG_MS);
  }
  const named = root === undefined || leaves === undefined ? given : keysWithRoot(given, root, leaves);
  const keys = leaves === undefined ? named : await withoutDeleted(url, named, leaves);
  for (const verifier of keys) if (verifier !== root) await copy(verifier);
  for (const [log, note] of checkpoints) await writeObject(join(folder, log, "checkpoint"), note);
  await writeObject(join(folder, keysFile), keysText(keys));
  const exported: ExportedLog[] = [];
  for (const report of await verifyFolder(folder, keys, () => ({}))) {
    if ("wrong" in report) throw new Error(`${report.name}: WRONG: ${sentence(report.wrong)}`);
    if (report.removed === true) continue;
    const { name: log, good } = report;
    const [size, frames, root] = [good.size, good.frames, toBase64(good.root)];
    exported.push({ log, size, frames, root });
    say(`${log}: exported: ${size} leaves in ${frames} frames, root ${root}`);
  }
  return exported;
}

/** Leaves out the logs that were deleted after their six years; only the root log records them. */
async function withoutDeleted(
  url: string,
  keys: readonly Verifier[],
  leaves: RootLeaves,
): Promise<Verifier[]> {
  const present: Verifier[] = [];
  for (const key of keys) {
    const log = logOfVerifier(key);
    if (
      !mayBeDeleted(log, leaves.seconds, Date.now() / 1000) ||
      (await httpLog(url, log).checkpoint()) !== undefined
    )
      present.push(key);
  }
  return present;
}

/** A reader that writes a copy of each object to the folder, and passes the checkpoint to the caller. */
function copying(reader: LogReader, folder: string, keep: (checkpoint: Uint8Array) => void): LogReader {
  const copied = async (path: string, bytes: Uint8Array | undefined): Promise<Uint8Array | undefined> => {
    if (bytes !== undefined) await writeObject(join(folder, path), bytes);
    return bytes;
  };
  return {
    async checkpoint() {
      const note = await reader.checkpoint();
      if (note !== undefined) keep(note);
      return note;
    },
    tile: async (level, index, width) =>
      copied(`tile/${level}/${tilePath(index, width)}`, await reader.tile(level, index, width)),
    entries: async (index, width) =>
      copied(`tile/entries/${tilePath(index, width)}`, await reader.entries(index, width)),
    frame: async (number) => copied(`frame/${number}`, await reader.frame(number)),
  };
}

async function writeObject(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
