import { readObject } from "#fhir/json/json";
import { err, ok, type Result } from "#kernel/result";
import type { HeldLease } from "#limits/row-lease";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import { versionIn } from "#gateway/change/plan/stored-row";

type Sent = Pick<SentPlan, "write">;

export type LeaseRefusal =
  /** Another write of the row is on its way. */
  | { readonly reason: "write_conflict"; readonly status: 409 }
  /** The row has another version than the version that was judged. */
  | { readonly reason: "write_precondition_failed"; readonly status: 412 }
  /** The row could not be read again, so that nothing was sent. */
  | { readonly reason: "row_not_read_again" };

/**
 * Sends writes of rows. At an origin with leased writes each of these rows is leased first and read again: a row
 * with another version than the judged version is not written. All writes of such an origin need the lease, since
 * a deletion there does not heed the version that an update makes.
 *
 * @param isSettled false if the origin may still do the write: the leases then end by themselves.
 */
export async function underLease<T, R>(
  plans: readonly Sent[],
  origin: OriginSession,
  send: () => Promise<Result<T, R>>,
  isSettled: (sent: Result<T, R>) => boolean,
): Promise<Result<T, R | LeaseRefusal>> {
  const rows = plans.filter(({ write }) => write.version !== undefined);
  if (rows.length === 0 || ((await origin.traits())?.leasedWrites?.size ?? 0) === 0) return send();
  const held: HeldLease[] = [];
  let mayRelease = true;
  try {
    // one order for all requests: two transactions never wait for each other
    for (const { write } of rows.toSorted((a, b) => (a.write.path < b.write.path ? -1 : 1))) {
      const lease = await origin.lease(write.path);
      if (lease === undefined) return err({ reason: "write_conflict", status: 409 });
      held.push(lease);
    }
    for (const { write } of rows) {
      const current = await versionNow(write.path, origin);
      if (!current.ok) return current;
      if (current.value !== write.version) return err({ reason: "write_precondition_failed", status: 412 });
    }
    if (!held.every((lease) => lease.lastsForWrite())) return err({ reason: "write_conflict", status: 409 });
    mayRelease = false;
    const sent = await send();
    mayRelease = isSettled(sent);
    return sent;
  } finally {
    if (mayRelease) await Promise.all(held.map((lease) => lease.release()));
  }
}

/** The version of a row as it is now. `undefined`: the row is absent, or has none. */
async function versionNow(
  path: string,
  origin: OriginSession,
): Promise<Result<string | undefined, LeaseRefusal>> {
  const read = await origin.read({ path, query: "" });
  if (!read.ok && read.error.reason === "absent") return ok(undefined);
  const row = read.ok ? readObject(read.value.body) : undefined;
  return row === undefined ? err({ reason: "row_not_read_again" }) : ok(versionIn(row));
}
