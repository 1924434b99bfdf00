// Of a page: what a client gets that does not say, and the most that it gets.
const countDefault = 100;
export const countMax = 1_000;

export const pageCount = (asked: number | undefined): number => Math.min(asked ?? countDefault, countMax);

// Of the origin's page: four times as many rows, since some may be hidden, and never so few that a round trip
// is not worth it.
export const originCount = (count: number): number => Math.min(Math.max(4 * count, 100), 1_000);
