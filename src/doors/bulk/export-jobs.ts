import type { ResourceType } from "#fhir/r4/elements";
import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { WithheldType } from "./exported-types.ts";
import type { AskedRun } from "#limits/bundle-run";
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

/** The facts of each job. */
interface Stored {
  /** 32 lower-case hex digits, random. */
  readonly id: string;
  /** The caller: client, person, purpose and the key or certificate of the token. This caller alone finds the job. */
  readonly owner: string;
  /** The FHIR base of the kick-off request. */
  readonly base: string;
  readonly origin: string;
  readonly purpose: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
}

/** An export as it rests, sealed: the questions, and no row. */
export interface StoredExport extends Stored {
  /** For operators. */
  readonly level: "system" | "patient" | "group";
  /** The URL of the kick-off request. */
  readonly request: string;
  readonly patients: StoredPatients;
  readonly files: readonly StoredFile[];
  /** Names of ignored parameters, and the types without a file: the manifest's `error` lists them. */
  readonly ignored: readonly string[];
  readonly withheldTypes: readonly WithheldType[];
}

/** A batch or a transaction that is done as a job (ADR 146), as it rests, sealed. Its body rests beside it. */
export interface StoredBundle extends Stored {
  readonly level: "bundle";
  readonly client: string;
  /** The authority under which it is tried until this time. */
  readonly authority: string;
  readonly until: Instant;
  /** `Idempotency-Key`, as its client sent it, or of the job itself: it is done once. */
  readonly key: string;
  /** `Prefer`, with the parts that a job applies. */
  readonly prefer: string;
  /** As in `Content`: a repeat by a request of its own is the same request. */
  readonly sameRequest: readonly (string | null)[];
  /** The sender and the trace of the kick-off request, for the record. */
  readonly address: string;
  readonly continent: string | undefined;
  readonly traceId: string | undefined;
}

export type StoredJob = StoredExport | StoredBundle;

/** The exports and bundles of a client. */
export interface ExportJobs {
  /** `body`: of a bundle. */
  addExport(
    client: string,
    stored: StoredJob,
    body?: string,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>>;
  /** Undefined: there is no such job, or it has ended. */
  find(client: string, id: string): Promise<StoredJob | undefined>;
  /** Undefined: there is no bundle of this id. */
  askRun(client: string, id: string): Promise<AskedRun | undefined>;
  /** Notes how far a download that began at a time has read a file. False: the export is over. */
  note(client: string, id: string, begun: Instant, progress: FileProgress): Promise<boolean>;
  end(client: string, id: string): Promise<void>;
}
