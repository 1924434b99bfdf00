import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { posterOptions } from "../connection/operator-post.ts";
import { exportLedger } from "../ledger/ledger-export.ts";
import { keyFilesOf } from "../log/state-keys.ts";
import { Misuse } from "../misuse.ts";
import { exportedLine, registryToFile } from "../registry/registry-show.ts";
import { giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Writes the registry and the whole ledger to a new folder: `registry.json`, `ledger/`, and `backup.json` with
 * the time and the hashes. Both parts are checked while they are written. Holds no patient data in the clear
 * and no key. Returns 1 or 2 when a part fails. The folder has its name once the backup is whole: before, it is
 * `FOLDER.part`, which the next attempt replaces.
 */
export async function backup(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, name: folder } = readNamedCall(args, {
    ...posterOptions,
    key: many,
    keys: many,
    ledger: { type: "string" },
  });
  const place = resolve(folder);
  const part = `${place}.part`;
  try {
    // A backup is one moment: a registry of now beside a ledger of before would be none.
    if (existsSync(place) && readdirSync(place).length > 0)
      throw new Misuse(`${place} is not empty: choose a new folder`);
    // A process that ends amid a backup, by Ctrl-C or a power cut, leaves this folder.
    removePart(part);
    if (existsSync(part)) throw new Misuse(`${part} has further files: move them, or choose a new folder`);
    mkdirSync(part, { recursive: true, mode: 0o700 });
    const at = new Date().toISOString();
    const registry = join(part, "registry.json");
    const exported = await registryToFile(registry, values);
    const logs = await exportLedger(join(part, "ledger"), values.ledger, {
      ...values,
      keys: keyFilesOf(values),
    });
    const sha256 = createHash("sha256").update(readFileSync(registry)).digest("hex");
    writeFileSync(
      join(part, "backup.json"),
      `${JSON.stringify({ at, registry: { sha256 } }, undefined, 2)}\n`,
    );
    renameSync(part, place); // over an empty folder too
    giveResult({ folder: place, at, registry: { entries: exported.entries, sha256 }, logs });
    say(exportedLine({ ...exported, file: join(place, "registry.json") }));
    say(`${place}: backup of ${at}`);
    return 0;
  } finally {
    removePart(part);
  }
}

/** Removes an unfinished backup, and no further file: a folder with other files is not ours. */
function removePart(part: string): void {
  if (!existsSync(part)) return;
  for (const name of ["registry.json", "ledger", "backup.json"])
    rmSync(join(part, name), { recursive: true, force: true });
  if (readdirSync(part).length === 0) rmdirSync(part);
}
