import type { ResourceType } from "#fhir/r4/elements";
import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { WithheldType } from "./exported-types.ts";
import type { FileProgress } from "#limits/listed-export";

/** A file of an export: the searches whose rows are its lines, each row once, asked when the file is downloaded. */
export interface StoredFile {
  readonly type: ResourceType;
  /** Below the type. */
  readonly queries: readonly string[];
}

/** The patients whose rows an export has: each present limit counts. The members of a Group are asked each time. */
export interface StoredPatients {
  readonly group: string | undefined;
  readonly named: readonly string[] | undefined;
}

/** An export as it rests, sealed: the questions, and no row. */
export interface StoredExport {
  /** 32 lower-case hex digits, random. */
  readonly id: string;
  /** The caller: client, person, purpose and the key or certificate of the token. No other caller finds the export. */
  readonly owner: string;
  /** The FHIR base and the URL of the kick-off request. */
  readonly base: string;
  readonly request: string;
  /** For operators. */
  readonly level: "system" | "patient" | "group";
  readonly origin: string;
  readonly purpose: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
  readonly patients: StoredPatients;
  readonly files: readonly StoredFile[];
  /** Names of ignored parameters, and the types without a file: the manifest's `error` lists them. */
  readonly ignored: readonly string[];
  readonly withheldTypes: readonly WithheldType[];
}

/** The exports of a client. */
export interface ExportJobs {
  addExport(
    client: string,
    stored: StoredExport,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>>;
  /** Undefined: there is no such export, or it has ended. */
  find(client: string, id: string): Promise<StoredExport | undefined>;
  /** Notes how far a download that began at a time has read a file. False: the export is over. */
  note(client: string, id: string, begun: Instant, progress: FileProgress): Promise<boolean>;
  end(client: string, id: string): Promise<void>;
}
