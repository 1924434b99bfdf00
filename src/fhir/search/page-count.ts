// Entries of a page without `_count`, and the most entries of any page.
const countDefault = 100;
export const countMax = 1_000;

/** Rows of the longest page that is asked for in place of a paging link: a page of the origin has 32 MiB at most. */
export const grownMax = 4_096;

export const pageCount = (requested: number | undefined): number =>
  Math.min(requested ?? countDefault, countMax);

// The fewest entries of the origin's page, so that the round trip pays.
const originCountMin = 10;

/**
 * Entries of the origin's page: as many as the client's page. A page reads the origin page on which it begins
 * and one further entry, to know whether a page follows; a longer origin page would be read again for each of
 * the client's pages.
 */
export const originCount = (count: number): number => Math.min(Math.max(count, originCountMin), countMax);

/** The `_count` of an encoded query. */
export function countIn(query: string): number | undefined {
  const count = /(?:^|&)_count=(\d+)(?=&|$)/u.exec(query)?.[1];
  return count === undefined ? undefined : Number(count);
}

/** The query for pages of another length. */
export const withCount = (query: string, count: number): string =>
  query.replace(/(^|&)_count=\d+(?=&|$)/u, `$1_count=${count}`);
