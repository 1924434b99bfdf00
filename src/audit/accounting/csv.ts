import { countsText, purposeText, standingText, type Accounting, type AccountingEntry } from "./page.ts";

/** Each column of the table, and what a line has there. */
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
  ["proof", ({ proof }) => (proof === undefined ? "" : Buffer.from(proof).toString("base64"))],
];

const ofSums = ["number", "last time", "disclosed in all", "last ledger line"];

/**
 * The accounting as CSV (RFC 4180), one entry a row; the words beside it are rows of their own at the end, in
 * the first column.
 */
export function accountingCsv({ lines, words, summed }: Accounting): string {
  // an individual's has not even the column
  const isHeld = lines.some(({ heldUntil }) => heldUntil !== undefined);
  const left = [...(isHeld ? [] : ["suspended until"]), ...(summed ? ["proof"] : ofSums)];
  const shown = columns.filter(([name]) => !left.includes(name));
  const rows = [
    shown.map(([name]) => name),
    ...lines.map((line) => shown.map(([, of]) => of(line))),
    ...words.map((sentence) => [sentence]),
  ];
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/**
 * A spreadsheet takes what begins like a formula for one, in full width too: an apostrophe before it keeps it
 * text.
 */
function cell(value: string): string {
  const safe = /^[=+\-@\uFF1D\uFF0B\uFF0D\uFF20\t\r\n]/u.test(value) ? `'${value}` : value;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
