import { and, desc, eq, isNull, sql } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { reviews } from "#platform/registry/schema";

export type ReviewRow = typeof reviews.$inferSelect;
type ReviewFinding = NonNullable<ReviewRow["finding"]>;
export type OpenedReview = Omit<ReviewRow, "closedAt" | "closedBy" | "finding" | "until"> & {
  /** The emergency ends then. */
  readonly until: Instant;
};

const listedMax = 1_000;

/**
 * Opens a review; a repeated call changes nothing but a later end of the emergency. False for a review that
 * is closed: no use may come after it.
 */
export async function insertReview(registry: RegistrySql, review: OpenedReview): Promise<boolean> {
  const open = await drizzled(registry)
    .insert(reviews)
    .values(review)
    .onConflictDoUpdate({
      target: reviews.id,
      set: { until: sql`max(coalesce(${reviews.until}, 0), excluded.until)` },
      setWhere: isNull(reviews.closedAt),
    })
    .returning({ id: reviews.id });
  return open.length > 0;
}

/** The open reviews, or all, the newest first. At most 1,000. */
export const listReviews = (registry: RegistrySql, onlyOpen: boolean): Promise<readonly ReviewRow[]> =>
  drizzled(registry)
    .select()
    .from(reviews)
    .where(onlyOpen ? isNull(reviews.closedAt) : undefined)
    .orderBy(desc(reviews.openedAt))
    .limit(listedMax);

/** Closes an open review whose emergency has ended. Undefined: there is no open review of that id. */
export async function closeReview(
  registry: RegistrySql,
  id: string,
  closing: { readonly closedAt: Instant; readonly closedBy: string; readonly finding: ReviewFinding },
): Promise<"closed" | "not_ended" | undefined> {
  const isOpen = and(eq(reviews.id, id), isNull(reviews.closedAt));
  const db = drizzled(registry);
  const closed = await db
    .update(reviews)
    .set(closing)
    .where(and(isOpen, sql`coalesce(${reviews.until}, 0) <= ${closing.closedAt}`))
    .returning({ id: reviews.id });
  if (closed.length > 0) return "closed";
  const open = await db.select({ id: reviews.id }).from(reviews).where(isOpen);
  return open.length > 0 ? "not_ended" : undefined;
}
