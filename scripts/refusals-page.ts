// Writes docs/refusals.md from the table of refusal reasons: npm run generate
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exceptionToShow, informationBlockingException } from "#audit/information-blocking";
import { renamedReasons } from "#audit/renamed-reasons";
import { allRefusals } from "#entrypoint/all-refusals";
import type { RefusalRow } from "#entrypoint/public-face";
import { recordedOnly } from "#entrypoint/client-refusals";

const page = join(import.meta.dirname, "../docs/refusals.md");
const rows: readonly (readonly [string, RefusalRow])[] = Object.entries(allRefusals);
const cell = (text: string): string => text.replaceAll("|", "\\|");

/** Reasons that a caller cannot tell apart share a line. */
function table<Face>(
  head: readonly string[],
  faceOf: (row: RefusalRow) => Face | undefined,
  cells: (face: Face) => readonly string[],
): string {
  const lines = new Map<string, string[]>();
  for (const [reason, row] of rows) {
    const face = faceOf(row);
    if (face === undefined) continue;
    const line = cells(face).map(cell).join(" | ");
    lines.set(line, [...(lines.get(line) ?? []), `\`${reason}\``]);
  }
  return asTable(
    [...head, "Reasons in the record"],
    [...lines].map(([line, reasons]) => `${line} | ${reasons.join(" ")}`),
  );
}

const asTable = (head: readonly string[], lines: readonly string[]): string =>
  [head.join(" | "), head.map(() => "---").join(" | "), ...lines].map((line) => `| ${line} |`).join("\n");

const shown = rows.filter(([reason]) => exceptionToShow(reason) !== undefined);
const codesShown = shown.map(([reason]) => `\`${reason}\``).join(", ");
const byException = Map.groupBy(rows, ([reason]) => informationBlockingException(reason));
const exceptionTable = asTable(
  ["Exception", "Reasons"],
  [...byException]
    .filter(([exception]) => exception !== undefined)
    .map(([exception, found]) => `${exception} | ${found.map(([reason]) => `\`${reason}\``).join(" ")}`),
);

const sections = [
  `# Refusals

For developers of clients, and for operators who read records: every refusal of the FHIR API, the token endpoint and the admin API, what to do next, and the reason that the ledger records.`,
  `An answer never says which check of a credential failed, and what a row decided looks like what is absent. The record has the exact reason: an operator finds it by the request id (\`X-Request-Id\`) with \`phylax ledger read --reason CODE\` ([auditors.md](auditors.md)). This page is written by \`npm run generate\` from \`src/entrypoint/client-refusals.ts\` and, for the admin API, \`operator-refusals.ts\`.`,
  `## FHIR API

An OperationOutcome with one issue. Where FHIR itself has the name (a parameter, an interaction, an operation), the text ends with it.

A refusal rests on one exception to information blocking (45 CFR part 171). A reader of the record gets its code with each reason. \`details.coding\` has the code (system \`https://www.ecfr.gov/current/title-45/part-171\`) only where type, purpose or policy decided: ${codesShown}. An answer that a row decided names none.

${exceptionTable}`,
  table(
    ["Status", "Issue code", "Text"],
    ({ gateway }) => gateway,
    ({ status, code, text }) => [String(status), code, text],
  ),
  `## Token endpoint

\`error\` and \`error_description\` (RFC 6749 §5.2). \`/oauth/introspect\` and \`/oauth/revoke\` answer in the same way.`,
  table(
    ["Status", "Error", "Description"],
    ({ token }) => token,
    ({ status, error, description }) => [String(status), `\`${error}\``, description],
  ),
  `## Admin API

Problem details (RFC 9457). A document that is not taken (422) is answered with \`pointer\` and \`detail\` beside the title. The member \`reason\` has the reason code, once the operator is proven; a refusal of the operator never names the failed check.`,
  table(
    ["Status", "Title"],
    ({ admin }) => admin,
    ({ status, title }) => [String(status), title],
  ),
  `## In records only

The answer was not an error, or had begun.`,
  asTable(
    ["Reason in the record", "Meaning"],
    Object.entries(recordedOnly).map(([reason, meaning]) => `\`${reason}\` | ${cell(meaning)}`),
  ),
  `## Renamed reasons

Records of earlier versions have the old code. \`phylax ledger read\`, \`ledger export --fhir\` and \`breach-scope\` show the new code, and \`--reason\` takes either.`,
  asTable(
    ["Old", "New"],
    [...renamedReasons].map(([old, now]) => `\`${old}\` | \`${now}\``),
  ),
];

/** The page without the spaces that a formatter adds to align its columns. */
export const withoutPadding = (text: string): string =>
  text.replaceAll(/ +\|/gu, " |").replaceAll(/-{3,}/gu, "---");
export const refusalsPage = `${sections.join("\n\n")}\n`;
export const storedPage = (): string => readFileSync(page, "utf8");

if (import.meta.main) writeFileSync(page, refusalsPage);
