import type { JsonObject } from "#fhir/json/json";
import type { StoredExport } from "./export-jobs.ts";
import type { WithheldType } from "./exported-types.ts";

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
  ...withheldTypes.map(({ type, why }) => messages[why](type)),
];

const messages: Readonly<Record<WithheldType["why"], (type: string) => JsonObject>> = {
  no_patients: (type) =>
    outcome(
      "information",
      "not-supported",
      `The type ${type} has no patients. Ask for it by an export of the system.`,
    ),
  no_owner_parameter: (type) =>
    outcome(
      "information",
      "not-supported",
      `FHIR R4 has no search for the rows of the type ${type} that a patient owns. Ask for it without a Group and without patient.`,
    ),
  not_searched: (type) =>
    outcome(
      "error",
      "forbidden",
      `The client may not search the type ${type}, or not by time or by patient.`,
    ),
};

const outcome = (severity: string, code: string, text: string): JsonObject => ({
  resourceType: "OperationOutcome",
  issue: [{ severity, code, details: { text } }],
});
