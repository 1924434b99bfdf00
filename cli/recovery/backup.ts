import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { posterOptions } from "../connection/operator-post.ts";
import { exportLedger } from "../ledger/ledger-export.ts";
import { Misuse, printFault } from "../misuse.ts";
import { registryToFile } from "../registry/registry-show.ts";
import { giveResult, say } from "../output.ts";

/**
 * Writes the registry and the whole ledger to a new folder: `registry.json`, `ledger/`, and `backup.json` with
 * the time and the hashes. Both parts are checked while they are written. Holds no patient data in the clear
 * and no key. Returns 1 or 2 when a part fails.
 */
export async function backup(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, key: many, keys: many, ledger: { type: "string" } },
  });
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw new Misuse();
  const place = resolve(folder);
  let isWhole = true;
  try {
    mkdirSync(place, { recursive: true, mode: 0o700 });
    // A backup is one moment: a registry of now beside a ledger of before would be none.
    if (readdirSync(place).length > 0) throw new Misuse(`${place} is not empty: choose a new folder`);
    isWhole = false;
    const at = new Date().toISOString();
    const registry = join(place, "registry.json");
    const exported = await registryToFile(registry, values);
    if (typeof exported === "number") return exported;
    const logs = await exportLedger(join(place, "ledger"), values.ledger, values);
    const sha256 = createHash("sha256").update(readFileSync(registry)).digest("hex");
    writeFileSync(
      join(place, "backup.json"),
      `${JSON.stringify({ at, registry: { sha256 } }, undefined, 2)}\n`,
    );
    isWhole = true;
    giveResult({ folder: place, at, registry: { entries: exported.entries, sha256 }, logs });
    say(`${place}: backup of ${at}`);
    return 0;
  } catch (fault) {
    return printFault(fault);
  } finally {
    // A part of a backup must not pass for a backup, and the repeat needs an empty folder.
    if (!isWhole)
      for (const part of ["registry.json", "ledger", "backup.json"])
        rmSync(join(place, part), { recursive: true, force: true });
  }
}
