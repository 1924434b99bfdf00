import * as z from "zod";
import { reviewsPageMax } from "#registry/review-document";
import { listByState } from "../approvals/list-by-state.ts";
import { postAsOperator } from "../connection/operator-post.ts";

const review = z.object({
  id: z.string(),
  openedAt: z.number(),
  requestId: z.string(),
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  until: z.number().nullable().optional(),
  closedAt: z.number().nullable(),
  closedBy: z.string().nullable(),
  finding: z.string().nullable(),
  note: z.string().nullish(),
});
const answer = z.object({ reviews: z.array(review) });

/** Lists the reviews of uses of break-glass, the newest first: without `--all` the open reviews. Returns 0. */
export const reviewList = (args: readonly string[]): Promise<number> =>
  listByState(args, {
    noun: "reviews",
    columns: ["review", "opened", "client", "origin", "purpose", "request", "state"],
    pageMax: reviewsPageMax,
    ask: (from, state, after) => postAsOperator(from, "api/reviews", JSON.stringify({ state, after })),
    rowsOf: (body) => answer.parse(body).reviews,
    shown: rowOf,
  });

function rowOf(each: z.infer<typeof review>): { readonly cells: readonly string[]; readonly line: string } {
  const { id, openedAt, client, origin, purpose, requestId, until, closedAt, closedBy, finding, note } = each;
  const end =
    closedAt === null
      ? "open"
      : `${finding ?? ""} (${closedBy ?? ""}, ${new Date(closedAt).toISOString()})${note ? `: ${note}` : ""}`;
  const opened = new Date(openedAt).toISOString();
  const lasts = typeof until === "number" ? ` until ${new Date(until).toISOString()}` : "";
  return {
    cells: [id, opened, client, origin, purpose, requestId, end],
    line: `${id} ${opened} ${client} ${origin} ${purpose} request ${requestId}${lasts} ${end}`,
  };
}
