import { isPlainObject } from "#kernel/plain-object";
import { Misuse } from "../misuse.ts";
import { countsText, nextPage, sumsSentence } from "#audit/accounting/compose";
import type { AccountingLine } from "#audit/accounting/line";
import { english } from "#audit/accounting/page/english";
import { isShownAsProven } from "#audit/accounting/page/shown";
import { isZone } from "#kernel/wall-time";

/**
 * A line as an accounting shows it, in any of the three forms. The proof, in base64, is not part of the text
 * shown.
 */
export interface ShownLine {
  readonly shown: string;
  /** Answers whether the types, the counts and the words shown are these that a proven line says. */
  readonly tells: (says: AccountingLine) => boolean;
  readonly proof: string | undefined;
}

/** One page of an accounting. It may be the whole accounting. */
export interface ShownPage {
  readonly lines: readonly ShownLine[];
  /** The entries are sums, which have no proofs. */
  readonly isSummed: boolean;
  /** Another page follows. */
  readonly isFollowed: boolean;
}

/**
 * Parses a saved accounting. Throws a Misuse for any other file, because "no line is wrong" must not be
 * printed for it.
 */
export function accountingShown(bytes: Uint8Array): ShownPage {
  const text = new TextDecoder().decode(bytes); // without the byte order mark of a spreadsheet
  const isSummed = text.includes(sumsSentence) || text.includes(english.notes.summed);
  const page = text.startsWith("{")
    ? inBundle(text)
    : text.startsWith("<!doctype html>")
      ? inPage(text)
      : inTable(text);
  if (page === undefined && !isSummed)
    throw new Misuse(
      "not an accounting of disclosures, or changed since the gateway answered: save the answer again, unedited",
    );
  return { lines: [], isFollowed: false, ...page, isSummed };
}

type Read = Pick<ShownPage, "lines" | "isFollowed"> | undefined;

function inBundle(text: string): Read {
  const bundle = asJson(text);
  if (!isPlainObject(bundle) || bundle["type"] !== "searchset" || !Array.isArray(bundle["entry"]))
    return undefined;
  const resources = recordsIn(bundle["entry"]).flatMap(({ resource }) =>
    isPlainObject(resource) ? [resource] : [],
  );
  const isFollowed = recordsIn(bundle["link"]).some(({ relation }) => relation === "next");
  return {
    lines: resources.filter(({ resourceType }) => resourceType === "AuditEvent").map(ofEvent),
    isFollowed,
  };
}

function ofEvent(event: Record<string, unknown>): ShownLine {
  const details = recordsIn(event["entity"]).flatMap((entity) => recordsIn(entity["detail"]));
  const detail = (type: string) => details.find((candidate) => candidate["type"] === type) ?? {};
  const [proof, disclosed] = [detail("proof")["valueBase64Binary"], detail("disclosed")["valueString"]];
  const shown = JSON.stringify(event, (_, value: unknown) => (value === proof ? undefined : value));
  return {
    shown,
    tells: (says) => disclosed === countsText(says),
    proof: typeof proof === "string" ? proof : undefined,
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the parser's message would show the content
  }
}

const recordsIn = (value: unknown): readonly Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isPlainObject) : [];

const text = "[^<]*";
const cell = (content: string): string => `<td role="cell" data-head="[^"<]*">${content}</td>`;
const fact = (value: string): string => `<dt>${text}</dt><dd>${value}</dd>`;
const pageRow = new RegExp(
  `^ role="row"><th scope="row" role="rowheader"><time datetime="[^"<]*">(?<when>${text})</time></th>` +
    `${cell(text)}${cell(`(?<why>${text})`)}${cell(`(?<what>${text})`)}(?:${cell(text)})?` +
    cell(
      `(?:<strong>${text}</strong>)?(?:<p>The consent ${text}</p>)*<details><summary>${text}</summary><dl>` +
        `(?<facts>(?:${fact(text)})+)` +
        `<dt>${text}</dt><dd>(?:${text}|<code>(?<proof>[A-Za-z0-9+/=]+)</code>)</dd></dl></details>`,
    ) +
    "</tr>$",
  "u",
);

/**
 * A row of a different form could show content that this parser never checks, so the whole page is rejected.
 */
function inPage(page: string): Read {
  const zone = /<main data-accounting-page data-zone="(?<zone>[^"]*)">/u.exec(page)?.groups?.["zone"];
  if (zone === undefined || !isZone(zone)) return undefined;
  const [, ...rows] = (/<tbody role="rowgroup">(.*)<\/tbody>/su.exec(page)?.[1] ?? "").split("<tr");
  const matches = rows.map((row) => pageRow.exec(row)?.groups);
  const isOurs =
    matches.every((match) => match !== undefined) &&
    page.split("<tr").length - 1 === (rows.length === 0 ? 0 : rows.length + 1);
  if (!isOurs) return undefined;
  const lines = matches.map((match, at) => ({
    shown: plain(rows[at]?.replace(match?.["proof"] ?? "", "") ?? ""),
    tells: (says: AccountingLine) => {
      const cell = (name: string) => plain(match?.[name] ?? "");
      const details = [...(match?.["facts"] ?? "").matchAll(/<dd>([^<]*)<\/dd>/gu)].map(([, fact = ""]) =>
        plain(fact),
      );
      const shown = { when: cell("when"), why: cell("why"), what: cell("what"), details };
      return isShownAsProven(shown, says, zone, english);
    },
    proof: match?.["proof"],
  }));
  return { lines, isFollowed: page.includes('<link rel="next" href="') };
}

/** Text of the page without its entities. */
const plain = (html: string): string =>
  html.replaceAll(/&(?:lt|gt|quot|#39|amp);/gu, (entity) => signs[entity] ?? "");
const signs: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#39;": "'",
  "&amp;": "&",
};

function inTable(text: string): Read {
  const [head = [], ...rows] = cellsOf(text);
  const [disclosedAt, proofAt] = [head.indexOf("disclosed"), head.indexOf("proof")];
  if (head[0] !== "time" || disclosedAt < 0 || proofAt < 0) return undefined;
  // a note fills its row alone
  const isWords = (cells: readonly string[]) => cells.slice(1).every((cell) => cell === "");
  const lines = rows
    .filter((cells) => !isWords(cells))
    .map((cells) => ({
      shown: cells.filter((_, at) => at !== proofAt).join("\n"),
      tells: (says: AccountingLine) => cells[disclosedAt] === countsText(says),
      proof: cells[proofAt] || undefined,
    }));
  return { lines, isFollowed: rows.some((cells) => isWords(cells) && cells[0]?.startsWith(nextPage)) };
}

/**
 * Parses RFC 4180, also with line ends that a spreadsheet changed. Returns no rows when the text is not a CSV
 * table to its end.
 */
function cellsOf(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [[]];
  let read = 0;
  for (const [cell, quoted, plain = "", end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/guy,
  )) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    read += cell.length;
    if (end === "") break;
    if (end !== ",") rows.push([]);
  }
  return read === text.length ? rows : [];
}
