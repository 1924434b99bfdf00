import {
  consentText,
  countsText,
  purposeText,
  standingText,
  type Accounting,
  type AccountingEntry,
} from "./compose.ts";

/** The columns of the table, each with its cell. */
const columns: readonly (readonly [name: string, cell: (line: AccountingEntry) => string])[] = [
  ["time", ({ says }) => new Date(says.at).toISOString()],
  ["recipient", ({ recipient }) => recipient.name],
  ["recipient id", ({ recipient }) => recipient.id],
  ["address", ({ recipient }) => recipient.address ?? ""],
  ["purpose", ({ says }) => purposeText(says)],
  ["agreement", ({ says }) => says.agreement ?? ""],
  ["disclosed", ({ says }) => countsText(says)],
  ["patient", ({ patient }) => patient],
  ["required by law", ({ standing }) => standingText(standing)],
  ["suspended until", ({ heldUntil }) => heldUntil ?? ""],
  ["ledger line", ({ place }) => place],
  ["number", ({ sum }) => (sum === undefined ? "1" : String(sum.number))],
  ["last time", ({ sum, says }) => sum?.last ?? new Date(says.at).toISOString()],
  ["disclosed in all", ({ sum, says }) => sum?.disclosed ?? countsText(says)],
  ["last ledger line", ({ sum, place }) => sum?.lastPlace ?? place],
  ["consent", ({ consents }) => consents.map(consentText).join("; ")],
  ["proof", ({ proof }) => (proof === undefined ? "" : Buffer.from(proof).toString("base64"))],
];

const sumColumns = ["number", "last time", "disclosed in all", "last ledger line"];

/**
 * The accounting as CSV (RFC 4180), an entry a row; the sentences follow as rows at the end, in the first
 * column.
 */
export function accountingCsv({ lines, words, summed }: Accounting): string {
  // an accounting for the individual has no column for suspensions
  const isSuspended = lines.some(({ heldUntil }) => heldUntil !== undefined);
  const hasConsents = lines.some(({ consents }) => consents.length > 0);
  const omitted = [
    ...(hasConsents ? [] : ["consent"]),
    ...(isSuspended ? [] : ["suspended until"]),
    ...(summed ? ["proof"] : sumColumns),
  ];
  const shown = columns.filter(([name]) => !omitted.includes(name));
  const rows = [
    shown.map(([name]) => name),
    ...lines.map((line) => shown.map(([, cellOf]) => cellOf(line))),
    ...words.map((sentence) => [sentence]),
  ];
  return rows.map((row) => `${csvRow(row)}\r\n`).join("");
}

/** A row of CSV (RFC 4180) without its line end. */
export const csvRow = (values: readonly string[]): string => values.map(cell).join(",");

/**
 * A spreadsheet executes a cell that begins like a formula, also in full-width characters and after white
 * space or characters without a glyph: an apostrophe in front keeps it text.
 */
function cell(value: string): string {
  const safe = /^(?:[\s\p{Cc}\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|[\t\r\n])/u.test(value)
    ? `'${value}`
    : value;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
