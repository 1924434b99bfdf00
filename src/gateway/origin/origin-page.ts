import { readFrame, type BundleRefusal, type ListType, type SearchFrame } from "#fhir/bundle";
import { EntrySplitter, type AheadReader, type EntryAhead, type EntryBytes } from "#fhir/json/entry-splitter";
import type { OriginBody } from "#fhir/ports";
import { err, type Result } from "#kernel/result";
import { broken, type OriginRefusal } from "./forward.ts";

export type OriginPageRefusal = OriginRefusal | { readonly reason: `answer_${BundleRefusal["reason"]}` };

// Limits for a page: hidden rows may make an answer short, but never the origin's work long.
const bytesMax = 33_554_432;
// the gateway asks for a thousand; each entry costs some microseconds, however short
const entriesMax = 10_000;

const tooLarge = { reason: "origin_answer_too_large" } as const;

/**
 * Reads a page of the origin to its end, entry by entry. A refusal that `take` returns ends the reading.
 *
 * @param ahead see `EntrySplitter.read`.
 */
export async function readOriginPage<R extends object, A extends EntryAhead = never>(
  body: OriginBody,
  take: (entry: EntryBytes | A) => R | undefined,
  type: ListType = "searchset",
  ahead?: AheadReader<A>,
): Promise<Result<SearchFrame, OriginPageRefusal | R>> {
  const splitter = new EntrySplitter();
  let [bytes, count] = [0, 0];
  for await (const chunk of body) {
    if (!chunk.ok) return err(broken(chunk.error));
    bytes += chunk.value.length;
    if (bytes > bytesMax) return err(tooLarge);
    const read = splitter.read<R | typeof tooLarge, A>(
      chunk.value,
      (entry) => {
        count += 1;
        return count > entriesMax ? tooLarge : take(entry);
      },
      ahead,
    );
    if (!read.ok) return err({ reason: `answer_${read.error.reason}` });
    if (read.value !== undefined) return err(read.value); // leaving the loop hangs up
  }
  const rest = splitter.end();
  const frame = rest.ok ? readFrame(rest.value, type) : rest;
  return frame.ok ? frame : err({ reason: `answer_${frame.error.reason}` });
}
