import { countsText, type Accounting, type AccountingEntry } from "#audit/accounting/compose";
import type { PublicLedger } from "#audit/accounting/facts";
import { utf8 } from "#kernel/encoded";
import { toBase64 } from "#ledger/bytes/base64";
import { sha256 } from "#ledger/bytes/hash";
import { checkScript } from "./check-script.gen.ts";
import { countsInWords, shownFacts } from "./shown.ts";
import { pageStyle } from "./style.ts";
import { wallTime } from "#kernel/wall-time";
import type { PageTexts } from "./english.ts";

/**
 * Permits no resource, frame or form: only the style in the page, by its hash, and the script that checks the
 * page, by its address, where the operator named the public ledger.
 */
export const pagePolicy = (facts: Pick<PageFacts, "ledger">): string =>
  `${contentPolicy(facts)}; frame-ancestors 'none'`;

/** The part of the policy that holds in a saved page too: a file has no header. */
const contentPolicy = ({ ledger }: Pick<PageFacts, "ledger">): string =>
  `default-src 'none'; style-src 'sha256-${toBase64(sha256(utf8(pageStyle)))}'; ` +
  (ledger === undefined ? "" : `script-src ${scriptUrl(ledger)}; `) +
  "base-uri 'none'; form-action 'none'";

const scriptUrl = ({ url }: PublicLedger): string => `${url}/${checkScript.path}`;

/** Facts of the page that are not in the accounting. */
export interface PageFacts {
  /** The individual, as far as the reader's policy shows the record. */
  readonly person: { readonly name: string | undefined; readonly birthDate: string | undefined } | undefined;
  /** The entity that makes the accounting. */
  readonly maker: { readonly name: string; readonly contact?: string | undefined } | undefined;
  readonly ledger: PublicLedger | undefined;
  /** ms since 1970: when the page is made. */
  readonly at: number;
  /** An IANA time zone: the page writes times as clocks there show them. */
  readonly zone: string;
}

/** The accounting as a page for a person. */
export function accountingPage(accounting: Accounting, facts: PageFacts, texts: PageTexts): string {
  const next = accounting.next === undefined ? "" : `<link rel="next" href="${escape(accounting.next)}">`;
  return (
    `<!doctype html><html lang="${texts.language}"><head><meta charset="utf-8">` +
    `<meta name="viewport" content="width=device-width,initial-scale=1">` +
    `<meta http-equiv="content-security-policy" content="${escape(contentPolicy(facts))}">${next}` +
    `<title>${escape(texts.title)}</title><style>${pageStyle}</style>${script(accounting, facts)}</head>` +
    `<body><main data-accounting-page data-zone="${escape(facts.zone)}"${rootKey(facts)}>` +
    `<h1>${escape(texts.title)}</h1><p>${escape(texts.lead)}</p>` +
    `${about(accounting, facts, texts)}${notes(accounting, texts)}${table(accounting, facts.zone, texts)}` +
    `${explanations(accounting, facts, texts)}</main></body></html>`
  );
}

/** The page reads the same without the script. `integrity`: the ledger's host cannot change the script. */
const script = ({ summed }: Accounting, { ledger }: PageFacts): string =>
  ledger === undefined || summed
    ? ""
    : `<script type="module" src="${escape(scriptUrl(ledger))}" integrity="${checkScript.integrity}" crossorigin="anonymous"></script>`;

const rootKey = ({ ledger }: PageFacts): string =>
  ledger === undefined ? "" : ` data-root-key="${escape(ledger.key)}"`;

