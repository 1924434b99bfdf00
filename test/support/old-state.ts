import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditEvent } from "#audit/event";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import type { RecordVector } from "../../scripts/record-vectors.ts";

/** An event of an old ledger, as `phylax ledger read --json` of the ledger's own version printed it. */
export interface OldRecord {
  readonly log: string;
  readonly leaf: string; // hash of its first leaf, base64
  readonly event: AuditEvent;
}

/**
 * The facts of its ledger that the version wrote down when it made the state (scripts/make-old-state.ts).
 */
export interface OldLedger extends Pick<DevFile, "ledgerName" | "logs" | "root" | "witnesses"> {
  readonly version: string;
  readonly madeAt: string;
  readonly receipts: readonly string[];
  readonly records: readonly OldRecord[];
}

/** A state folder of an earlier version, unpacked for one test. */
export interface OldState {
  readonly folder: string;
  readonly state: string;
  readonly bundles: string;
  /** The folder that `phylax ledger export` of that version wrote. */
  readonly exported: string;
  /** Checkpoint files of each log, including the root log. */
  readonly checkpoints: readonly string[];
  readonly told: OldLedger;
  readonly vectors: readonly RecordVector[];
  remove(): void;
}

const fixtures = join(import.meta.dirname, "..", "fixtures");

/** The versions that have a recorded state. */
export const oldVersions: readonly string[] = readdirSync(fixtures).flatMap(
  (name) => /^state-(?<version>[0-9a-f]+)\.tar\.gz$/u.exec(name)?.groups?.["version"] ?? [],
);

export function unpackOldState(version: string): OldState {
  const folder = mkdtempSync(join(tmpdir(), "phylax-old-"));
  execFileSync("tar", ["-x", "-z", "-f", join(fixtures, `state-${version}.tar.gz`), "-C", folder]);
  const told: OldLedger = JSON.parse(readFileSync(join(folder, "told.json"), "utf8"));
  const vectors: readonly RecordVector[] = JSON.parse(readFileSync(join(folder, "records.json"), "utf8"));
  return {
    folder,
    state: join(folder, "state"),
    bundles: join(folder, "bundles"),
    exported: join(folder, "export"),
    checkpoints: readdirSync(join(folder, "checkpoints")).map((log) => join(folder, "checkpoints", log)),
    told,
    vectors,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
