import * as z from "zod";

const reviewId = z.string().regex(/^[0-9a-f]{32}$/u);

/** The largest number of reviews on a page: a shorter page is the last one. */
export const reviewsPageMax = 1_000;

/** Which reviews of uses of break-glass an operator lists. `after`: the last review of the page before. */
export const reviewListing = z.strictObject({
  state: z.enum(["open", "closed", "all"]).default("open"),
  after: reviewId.optional(),
});

/** The end of a review, with its finding; with a note also a changed finding of a closed review. */
export const reviewClosing = z.strictObject({
  review: reviewId,
  finding: z.enum(["justified", "unjustified"]),
  note: z.string().trim().min(1).max(1_000).optional(),
});
