import { and, desc, eq, isNotNull, isNull, sql } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { reviews } from "#platform/registry/schema";
import { reviewsPageMax } from "#registry/review-document";

export type ReviewRow = typeof reviews.$inferSelect;
type ReviewFinding = NonNullable<ReviewRow["finding"]>;
export type OpenedReview = Omit<ReviewRow, "closedAt" | "closedBy" | "finding" | "until" | "note"> & {
  /** The emergency ends then. */
  readonly until: Instant;
};

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

const isInState = {
  open: isNull(reviews.closedAt),
  closed: isNotNull(reviews.closedAt),
  all: undefined,
} as const;

/**
 * A page of reviews, the newest first. `after`: the last review of the page before. That review may be closed
 * meanwhile: its place in the list stays.
 */
export const listReviews = (
  registry: RegistrySql,
  state: keyof typeof isInState,
  after: string | undefined,
): Promise<readonly ReviewRow[]> => {
  const db = drizzled(registry);
  const isOlder =
    after === undefined
      ? undefined
      : sql`(${reviews.openedAt}, ${reviews.id}) <
          (SELECT last.opened_at, last.id FROM ${reviews} AS last WHERE last.id = ${after})`;
  return db
    .select()
    .from(reviews)
    .where(and(isInState[state], isOlder))
    .orderBy(desc(reviews.openedAt), desc(reviews.id))
    .limit(reviewsPageMax);
};

/**
 * Closes an open review whose emergency has ended, or with a note changes the finding of a closed review: the ledger has
 * each finding on record. Undefined: there is no such review.
 */
export async function closeReview(
  registry: RegistrySql,
  id: string,
  closing: {
    readonly closedAt: Instant;
    readonly closedBy: string;
    readonly finding: ReviewFinding;
    readonly note: string | null;
  },
): Promise<"closed" | "not_ended" | undefined> {
  const isOpen = and(eq(reviews.id, id), closing.note === null ? isNull(reviews.closedAt) : undefined);
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
