import { FRAME_LEAF_BYTES_MAX, FRAME_LEAVES_MAX } from "#ledger/leaf/frame";
import { leafLength } from "#ledger/leaf/padding";
import { lineLengths } from "./accounting/line.ts";
import { define, definitionRecords } from "./definition.ts";
import type { AuditEvent } from "./event.ts";
import { encodeUnseeded } from "./record.ts";
import { recordsOf } from "./split.ts";

// A frame must also hold a shard-open leaf and a key-epoch leaf (16 auditors: about 7 KB each at most).
export const RECORDS_MAX = FRAME_LEAVES_MAX - 2;
export const APPEND_LEAF_BYTES_MAX = FRAME_LEAF_BYTES_MAX - 32_768;
/** The lines of a commit are one row; the row limit is 2 MB. */
export const LINE_BYTES_MAX = 1_400_000;
const LINE_OVERHEAD_BYTES = 8; // CBOR around a line
const RECORD_OVERHEAD_BYTES = 64;

/** The room that the accounting lines of a record take in the row of their commit. */
export const bytesOfLines = (lengths: readonly number[]): number =>
  lengths.reduce(
    (sum, length) => sum + length + LINE_OVERHEAD_BYTES,
    lengths.length === 0 ? 0 : RECORD_OVERHEAD_BYTES,
  );

/** The room that events take in an append. */
interface AppendSize {
  readonly records: number;
  readonly leafBytes: number;
  readonly lineBytes: number;
}

const nothing: AppendSize = { records: 0, leafBytes: 0, lineBytes: 0 };
const sum = (one: AppendSize, other: AppendSize): AppendSize => ({
  records: one.records + other.records,
  leafBytes: one.leafBytes + other.leafBytes,
  lineBytes: one.lineBytes + other.lineBytes,
});
const fits = ({ records, leafBytes, lineBytes }: AppendSize): boolean =>
  records <= RECORDS_MAX && leafBytes <= APPEND_LEAF_BYTES_MAX && lineBytes <= LINE_BYTES_MAX;

/**
 * Divides events into appends that each fit a frame of the ledger, in their order. An event that fits no frame by
 * itself is an append of its own, which the ledger refuses.
 */
export function inAppends(events: readonly AuditEvent[]): readonly (readonly AuditEvent[])[] {
  if (events.length < 2) return events.length === 0 ? [] : [events];
  const appends: AuditEvent[][] = [];
  let [size, lists]: [AppendSize, Set<readonly string[]>] = [nothing, new Set()];
  for (const event of events) {
    const own = sizeOf(event);
    const paths = event.withheld?.paths ?? [];
    const defined = sizeOfPaths(paths, event.at);
    const grown = sum(sum(size, own), lists.has(paths) ? nothing : defined);
    const last = appends.at(-1);
    if (last !== undefined && fits(grown)) {
      last.push(event);
      size = grown;
    } else {
      appends.push([event]);
      [size, lists] = [sum(own, defined), new Set()];
    }
    lists.add(paths);
  }
  return appends;
}

// Fewer names leave room for each list of paths.
const manyNames = 1_000;

/**
 * An event whose withheld paths fit an append beside its names: the first half of them, until they fit. The policy
 * digest names the view from which they come. The size counts what a row decides at its most, so a hidden row does not
 * decide which paths are named.
 */
export function withFittingPaths(event: AuditEvent): AuditEvent {
  const { patients, reserve, withheld, at } = event;
  const paths = withheld?.paths ?? [];
  const mayExceed = paths.length > 0 && patients.length + (reserve?.names ?? 0) > manyNames;
  if (!mayExceed || fits(sum(sizeOf(event), sizeOfPaths(paths, at)))) return event;
  const half = paths.slice(0, Math.floor(paths.length / 2));
  return withFittingPaths({ ...event, withheld: { ...withheld, paths: half } });
}

/** The room of an event: its records, with the list of withheld paths named by its digest, and its lines. */
function sizeOf(event: AuditEvent): AppendSize {
  const { paths, ...withheld } = event.withheld ?? {};
  const pathsDigest = paths === undefined || paths.length === 0 ? undefined : "0".repeat(64);
  const records = recordsOf(
    event.withheld === undefined ? event : { ...event, withheld: { ...withheld, pathsDigest } },
  );
  if (!records.ok) return { ...nothing, records: Infinity };
  return records.value.map(sizeOfRecord).reduce(sum, nothing);
}

const sizeOfRecord = ({
  event,
  plaintext,
}: {
  readonly event: AuditEvent;
  readonly plaintext: Uint8Array;
}): AppendSize => ({
  records: 1,
  leafBytes: leafLength(plaintext.length),
  lineBytes: bytesOfLines(lineLengths(event)),
});

const sizesOfPaths = new WeakMap<readonly string[], AppendSize>();

/** The room of the definition that a log may lack. */
function sizeOfPaths(paths: readonly string[], at: AuditEvent["at"]): AppendSize {
  if (paths.length === 0) return nothing;
  let size = sizesOfPaths.get(paths);
  if (size === undefined) {
    const definition = define({ type: "withheld-paths", value: paths });
    const chunks = definitionRecords(definition, at);
    size = chunks
      .map((event, index) => {
        const { plaintext } = encodeUnseeded(event, index + 1, chunks.length);
        return sizeOfRecord({ event, plaintext });
      })
      .reduce(sum, nothing);
    sizesOfPaths.set(paths, size);
  }
  return size;
}