/** The person, the period, and the maker with the time. */
function about(accounting: Accounting, { person, maker, at, zone }: PageFacts, texts: PageTexts): string {
  const dateTime = (time: number) => texts.dateTime(wallTime(time, zone));
  // a day of the request is a day, whatever the zone; a time is shown as the zone's clocks show it
  const bound = (text: string) => dayInWords(text, texts) ?? dateTime(Date.parse(text));
  const known =
    person === undefined
      ? ""
      : texts.person.known(
          person.name,
          person.birthDate === undefined
            ? undefined
            : (dayInWords(person.birthDate, texts) ?? person.birthDate),
        );
  const facts: readonly (readonly [label: string, text: string])[] = [
    [texts.person.label, known || texts.person.unknown],
    [texts.person.records, accounting.patients.join(", ")],
    [texts.period.label, texts.period.fromTo(bound(accounting.from), bound(accounting.to))],
    [texts.maker.label, [maker?.name ?? texts.maker.unknown, maker?.contact].filter(isText).join(", ")],
    [texts.maker.made, `${dateTime(at)}, ${texts.zone(zone)}`],
  ];
  return `<dl>${facts.map(([label, text]) => fact(label, text)).join("")}</dl>`;
}

function notes(
  { all, isFirst, next, summed, isWhole, lines, research }: Accounting,
  texts: PageTexts,
): string {
  const sentences = [
    all ? texts.notes.all : texts.notes.requiredOnly,
    ...(isFirst ? [] : [texts.notes.further]),
    ...(isFirst && next !== undefined ? [texts.notes.first] : []),
    ...(summed ? [texts.notes.summed] : []),
    ...(isWhole ? [] : [texts.notes.links]),
    ...(lines.some(({ heldUntil }) => heldUntil !== undefined) ? [texts.notes.suspensions] : []),
    ...(lines.some(({ consents }) => consents.length > 0) ? [texts.notes.consents] : []),
  ];
  const studies =
    research.length === 0 ? "" : `<h2>${escape(texts.research)}</h2>${research.map(paragraph).join("")}`;
  return `${sentences.map(paragraph).join("")}${studies}`;
}

interface Column {
  readonly head: string;
  /** In HTML. */
  readonly cell: (line: AccountingEntry) => string;
}

/** The columns after the time. */
function columnsOf({ patients, summed }: Accounting, zone: string, texts: PageTexts): readonly Column[] {
  const { heads } = texts;
  const text = (head: string, cell: (line: AccountingEntry) => string): Column => ({
    head,
    cell: (line) => escape(cell(line)),
  });
  const lastOf = ({ sum, says }: AccountingEntry) => (sum === undefined ? says.at : Date.parse(sum.last));
  return [
    text(heads.who, ({ recipient }) => [recipient.name, recipient.address].filter(isText).join(", ")),
    text(heads.why, ({ says }) => shownFacts(says, zone, texts).why),
    text(heads.what, ({ says }) => countsInWords(says, texts)),
    ...(summed
      ? [
          text(heads.number, ({ sum }) => String(sum?.number ?? 1)),
          text(heads.last, (line) => texts.dateTime(wallTime(lastOf(line), zone))),
          text(heads.sum, ({ sum, says }) => countsInWords(sum ?? says, texts)),
        ]
      : []),
    ...(patients.length > 1 ? [text(heads.record, ({ patient }) => patient)] : []),
    {
      head: heads.more,
      cell: (line) =>
        suspension(line, zone, texts) + permitted(line, zone, texts) + details(line, summed, texts),
    },
  ];
}

function table(accounting: Accounting, zone: string, texts: PageTexts): string {
  if (accounting.lines.length === 0) return paragraph(texts.nothing);
  const columns = columnsOf(accounting, zone, texts);
  const heads = [texts.heads.when, ...columns.map(({ head }) => head)]
    .map((head) => `<th scope="col" role="columnheader">${escape(head)}</th>`)
    .join("");
  const rows = accounting.lines.map((line) => row(line, columns, zone, texts)).join("");
  return (
    // a phone shows each row as a card: the roles keep the table a table for a screen reader
    `<table role="table"><caption>${escape(texts.caption(texts.zone(zone)))}</caption>` +
    `<thead role="rowgroup"><tr role="row">${heads}</tr></thead><tbody role="rowgroup">${rows}</tbody></table>`
  );
}

