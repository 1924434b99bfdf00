import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { sha256 } from "#ledger/bytes/hash";
import { countsText, purposeText, standingText, type Accounting, type AccountingEntry } from "./compose.ts";

const style =
  "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#111;background:#fff}" +
  "table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:bold;padding:.5rem}" +
  "th,td{border-bottom:1px solid #999;padding:.5rem;text-align:left;vertical-align:top}tbody th{font-weight:normal;white-space:nowrap}" +
  "code{display:block;word-break:break-all;font-size:.75rem}" +
  "@media print{body{font-size:10px;margin:0;max-width:none}tr{break-inside:avoid}}";

/** Permits no script, resource, frame or form: only the style in the page, by its hash. */
export const pagePolicy =
  `default-src 'none'; style-src 'sha256-${toBase64(sha256(utf8(style)))}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

interface Shape {
  /** If the individual has several records, each line names its record. */
  readonly records: boolean;
  readonly summed: boolean;
}

/** The accounting as a page for a person. */
export function accountingPage({ lines, patients, words, summed, next }: Accounting): string {
  const shape = { records: patients.length > 1, summed };
  const sumHeads = summed ? ["How often", "Last", "What in all"] : [];
  const record = shape.records ? ["Record"] : [];
  const last = summed ? [] : ["Proof"];
  const head = ["When", "Who received it", "Why", "What", ...sumHeads, ...record, "Required by law", ...last];
  const heads = head.map((name) => `<th scope="col">${name}</th>`).join("");
  const rows = lines.map((line) => row(line, shape)).join("");
  const table =
    lines.length === 0
      ? "<p>Nothing is listed for this time.</p>"
      : `<table><caption>The disclosures, oldest first; times are UTC</caption><thead><tr>${heads}</tr></thead><tbody>${rows}</tbody></table>`;
  const paragraphs = words.map((sentence) => `<p>${escape(sentence)}</p>`).join("");
  const link = next === undefined ? "" : `<link rel="next" href="${escape(next)}">`;
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">${link}` +
    `<title>Accounting of disclosures</title><style>${style}</style></head><body><main><h1>Accounting of disclosures</h1>${paragraphs}${table}</main></body></html>`
  );
}

function row(
  { says, recipient, patient, standing, heldUntil, place, proof, sum }: AccountingEntry,
  { records, summed }: Shape,
): string {
  const who = [
    recipient.name,
    recipient.address,
    recipient.name === recipient.id ? undefined : recipient.id,
  ].filter((text) => text !== undefined);
  const dutyText =
    standingText(standing) +
    (heldUntil === undefined
      ? ""
      : `; suspended until ${heldUntil}: do not disclose it to the individual before then`);
  const when = new Date(says.at).toISOString();
  const sumCells = [String(sum?.number ?? 1), sum?.last ?? when, sum?.disclosed ?? countsText(says)];
  const cells = [
    who.join(", "),
    purposeText(says),
    countsText(says),
    ...(summed ? sumCells : []),
    ...(records ? [patient] : []),
    dutyText,
  ];
  const proven =
    proof === undefined
      ? "Not yet: ask again in a moment."
      : `<details><summary>Proof of ${escape(place)}</summary><code>${escape(Buffer.from(proof).toString("base64"))}</code></details>`;
  const cellsHtml = cells.map((text) => `<td>${escape(text)}</td>`).join("");
  return `<tr><th scope="row">${when}</th>${cellsHtml}${summed ? "" : `<td>${proven}</td>`}</tr>`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"']/gu, (sign) => entities[sign] ?? "");
