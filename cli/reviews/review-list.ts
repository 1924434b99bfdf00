import { parseArgs } from "node:util";
import * as z from "zod";
import { reviewsPageMax } from "#registry/review-document";
import { Misuse, printFault } from "../misuse.ts";
import { everyPage } from "../connection/every-page.ts";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { complain, giveResult, say, sayRows } from "../output.ts";

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
});
const answer = z.object({ reviews: z.array(review) });

/**
 * Lists the reviews of uses of break-glass, the newest first: without `--all` the open reviews. Returns 0, or 2 when
 * it is refused.
 */
export async function reviewList(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, all: { type: "boolean", default: false } },
  });
  if (positionals.length > 0) throw new Misuse();
  try {
    const state = values.all ? "all" : "open";
    const found = await everyPage(
      (after) => postAsOperator(posterOf(values), "api/reviews", JSON.stringify({ state, after })),
      (body) => answer.parse(body).reviews,
      reviewsPageMax,
    );
    if (!found.ok) {
      complain(refusalLine(found.error));
      return found.error.status < 500 ? 2 : 1;
    }
    const reviews = found.value;
    giveResult(reviews);
    sayRows(["review", "opened", "client", "origin", "purpose", "request", "state"], reviews.map(rowOf));
    if (reviews.length === 0) say(values.all ? "no reviews" : "no open reviews");
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
}

function rowOf(each: z.infer<typeof review>): { readonly cells: readonly string[]; readonly line: string } {
  const { id, openedAt, client, origin, purpose, requestId, until, closedAt, closedBy, finding } = each;
  const end =
    closedAt === null ? "open" : `${finding ?? ""} (${closedBy ?? ""}, ${new Date(closedAt).toISOString()})`;
  const opened = new Date(openedAt).toISOString();
  const lasts = typeof until === "number" ? ` until ${new Date(until).toISOString()}` : "";
  return {
    cells: [id, opened, client, origin, purpose, requestId, end],
    line: `${id} ${opened} ${client} ${origin} ${purpose} request ${requestId}${lasts} ${end}`,
  };
}