function row(line: AccountingEntry, columns: readonly Column[], zone: string, texts: PageTexts): string {
  const cells = columns
    .map(({ head, cell }) => `<td role="cell" data-head="${escape(head)}">${cell(line)}</td>`)
    .join("");
  const { when } = shownFacts(line.says, zone, texts);
  const exact = new Date(line.says.at).toISOString();
  return `<tr role="row"><th scope="row" role="rowheader"><time datetime="${exact}">${escape(when)}</time></th>${cells}</tr>`;
}

/** The suspension is not folded: the officer must not overlook it. */
const suspension = ({ heldUntil }: AccountingEntry, zone: string, texts: PageTexts): string =>
  heldUntil === undefined
    ? ""
    : `<strong>${escape(texts.suspended(texts.dateTime(wallTime(Date.parse(heldUntil), zone))))}</strong>`;

/** The Consents are not folded: the individual gave them. */
const permitted = ({ consents }: AccountingEntry, zone: string, texts: PageTexts): string =>
  consents
    .map(({ given, filedAt, purposes }) => {
      const dateTime = (time: number) => texts.dateTime(wallTime(time, zone));
      const at = given?.includes("T") === true ? dateTime(Date.parse(given)) : given;
      const when = at === undefined ? undefined : (dayInWords(at, texts) ?? at);
      return paragraph(texts.consent(when, dateTime(filedAt), purposes.map(texts.purpose)));
    })
    .join("");

/** The facts for a lawyer, an auditor and the check. They are folded, because few readers need them. */
function details(line: AccountingEntry, summed: boolean, texts: PageTexts): string {
  const { says, recipient, standing, place, proof, consents } = line;
  const words = texts.details;
  const law = standing.required ? texts.required : texts.excluded(standing.clause);
  const facts = [
    fact(words.time, new Date(says.at).toISOString()),
    fact(words.recipient, recipient.id),
    fact(words.purposes, says.purposes.join(" ")),
    ...(says.agreement === undefined ? [] : [fact(words.agreement, says.agreement)]),
    fact(words.resources, countsText(says)),
    fact(words.law, law),
    fact(words.place, place),
    ...consents.map(({ digest }) => fact(words.consent, digest)),
  ].join("");
  const proven = proof === undefined ? escape(words.unproven) : `<code>${toBase64(utf8(proof))}</code>`;
  const proofFact = summed ? "" : `<dt>${escape(words.proof)}</dt><dd>${proven}</dd>`;
  return `<details><summary>${escape(summed ? words.openSummed : words.open)}</summary><dl>${facts}${proofFact}</dl></details>`;
}

function explanations({ summed }: Accounting, { ledger }: PageFacts, { proofs, check }: PageTexts): string {
  if (summed) return "";
  const inBrowser =
    ledger === undefined
      ? ""
      : `<section data-check><h2>${escape(check.inBrowser.title)}</h2>${check.inBrowser.sentences(ledger.key).map(paragraph).join("")}</section>`;
  return (
    inBrowser +
    [proofs, check]
      .map(({ title, sentences }) => `<h2>${escape(title)}</h2>${sentences.map(paragraph).join("")}`)
      .join("")
  );
}

/** A day of FHIR in words; undefined for a text that is not a whole day. */
function dayInWords(text: string, texts: PageTexts): string | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/u.exec(text) ?? [];
  return year === undefined
    ? undefined
    : texts.date({ year: Number(year), month: Number(month), day: Number(day) });
}

const paragraph = (sentence: string): string => `<p>${escape(sentence)}</p>`;
const fact = (label: string, text: string): string => `<dt>${escape(label)}</dt><dd>${escape(text)}</dd>`;
const isText = (text: string | undefined): text is string => text !== undefined;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escape = (text: string): string => text.replaceAll(/[&<>"']/gu, (sign) => entities[sign] ?? "");
