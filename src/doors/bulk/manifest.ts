import type { JsonObject } from "#fhir/json/json";
import type { ResourceType } from "#fhir/r4/elements";
import type { Instant } from "#kernel/clock";
import { exportFileUrl, exportStatusUrl } from "./export-urls.ts";

/** An export whose files can be downloaded. */
export interface FinishedExport {
  /** 32 hex digits. */
  readonly job: string;
  /** The FHIR base that the client called. */
  readonly base: string;
  /** The URL of the kick-off request; of a POST without its parameters. */
  readonly request: string;
  /** Rows that changed later are left to the next `_since`. */
  readonly startedAt: Instant;
  /** Each file with its number in the job. A file of the list `deleted` has Bundles. */
  readonly output: readonly { readonly type: ResourceType; readonly file: number }[];
  readonly deleted: readonly number[];
  /** The files with OperationOutcomes. */
  readonly error: readonly number[];
  readonly allowPartialManifests: boolean;
}

// Some 150 bytes a file: a manifest stays below 200 KB.
const filesMax = 1_000;

/** The number of manifests of an export: a client that did not ask for several gets one. */
export const manifestsOf = ({ output, allowPartialManifests }: FinishedExport): number =>
  allowPartialManifests ? Math.max(1, Math.ceil(output.length / filesMax)) : 1;

/**
 * A manifest (FHIR Bulk Data Access 3.0.0, Output Manifest). No file has a `count`: the number would differ from
 * the rows that leave after a withdrawal, and so tell of it.
 *
 * @param page from 1 to {@link manifestsOf}. The other pages have the same members but `output`, `deleted` and `link`.
 */
export function manifestOf(finished: FinishedExport, page = 1): JsonObject {
  const { job, base, request, startedAt, output, deleted, error } = finished;
  const pages = manifestsOf(finished);
  const here = pages === 1 ? output : output.slice((page - 1) * filesMax, page * filesMax);
  const named = (type: string, file: number) => ({ type, url: exportFileUrl(base, job, file) });
  return {
    transactionTime: new Date(startedAt).toISOString(),
    request,
    requiresAccessToken: true,
    output: here.map(({ type, file }) => named(type, file)),
    deleted: page === 1 ? deleted.map((file) => named("Bundle", file)) : [],
    error: error.map((file) => named("OperationOutcome", file)),
    ...(page < pages && { link: [{ relation: "next", url: exportStatusUrl(base, job, page + 1) }] }),
  };
}

/** The lines of the file that names the parameters that were ignored under `handling=lenient`. */
export const ignoredOutcomes = (names: readonly string[]): readonly JsonObject[] =>
  names.map((name) => ({
    resourceType: "OperationOutcome",
    issue: [
      {
        severity: "warning",
        code: "not-supported",
        details: { text: `The parameter ${name} is not supported and was ignored.` },
      },
    ],
  }));
