import type { JsonObject } from "#fhir/json/json";
import type { StoredExport } from "./export-jobs.ts";

type Located = Pick<StoredExport, "base" | "id">;

/** The polling location of an export. */
export const exportStatusUrl = ({ base, id }: Located): string => `${base}/$export-status/${id}`;

const fileUrl = ({ base, id }: Located, file: number): string => `${base}/$export-file/${id}/${file}`;

/**
 * The manifest (FHIR Bulk Data Access 3.0.0, Output Manifest). A file for each type: it needs no second page. No file
 * has a `count`: the number would differ from the rows that leave after a withdrawal, and so tell of it.
 */
export function manifestOf(stored: StoredExport): JsonObject {
  const { request, startedAt, files } = stored;
  return {
    transactionTime: new Date(startedAt).toISOString(),
    request,
    requiresAccessToken: true,
    output: files.map(({ type }, at) => ({ type, url: fileUrl(stored, at + 1) })),
    deleted: [],
    error:
      messagesOf(stored).length === 0
        ? []
        : [{ type: "OperationOutcome", url: fileUrl(stored, files.length + 1) }],
  };
}

/** The lines of the file behind the last file with resources: what the export leaves out, by the request alone. */
export const messagesOf = ({
  ignored,
  withheldTypes,
}: Pick<StoredExport, "ignored" | "withheldTypes">): readonly JsonObject[] => [
  ...ignored.map((name) =>
    outcome("warning", "not-supported", `The parameter ${name} is not supported and was ignored.`),
  ),
  ...withheldTypes.map((type) =>
    outcome(
      "error",
      "forbidden",
      `The client may not search the type ${type}, or not by time or by patient.`,
    ),
  ),
];

const outcome = (severity: string, code: string, text: string): JsonObject => ({
  resourceType: "OperationOutcome",
  issue: [{ severity, code, details: { text } }],
});
