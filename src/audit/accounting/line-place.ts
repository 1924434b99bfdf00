import { parseLogName } from "#ledger/log-name";

/** The position of a line in the ledger: no two lines have the same place. */
export interface LinePlace {
  readonly log: string;
  readonly index: number; // of the leaf
  readonly line: number;
}

/**
 * The total order of places: half-year, shard, leaf, line. A log only grows, so that a new line comes after
 * every older line of its log.
 */
export function comparePlaces(one: LinePlace, other: LinePlace): number {
  return compareLogs(one.log, other.log) || one.index - other.index || one.line - other.line;
}

/** Half-years in their order, and in each the shards by their numbers. */
export function compareLogs(one: string, other: string): number {
  const [first, second] = [nameOf(one), nameOf(other)];
  if (first.halfYear !== second.halfYear) return first.halfYear < second.halfYear ? -1 : 1;
  return first.shard - second.shard;
}

/** The last place before this one. */
export const before = ({ log, index, line }: LinePlace): LinePlace => ({ log, index, line: line - 1 });

/** `<log>/<leaf index>/<line number>`. */
export const placeText = ({ log, index, line }: LinePlace): string => `${log}/${index}/${line}`;

// The longest log name, leaf index and line number: the length of a place then reveals nothing about it.
const [logWidth, indexWidth, lineWidth] = [13, 16, 6] as const;

/** A place as text of constant length. */
export const writeLinePlace = ({ log, index, line }: LinePlace): string =>
  `${log.padEnd(logWidth)}/${String(index).padStart(indexWidth)}/${String(line).padStart(lineWidth)}`;

/** Reads a text of `writeLinePlace`; undefined for any text of a different form. */
export function readLinePlace(text: string): LinePlace | undefined {
  const [log = "", index = "", line = "", more] = text.split("/").map((part) => part.trim());
  const isPlace =
    more === undefined &&
    parseLogName(log) !== undefined &&
    /^\d{1,16}$/u.test(index) &&
    /^(?:-1|\d{1,6})$/u.test(line);
  return isPlace ? { log, index: Number(index), line: Number(line) } : undefined;
}

/** A log whose name this version does not know gets an arbitrary but constant position. */
const nameOf = (log: string) => parseLogName(log) ?? { halfYear: log, shard: 0 };
