import { countsText, purposeText, standingText, type Accounting } from "./accounting-told.ts";

const columns = [
  "time",
  "recipient",
  "recipient id",
  "address",
  "purpose",
  "agreement",
  "disclosed",
  "patient",
  "required by law",
  "ledger line",
  "proof",
];

/** The accounting as CSV (RFC 4180), one disclosure a row; the words beside it are rows of their own at the end, in the first column. */
export function accountingCsv({ lines, words }: Accounting): string {
  const rows = lines.map(({ says, recipient, patient, standing, place, proof }) => [
    new Date(says.at).toISOString(),
    recipient.name,
    recipient.id,
    recipient.address ?? "",
    purposeText(says),
    says.agreement ?? "",
    countsText(says),
    patient,
    standingText(standing),
    place,
    proof === undefined ? "" : Buffer.from(proof).toString("base64"),
  ]);
  return [columns, ...rows, ...words.map((sentence) => [sentence])].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** A spreadsheet takes what begins like a formula for one: an apostrophe before it keeps it text. */
function cell(value: string): string {
  const safe = /^[=+\-@\t\r]/u.test(value) ? `'${value}` : value;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
