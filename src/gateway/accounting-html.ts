import { toBase64 } from "#ledger/base64";
import { utf8 } from "#ledger/bytes";
import { sha256 } from "#ledger/hash";
import { countsText, purposeText, standingText, type Accounting, type ToldLine } from "./accounting-told.ts";

const style =
  "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#111;background:#fff}" +
  "table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid #999;padding:.5rem;text-align:left;vertical-align:top}" +
  "code{display:block;max-height:8rem;overflow:auto;word-break:break-all;font-size:.75rem}";

/** No script, no other resource, no frame, no form: only the style that is in the page, by its hash. */
export const pagePolicy =
  `default-src 'none'; style-src 'sha256-${toBase64(sha256(utf8(style)))}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The accounting as a page for a person. */
export function accountingPage({ lines, words }: Accounting): string {
  const head = ["When", "Who received it", "Why", "What", "The law asks for this line", "Proof"].map(
    (name) => `<th scope="col">${name}</th>`,
  );
  const table =
    lines.length === 0
      ? "<p>Nothing is listed for this time.</p>"
      : `<table><thead><tr>${head.join("")}</tr></thead><tbody>${lines.map(row).join("")}</tbody></table>`;
  const said = words.map((sentence) => `<p>${escape(sentence)}</p>`).join("");
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">` +
    `<title>Accounting of disclosures</title><style>${style}</style></head><body><main><h1>Accounting of disclosures</h1>${said}${table}</main></body></html>`
  );
}

function row({ says, recipient, standing, place, proof }: ToldLine): string {
  const who = [recipient.name, recipient.address, recipient.name === recipient.id ? undefined : recipient.id].filter(
    (text) => text !== undefined,
  );
  const proven =
    proof === undefined
      ? "Not yet: ask again in a moment."
      : `<details><summary>${escape(place)}</summary><code>${escape(Buffer.from(proof).toString("base64"))}</code></details>`;
  const cells = [new Date(says.at).toISOString(), who.join(", "), purposeText(says), countsText(says), standingText(standing)];
  return `<tr>${cells.map((text) => `<td>${escape(text)}</td>`).join("")}<td>${proven}</td></tr>`;
}

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text: string): string => text.replaceAll(/[&<>"']/gu, (sign) => entities[sign] ?? "");
