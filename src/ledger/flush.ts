import { type FrameRange, rangeText } from "#ledger/frame-copies";
import { fullTiles, TILE_WIDTH, tilePath } from "#ledger/tlog/tile";

/** How far a log, or a copy of it, extends: the number of frames and the leaves in them. */
export interface LogExtent {
  readonly frames: number;
  readonly size: number;
}

/** A create-only object of the bucket: a full bundle, a full tile, or frames `first` to `last` as copies. */
export type CopiedObject =
  | { readonly kind: "entries"; readonly index: number }
  | { readonly kind: "tile"; readonly level: number; readonly index: number }
  | ({ readonly kind: "frames" } & FrameRange);

/** How well the second copy keeps up. */
export type CopyHealth = "good" | "degraded" | "refusing";

export const emptyExtent: LogExtent = { frames: 0, size: 0 };

// A flush writes a single object of frames. The object and the frames it is joined from take 16 MiB of a
// Durable Object's 128 MiB.
export const FLUSH_BYTES_MAX = 8_388_608;
const DEGRADED_AFTER_MS = 120_000; // two flushes were missed
// After half an hour, the only copy of half an hour of records is in a single account's Durable Object. The
// limit leaves time to notice and repair an outage of R2.
const REFUSE_AFTER_MS = 1_800_000;
// A Durable Object stores 10 GB. The remaining space is for flushing and for the log's seal.
const DEGRADED_FROM_BYTES = 8_000_000_000;
const REFUSE_FROM_BYTES = 9_500_000_000;

/**
 * The end of the flush that begins with the first of these frames (in order): as many frames as fit an
 * object, at least one.
 */
export function flushEnd(
  frames: Iterable<{ readonly number: number; readonly size: number; readonly bytes: number }>,
): LogExtent | undefined {
  let [end, total]: [LogExtent | undefined, number] = [undefined, 0];
  for (const { number, size, bytes } of frames) {
    total += bytes;
    if (end !== undefined && total > FLUSH_BYTES_MAX) break;
    end = { frames: number + 1, size };
  }
  return end;
}

/**
 * All objects that a flush between two extents has to write. A pure function: a repeated flush writes the
 * same objects.
 */
export function objectsBetween(from: LogExtent, to: LogExtent): CopiedObject[] {
  const objects: CopiedObject[] = [{ kind: "frames", first: from.frames, last: to.frames - 1 }];
  for (let level = 0; fullTiles(level, to.size) > 0; level++) {
    for (let index = fullTiles(level, from.size); index < fullTiles(level, to.size); index++) {
      if (level === 0) objects.push({ kind: "entries", index });
      objects.push({ kind: "tile", level, index });
    }
  }
  return objects;
}

/** The key of an object. All keys stand below `log/`, the prefix that bucket locks are set on. */
export function objectKey(origin: string, object: CopiedObject): string {
  const prefix = `log/${origin}`;
  switch (object.kind) {
    case "entries":
      return `${prefix}/tile/entries/${tilePath(object.index, TILE_WIDTH)}`;
    case "tile":
      return `${prefix}/tile/${object.level}/${tilePath(object.index, TILE_WIDTH)}`;
    case "frames":
      return `${prefix}/frames/${rangeText(object)}`;
  }
}

/**
 * The key of a log's published checkpoint. The checkpoint is overwritten in place, so its key is outside the
 * locked prefix.
 */
export const checkpointKey = (origin: string): string => `checkpoint/${origin}`;

/**
 * `behindMs`: how long the oldest frame without a copy has waited. `storedBytes`: the size of the shard's
 * own storage.
 */
export function copyHealth(behindMs: number, storedBytes: number): CopyHealth {
  if (behindMs > REFUSE_AFTER_MS || storedBytes > REFUSE_FROM_BYTES) return "refusing";
  return behindMs > DEGRADED_AFTER_MS || storedBytes > DEGRADED_FROM_BYTES ? "degraded" : "good";
}
