import * as z from "zod/mini";

/** What acts under a stored authority. */
export type AuthorityTask = "export" | "bundle";

const authorityId = z.string().check(z.regex(/^[0-9a-f]{32}$/u));

/** The largest number of authorities on a page: a shorter page is the last one. */
export const authoritiesPageMax = 500;

/** Which authorities an operator lists. `after`: the last authority of the page before. */
export const authorityListing = z.strictObject({
  state: z._default(z.enum(["open", "all"]), "open"),
  client: z.optional(z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/u))),
  after: z.optional(authorityId),
});

/** Why a document about authorities is refused. */
export interface AuthorityProblem {
  readonly reason: "authority_malformed";
  readonly field: string;
}
