import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { sentence } from "#auditing/sentence";
import { copyOfLog } from "#ledger/copy-of-log";
import { folderLog } from "../log/folder-log.ts";
import { exportIn, ownKeys, verifyFolder } from "../log/ledger-folder.ts";
import { givenKeys } from "../log/ledger-keys.ts";
import { Misuse, printFault } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";

/**
 * Makes the objects of the ledger's copy in R2 from an exported folder, as files at their keys, so that
 * `restore ledger` can rebuild logs whose storage and copy are both lost. The whole export is verified first.
 * Returns 1, and writes nothing, when an object of it is wrong.
 */
export async function restoreCopy(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { key: many, keys: many },
    });
    const [from, to, ...only] = positionals;
    if (from === undefined || to === undefined) throw new Misuse("name an exported folder and a new folder");
    const [folder, out] = [exportIn(resolve(from)), resolve(to)];
    if (existsSync(out) && readdirSync(out).length > 0)
      throw new Misuse(`${to} is not empty: choose a new folder`);
    const given = givenKeys(values.key, values.keys);
    if (given === undefined)
      say("keys: the folder's own, so this shows only that the folder agrees with itself");
    const keys = given?.keys ?? (await ownKeys(folder));
    if (keys === undefined)
      throw new Error(`${from}: the file keys is missing or not as an export writes it`);
    const [first] = keys;
    const ledger = first?.name.slice(0, first.name.lastIndexOf("/")) ?? "";
    const reports = await verifyFolder(folder, keys, () => ({}));
    for (const report of reports)
      if ("wrong" in report) throw new Error(`${report.name}: WRONG: ${sentence(report.wrong)}`);
    const logs: { log: string; leaves: number; objects: number }[] = [];
    for (const report of reports) {
      if ("wrong" in report || report.removed === true) continue;
      if (only.length > 0 && !only.includes(report.name)) continue;
      const { size: leaves, frames } = report.good;
      if (leaves === 0) continue; // an empty log begins anew
      let objects = 0;
      const log = folderLog(join(folder, report.name));
      for await (const { key, bytes } of copyOfLog(log, `${ledger}/${report.name}`, {
        frames,
        size: leaves,
      })) {
        const file = join(out, key);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, bytes, { flag: "wx" });
        objects += 1;
      }
      logs.push({ log: report.name, leaves, objects });
      say(printable(`${report.name}: ${objects} objects of ${leaves} leaves`));
    }
    const unknown = only.find((name) => !logs.some(({ log }) => log === name));
    if (unknown !== undefined) throw new Misuse(`${unknown} has no leaves in ${from}`);
    giveResult({ folder: out, logs });
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
}
