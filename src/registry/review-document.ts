import * as z from "zod";

/** Which reviews of uses of break-glass an operator lists. */
export const reviewListing = z.strictObject({ state: z.enum(["open", "all"]).default("open") });

/** The end of a review, with its finding. */
export const reviewClosing = z.strictObject({
  review: z.string().regex(/^[0-9a-f]{32}$/u),
  finding: z.enum(["justified", "unjustified"]),
});
