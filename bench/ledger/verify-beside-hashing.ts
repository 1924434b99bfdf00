import { hash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseFrame } from "#ledger/leaf/frame";
import type { Pair } from "../measures.ts";
import { ledgerCommand, type LogKey } from "./verification.ts";

/**
 * CPU microseconds of `phylax ledger verify` for a long log, minus the time for a log of a few leaves, beside
 * SHA-256 over each leaf twice: a verifier cannot do with less, since each leaf is in a frame and in the tree.
 */
export function verifyBesideHashing(
  url: string,
  folder: string,
  few: LogKey,
  whole: LogKey,
  times: number,
): readonly Pair[] {
  const [short, long] = [join(folder, "verified-few"), join(folder, "verified")];
  for (const [place, { key }] of [
    [short, few],
    [long, whole],
  ] as const) {
    mkdirSync(place);
    ledgerCommand(key, "export", place, url);
  }
  const leaves = leavesIn(long);
  if (leaves.length !== whole.size) throw new Error(`${leaves.length} leaves in the frames of ${whole.size}`);
  const pairs = Array.from({ length: times }, () => ({
    a: ledgerCommand(whole.key, "verify", long) - ledgerCommand(few.key, "verify", short),
    b: hashTwice(leaves),
  }));
  rmSync(long, { recursive: true });
  return pairs;
}

/** The leaves of every frame of an exported folder. */
function leavesIn(folder: string): readonly Uint8Array[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile() && /\/frame(?:\/|$)/u.test(file.parentPath))
    .flatMap((file) => {
      const frame = parseFrame(new Uint8Array(readFileSync(join(file.parentPath, file.name))));
      if (!frame.ok) throw new Error(`${file.name} is no frame: ${frame.error}`);
      return frame.value.leaves;
    });
}

function hashTwice(leaves: readonly Uint8Array[]): number {
  const before = process.cpuUsage();
  for (let pass = 0; pass < 2; pass++) for (const leaf of leaves) hash("sha256", leaf, "buffer");
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
