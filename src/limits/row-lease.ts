import { instant, type Instant } from "#kernel/clock";

/** The lease of a row: for a short time a single write of it is on its way. */
export interface RowLease {
  readonly holder: string;
  readonly until: Instant;
}

// A read and a write with the ten seconds that an origin has for each, twice if it wants a new token.
export const leaseMilliseconds = 45_000;

/**
 * The lease after a call for it, or `undefined` if a further holder has it. A clock that jumped back extends no
 * lease beyond its time.
 */
export function takeLease(known: RowLease | undefined, holder: string, at: Instant): RowLease | undefined {
  const isTaken =
    known !== undefined &&
    known.holder !== holder &&
    at < known.until &&
    known.until - at <= leaseMilliseconds;
  return isTaken ? undefined : { holder, until: instant(at + leaseMilliseconds) };
}

/** A taken lease, in the isolate that has it. */
export interface HeldLease {
  /** True if there is time to send a write and to wait for its answer. */
  lastsForWrite(): boolean;
  release(): Promise<void>;
}

/**
 * Leases of rows at origins that do not honour `If-Match`: of all writes that come through the gateway a single
 * write of a row is on its way at a time. Throws when the lease's object cannot be reached.
 */
export interface RowLeases {
  /** `undefined`: another write has the row for longer than a request waits. */
  take(origin: string, path: string): Promise<HeldLease | undefined>;
}
