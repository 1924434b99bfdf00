import { readFrame, type ListType, type SearchFrame } from "#fhir/bundle";
import { EntrySplitter, type AheadReader, type EntryAhead, type EntryBytes } from "#fhir/json/entry-splitter";
import type { OriginBody } from "#fhir/ports";
import { err, type Result } from "#kernel/result";
import type { RowNeeds } from "#policy/row-needs";

import { broken } from "./forward.ts";
import type { LackingRow, Resolving, RowsRefusal } from "./asking.ts";

// Limits for a page: hidden rows may make an answer short, but never the origin's work long.
const bytesMax = 33_554_432;
// the gateway asks for a thousand; each entry costs some microseconds, however short
const entriesMax = 10_000;
// Entries wait for their facts in parts of so many bytes.
const waitingBytesMax = 2_097_152;

/** The page itself is too long, and no answer to a question about its rows. */
export const pageTooLarge = { reason: "origin_answer_too_large" } as const;

/** Takes the entries of a page, in order. Each method is asked about an entry once, or again after a question. */
export interface EntryTaker<E, R extends object> {
  /** The facts to learn before the entry is taken. */
  readonly needs?: ((entry: E) => RowNeeds | undefined) | undefined;
  /** False: the order of the entries does not count now, and an entry that lacks nothing waits for none. */
  readonly isInOrder?: boolean;
  /**
   * A refusal ends the reading.
   *
   * @param isFollowed the request follows each resource to which the entry refers.
   */
  readonly take: (entry: E, isFollowed: boolean) => R | undefined;
}

/**
 * Reads a page of the origin to its end, entry by entry. An entry whose facts are not known waits for them, and each
 * later entry behind it.
 *
 * @param ahead see `EntrySplitter.read`.
 */
export async function readOriginPage<R extends object, A extends EntryAhead = never>(
  body: OriginBody,
  taker: EntryTaker<EntryBytes | A, R>,
  origin: Resolving,
  type: ListType = "searchset",
  ahead?: AheadReader<A>,
): Promise<Result<SearchFrame, RowsRefusal | R>> {
  const splitter = new EntrySplitter();
  let [bytes, count, waitingBytes] = [0, 0, 0];
  const waiting: WaitingEntry<EntryBytes | A>[] = [];
  const arrive = (entry: EntryBytes | A): R | undefined => {
    const needs = taker.needs?.(entry);
    if (needs === undefined && (waiting.length === 0 || taker.isInOrder === false))
      return taker.take(entry, true); // most entries
    waiting.push(waitingFor(entry, needs, taker));
    // Only of rows that nothing beside them hides: a hidden row must not decide when to ask.
    if (needs !== undefined && entry instanceof Uint8Array) waitingBytes += entry.length;
    return undefined;
  };
  const settle = (): Promise<R | RowsRefusal | undefined> => {
    waitingBytes = 0;
    return takeInTurn(waiting.splice(0), taker, origin);
  };
  for await (const chunk of body) {
    if (!chunk.ok) return err(broken(chunk.error));
    bytes += chunk.value.length;
    if (bytes > bytesMax) return err(pageTooLarge);
    const read = splitter.read<R | typeof pageTooLarge, A>(
      chunk.value,
      (entry) => {
        count += 1;
        return count > entriesMax ? pageTooLarge : arrive(entry);
      },
      ahead,
    );
    if (!read.ok) return err({ reason: `answer_${read.error.reason}` });
    const refusal = read.value ?? (waitingBytes > waitingBytesMax ? await settle() : undefined);
    if (refusal !== undefined) return err(refusal); // leaving the loop hangs up
  }
  const rest = splitter.end();
  const frame = rest.ok ? readFrame(rest.value, type) : rest;
  if (!frame.ok) return err({ reason: `answer_${frame.error.reason}` });
  const refusal = waiting.length === 0 ? undefined : await settle();
  return refusal === undefined ? frame : err(refusal);
}

interface WaitingEntry<E> extends LackingRow {
  readonly entry: E;
}

const waitingFor = <E>(entry: E, needs: RowNeeds | undefined, taker: Needing<E>): WaitingEntry<E> => ({
  entry,
  needs,
  again: () => taker.needs?.(entry),
});

type Needing<E> = Pick<EntryTaker<E, object>, "needs">;

export const waitingOf = <E>(entry: E, taker: Needing<E>): WaitingEntry<E> =>
  waitingFor(entry, taker.needs?.(entry), taker);

/** Takes entries in order, each once its facts are known. */
export async function takeInTurn<E, R extends object>(
  waiting: readonly WaitingEntry<E>[],
  taker: EntryTaker<E, R>,
  origin: Resolving,
): Promise<R | RowsRefusal | undefined> {
  if (waiting.length === 0) return undefined;
  const unfollowed = await origin.resolve(waiting);
  if (!unfollowed.ok) return unfollowed.error;
  for (const [index, { entry, needs }] of waiting.entries()) {
    // An entry before it may have begun the page, so that this one is judged after all.
    if (needs === undefined && taker.needs?.(entry) !== undefined)
      return takeInTurn(
        waiting.slice(index).map((each) => (each.needs === undefined ? waitingOf(each.entry, taker) : each)),
        taker,
        origin,
      );
    const refusal = taker.take(entry, !unfollowed.value.has(index));
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}
