import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { sentence } from "#auditing/sentence";
import { copyOfLog } from "#ledger/copy-of-log";
import { ledgerOfVerifier } from "#ledger/log-of-verifier";
import { folderLog } from "../log/folder-log.ts";
import { exportIn, ownKeys, verifyFolder } from "../log/ledger-folder.ts";
import { givenKeys } from "../log/ledger-keys.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readCall } from "../read-call.ts";

/**
 * Makes the objects of the ledger's copy in R2 from an exported folder, as files at their keys, so that
 * `restore ledger` can rebuild logs whose storage and copy are both lost. The whole export is verified first.
 * Returns 1, and writes nothing, when an object of it is wrong.
 */
export async function restoreCopy(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = readCall(args, { key: many, keys: many });
  const [from, to, ...only] = positionals;
  if (from === undefined || to === undefined) throw new Misuse("name an exported folder and a new folder");
  const [folder, out] = [exportIn(resolve(from)), resolve(to)];
  if (existsSync(out) && readdirSync(out).length > 0)
    throw new Misuse(`${to} is not empty: choose a new folder`);
  const given = givenKeys(values.key, values.keys);
  if (given === undefined)
    say("keys: the folder's own, so this shows only that the folder agrees with itself");
  const keys = given?.keys ?? (await ownKeys(folder));
  if (keys === undefined) throw new Error(`${from}: the file keys is missing or not as an export writes it`);
  const ledger = keys.map(ledgerOfVerifier)[0] ?? "";
  const reports = await verifyFolder(folder, keys, () => ({}));
  for (const report of reports)
    if ("wrong" in report) throw new Error(`${report.name}: WRONG: ${sentence(report.wrong)}`);
  const full = reports.flatMap((report) =>
    // an empty log begins anew
    "wrong" in report || report.removed === true || report.good.size === 0
      ? []
      : [{ name: report.name, ...report.good }],
  );
  const unknown = only.find((log) => !full.some(({ name }) => name === log));
  if (unknown !== undefined) throw new Misuse(`${unknown} has no leaves in ${from}`);
  const logs: { log: string; leaves: number; objects: number }[] = [];
  for (const { name, size: leaves, frames } of full) {
    if (only.length > 0 && !only.includes(name)) continue;
    let objects = 0;
    const extent = { frames, size: leaves };
    for await (const { key, bytes } of copyOfLog(
      folderLog(join(folder, name)),
      `${ledger}/${name}`,
      extent,
    )) {
      const file = resolve(out, key);
      if (!file.startsWith(join(out, sep))) throw new Error(`${key} is not below ${to}`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes, { flag: "wx" });
      objects += 1;
    }
    logs.push({ log: name, leaves, objects });
    say(printable(`${name}: ${objects} objects of ${leaves} leaves`));
  }
  giveResult({ folder: out, logs });
  return 0;
}
