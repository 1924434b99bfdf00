import { isLoopback } from "./loopback.ts";
import type { FhirQuestion, OriginQuestion } from "./ports.ts";
import { countIn, withCount } from "./search/page-count.ts";
import { baseNames, type FhirBase } from "#fhir/r4/reference";

/**
 * The part of a paging link below the FHIR base that gave it: `?_getpages=…`, `/Observation?page=2`.
 * Undefined for a link that leads outside the base: an origin could send the question, and its credential,
 * to any place. Below a second name of the base the link means the same page, which is requested below the
 * first name.
 * @param base FHIR base of the origin; a relative link is read below each name in turn.
 */
export function linkBelow(base: FhirBase, link: string): string | undefined {
  const homes = baseNames(base).map((name) => new URL(name));
  return homes
    .map((home) => placeBelow(homes, URL.parse(link, `${home.href.replace(/\/$/u, "")}/`)))
    .find((place) => place !== undefined);
}

function placeBelow(homes: readonly URL[], url: URL | null): string | undefined {
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  // Some servers decode before they resolve `..`: for them `/fhir/..%2fadmin` is above the base.
  if (/%2f|%5c|%2e/iu.test(url.pathname)) return undefined;
  // A base ends at the end of a path segment: `/fhir` is no prefix of `/fhir2`. The longest base wins:
  // `/fhir/r4` may be a second name next to `/fhir`.
  const paths = homes
    .filter((home) => isSamePlace(url, home))
    .map(({ pathname }) => pathname.replace(/\/$/u, ""))
    .toSorted((a, b) => b.length - a.length);
  const path = paths.find((path) => url.pathname === path || url.pathname.startsWith(`${path}/`));
  return path === undefined ? undefined : url.pathname.slice(path.length) + url.search;
}

/**
 * True for the same host under any of its names: a local server that was called as `127.0.0.1` may call
 * itself `localhost`.
 */
function isSamePlace(url: URL, home: URL): boolean {
  const isSameHost =
    url.hostname === home.hostname || (isLoopback(url.hostname) && isLoopback(home.hostname));
  return url.protocol === home.protocol && isSameHost && url.port === home.port;
}

/**
 * The paging link with another number of rows, from the same row on; undefined unless the link says by itself that its
 * place is a number of rows. It does if a parameter that the question lacks is the number of rows before it
 * (`_getpagesoffset=20&_count=10`, `_offset=20`): the number of a page, or a cursor, could mean a different row
 * when `_count` changes.
 * @param before rows of the list on the earlier pages; @param question the query that began the list.
 */
export function resized(
  link: string,
  before: number,
  question: string,
  rowsOf: (count: number) => number,
): string | undefined {
  const [counted, ...further] = link.matchAll(/[?&]_count=([^&]*)/gu);
  const count = Number(counted?.[1]);
  const places = link.split(/[?&]/u).filter((part) => {
    const name = part.slice(0, part.indexOf("=") + 1);
    return part === `${name}${before}` && !`&${question}`.includes(`&${name}`);
  });
  const rows = rowsOf(count);
  return further.length === 0 && places.length === 1 && count > 0 && rows !== count
    ? link.replace(/(?<=[?&]_count=)[^&]*/u, String(rows))
    : undefined;
}

// Not in a link of an origin: a fragment is never sent.
const grownMark = "#_count=";

/** The place of a list without paging links: the question of its first page again, for more rows. */
export const grownLink = (count: number): string => `${grownMark}${count}`;

/** The question for a page: the first page, the same for more rows, or a link of the origin. */
export function pageAt(first: FhirQuestion, link: string | undefined): OriginQuestion {
  if (link === undefined) return first;
  return link.startsWith(grownMark)
    ? { ...first, query: withCount(first.query, Number(link.slice(grownMark.length))) }
    : { link };
}

/**
 * The question for a shorter page, after an answer that was too long. Undefined: its length can not be changed.
 *
 * @param before the rows of the pages before it. @param read the rows of the answer that were read.
 */
export function shorterPage(
  first: FhirQuestion,
  asked: OriginQuestion,
  { before, read }: { readonly before: number; readonly read: number },
): OriginQuestion | undefined {
  const rows = Math.floor(read / 2);
  if (rows === 0) return undefined;
  if ("link" in asked) {
    const link = resized(asked.link, before, first.query, (count) => Math.min(count, rows));
    return link === undefined ? undefined : { link };
  }
  const count = countIn(asked.query) ?? 0;
  return count > rows ? { ...first, query: withCount(asked.query, rows) } : undefined;
}
