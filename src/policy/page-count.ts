// Entries of a page without `_count`, and the most entries of any page.
const countDefault = 100;
export const countMax = 1_000;

export const pageCount = (asked: number | undefined): number => Math.min(asked ?? countDefault, countMax);

// Entries of the origin's page: four times as many rows, since some may be hidden, and at least 100, so that
// the round trip pays.
export const originCount = (count: number): number => Math.min(Math.max(4 * count, 100), 1_000);
