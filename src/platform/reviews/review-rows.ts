import { and, desc, eq, isNull } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { reviews } from "#platform/registry/schema";

export type ReviewRow = typeof reviews.$inferSelect;
type ReviewFinding = NonNullable<ReviewRow["finding"]>;
export type OpenedReview = Omit<ReviewRow, "closedAt" | "closedBy" | "finding">;

const listedMax = 1_000;

/** Opens a review; a repeated call changes nothing, also for a closed review. */
export async function insertReview(registry: RegistrySql, review: OpenedReview): Promise<void> {
  await drizzled(registry).insert(reviews).values(review).onConflictDoNothing();
}

/** The open reviews, or all, the newest first. At most 1,000. */
export const listReviews = (registry: RegistrySql, onlyOpen: boolean): Promise<readonly ReviewRow[]> =>
  drizzled(registry)
    .select()
    .from(reviews)
    .where(onlyOpen ? isNull(reviews.closedAt) : undefined)
    .orderBy(desc(reviews.openedAt))
    .limit(listedMax);

/** Closes an open review. False when there is no open review of that id. */
export async function closeReview(
  registry: RegistrySql,
  id: string,
  closing: { readonly closedAt: Instant; readonly closedBy: string; readonly finding: ReviewFinding },
): Promise<boolean> {
  const closed = await drizzled(registry)
    .update(reviews)
    .set(closing)
    .where(and(eq(reviews.id, id), isNull(reviews.closedAt)))
    .returning({ id: reviews.id });
  return closed.length > 0;
}
