import { WorkerEntrypoint } from "cloudflare:workers";
import type * as z from "zod";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { reviewClosing, reviewListing } from "#registry/review-document";
import { closeReview, insertReview, listReviews, type OpenedReview, type ReviewRow } from "./review-rows.ts";

interface ReviewDeskEnv {
  readonly REGISTRY: D1Database;
}

/**
 * Why a document about reviews is refused: the name of its first bad field; or the review is not open; or its
 * emergency lasts, so that a use may come after the finding.
 */
export type ReviewProblem =
  | { readonly reason: "review_malformed"; readonly field: string }
  | { readonly reason: "review_not_open" | "review_not_ended"; readonly field: "review" };

/** The gateway's only right over reviews: to open them. */
export class ReviewOpening extends WorkerEntrypoint<ReviewDeskEnv> {
  /** False for a review that is closed: the emergency is over. */
  async open(review: OpenedReview): Promise<boolean> {
    return await insertReview(this.env.REGISTRY, review);
  }
}

/** The privacy officer's tasks: a use of break-glass stays open until an officer has closed it. */
export class ReviewDesk extends WorkerEntrypoint<ReviewDeskEnv> {
  /** Lists a page of the open reviews, or with `state` of the closed reviews or of all. */
  async list(document: unknown): Promise<Result<readonly ReviewRow[], ReviewProblem>> {
    const read = reviewListing.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    return ok(await listReviews(this.env.REGISTRY, read.data.state, read.data.after));
  }

  /** Closes an open review with a finding, after the end of the emergency. A note lets a finding be changed. */
  async close(document: unknown, operator: string): Promise<Result<void, ReviewProblem>> {
    const read = reviewClosing.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { review, finding, note = null } = read.data;
    const done = await closeReview(this.env.REGISTRY, review, {
      closedAt: instant(Date.now()),
      closedBy: operator,
      finding,
      note,
    });
    if (done === "closed") return ok(undefined);
    return err({ reason: done === undefined ? "review_not_open" : "review_not_ended", field: "review" });
  }
}

const problemOf = (error: z.ZodError): ReviewProblem => ({
  reason: "review_malformed",
  field: String(error.issues[0]?.path[0] ?? ""),
});
