import type { ResourceType } from "#fhir/r4/elements";
import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";

/** A file of an export: the search whose rows are its lines, asked when the file is downloaded. */
export interface StoredFile {
  readonly type: ResourceType;
  /** Below the type, as a query. */
  readonly query: string;
}

/** An export as it rests, sealed: what was asked for, and no row. */
export interface StoredExport {
  /** 32 lower-case hex digits, random. */
  readonly id: string;
  /** The caller: client, person, purpose and the key or certificate of the token. No other caller finds the export. */
  readonly owner: string;
  /** The FHIR base and the URL of the kick-off request. */
  readonly base: string;
  readonly request: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
  readonly files: readonly StoredFile[];
  /** Names of ignored parameters, and of types that the client may not search: the manifest's `error` lists them. */
  readonly ignored: readonly string[];
  readonly withheldTypes: readonly string[];
  readonly allowPartialManifests: boolean;
}

/** The exports of a client. */
export interface ExportJobs {
  addExport(
    client: string,
    stored: StoredExport,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>>;
  /** Undefined: there is no such export, or it has ended. */
  find(client: string, id: string): Promise<StoredExport | undefined>;
  end(client: string, id: string): Promise<void>;
}
