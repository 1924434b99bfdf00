import * as z from "zod";
import { ok } from "#kernel/result";
import { authorityListing } from "#identity/authority/authority-document";
import { rejectedAt, type Verb } from "#admin/administer";
import type { RegistryDesk } from "#admin/ports";

const authorityForm = z.object({
  id: z.string(),
  client: z.string(),
  origin: z.string(),
  purpose: z.string(),
  agreement: z.string(),
  boundTo: z.string(),
  task: z.string(),
  madeAt: z.int(),
  endsAt: z.int(),
  endedAt: z.int().nullable(),
  endedBy: z.string().nullable(),
});

/** Lists the stored authorities, for an operator with the role `revoker`, who may end one (`revokeVerb`). */
export const listAuthoritiesVerb = (registry: Pick<RegistryDesk, "authorities">): Verb => ({
  interaction: "list-authorities",
  does: "The stored authorities under which jobs act: the live ones, or all that are not past their time, 500 on a page. Send the id of a page's last authority as `after` to get the next page.",
  document: authorityListing,
  answer: z.object({ authorities: z.array(authorityForm) }),
  path: "api/authorities",
  method: "POST",
  roles: ["revoker"],
  changes: "nothing",
  async act({ document }) {
    const found = await registry.authorities(document);
    return found.ok
      ? ok({ answer: { authorities: found.value } })
      : rejectedAt(found.error.field, found.error.reason, "is missing or malformed");
  },
});
