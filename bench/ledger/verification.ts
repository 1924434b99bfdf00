import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cpuOfCommand } from "../process/command.ts";

const root = join(import.meta.dirname, "../..");

/**
 * CPU microseconds for each 1,000 leaves, minus the time that the command takes for an empty log. `python` is
 * null without Python 3.
 */
export interface Verification {
  readonly export: number;
  readonly verify: number;
  readonly python: number | null;
}

/** A log by the verifier key of its checkpoints, with its number of leaves. */
export interface LogKey {
  readonly key: string;
  readonly size: number;
}

/**
 * Takes the difference between a long log and a short log, both verified as an outsider with the public key
 * would. Throws when a log does not verify.
 */
export function measureVerification(url: string, folder: string, short: LogKey, long: LogKey): Verification {
  const [few, many] = [short, long].map((log, i) => costs(url, join(folder, `export-${i}`), log));
  if (few === undefined || many === undefined) throw new Error("nothing was verified");
  const each = (of: (cost: Costs) => number) => ((of(many) - of(few)) / (long.size - short.size)) * 1_000;
  const hasPython = few.python !== undefined && many.python !== undefined;
  return {
    export: each((cost) => cost.export),
    verify: each((cost) => cost.verify),
    python: hasPython ? each((cost) => cost.python ?? 0) : null,
  };
}

interface Costs {
  readonly export: number;
  readonly verify: number;
  readonly python: number | undefined;
}

function costs(url: string, folder: string, { key }: LogKey): Costs {
  mkdirSync(folder);
  const hasPython =
    spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).status === 0;
  return {
    export: ledgerCommand(key, "export", folder, url),
    verify: ledgerCommand(key, "verify", folder),
    python: hasPython
      ? cpuOfCommand("python3", [join(root, "scripts/verify-ledger.py"), folder, "--key", key])
      : undefined,
  };
}

/** CPU microseconds of `phylax ledger`. Throws when it fails, so only a log that verifies is measured. */
export const ledgerCommand = (key: string, ...args: readonly string[]): number =>
  cpuOfCommand(process.execPath, [join(root, "cli/main.ts"), "ledger", ...args, "--key", key]);
