import type { Instant } from "#kernel/clock";
import type { RunProgress } from "./bundle-run.ts";

/** An export of a client, without what it asks for. */
export interface ExportEntry {
  /** 32 lower-case hex digits. */
  readonly id: string;
  readonly client: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
}

/** How far a file of an export was read last. */
export interface FileProgress {
  /** Its place among the files of the export. */
  readonly file: number;
  readonly state: "reading" | "waits" | "sent" | "broken";
  /** The rows that are on record and left. */
  readonly rows: number;
  /** The reason of the refusal that the next page waits for. */
  readonly reason: string | null;
  readonly at: Instant;
}

/** An export as operators see it: no patient, no Group and no search. A batch or a transaction is the level `bundle`. */
export interface ListedExport extends ExportEntry {
  /** Null: the object that stores the client's exports does not answer. */
  readonly facts: {
    readonly level: "system" | "patient" | "group" | "bundle";
    readonly origin: string;
    readonly purpose: string;
    /** Of each file. */
    readonly types: readonly string[];
    /** The files that were read. */
    readonly read: readonly FileProgress[];
    /** Of a bundle, which has no file. */
    readonly run: RunProgress | null;
  } | null;
}

/** The newest exports. */
export interface ExportList {
  readonly exports: readonly ListedExport[];
  /** The number of older exports. */
  readonly more: number;
}
