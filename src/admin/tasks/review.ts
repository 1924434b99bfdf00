import * as z from "zod";
import { ok } from "#kernel/result";
import { reviewClosing, reviewListing } from "#registry/review-document";
import { rejectedAt, type Verb } from "#admin/administer";
import type { ReviewTasks, ReviewDocumentProblem } from "#admin/ports";

const reviewForm = z.object({
  id: z.string(),
  openedAt: z.int(),
  requestId: z.string(),
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  closedAt: z.int().nullable(),
  closedBy: z.string().nullable(),
  finding: z.enum(["justified", "unjustified"]).nullable(),
  note: z.string().nullable(),
});
/** A use of break-glass as it is listed. */
export type ListedReview = z.output<typeof reviewForm>;

/** Lists the reviews of uses of break-glass, for an operator with the role `privacy-officer`. */
export const listReviewsVerb = (reviews: ReviewTasks): Verb => ({
  interaction: "list-reviews",
  does: "The open reviews of uses of break-glass, the closed reviews, or all: the newest first, 1,000 on a page. Send the id of a page's last review as `after` to get the next page.",
  document: reviewListing,
  answer: z.object({ reviews: z.array(reviewForm) }),
  path: "api/reviews",
  method: "POST",
  roles: ["privacy-officer"],
  changes: "nothing",
  async act({ document }) {
    const found = await reviews.list(document);
    return found.ok ? ok({ answer: { reviews: found.value } }) : rejected(found.error);
  },
});

/** Closes an open review with a finding, for an operator with the role `privacy-officer`. */
export const closeReviewVerb = (reviews: ReviewTasks): Verb => ({
  interaction: "close-review",
  does: "Closes an open review with a finding; with a note also changes the finding of a closed review.",
  document: reviewClosing,
  answer: z.object({ closed: z.literal(true) }),
  path: "api/reviews/close",
  method: "POST",
  roles: ["privacy-officer"],
  changes: "repeatably",
  async act({ document, operator }) {
    const closed = await reviews.close(document, operator.id);
    return closed.ok ? ok({ answer: { closed: true } }) : rejected(closed.error);
  },
});

const rejected = ({ reason, field }: ReviewDocumentProblem) => rejectedAt(field, reason, details[reason]);

const details: Readonly<Record<ReviewDocumentProblem["reason"], string>> = {
  review_malformed: "is missing or malformed",
  review_not_open: "is not the id of an open review, and a finding is changed with a note only",
  review_not_ended: "is an emergency that lasts: close it after its end",
};
