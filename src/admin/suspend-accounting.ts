import { err, ok } from "#kernel/result";
import type { Verb } from "./administer.ts";
import type { AccountingHolds } from "./ports.ts";

/**
 * Suspends an individual's right to be told of disclosures to a recipient (45 CFR 164.528(a)(2)), for an
 * operator with the role `privacy-officer`.
 */
export const suspendAccountingVerb = (holds: AccountingHolds): Verb => ({
  interaction: "suspend-accounting",
  changes: true,
  isRepeatable: true,
  path: "api/accounting/suspensions",
  method: "POST",
  roles: ["privacy-officer"],
  async act({ document }) {
    const held = await holds.hold(document);
    if (held.ok) return ok({ answer: { suspended: true } });
    const { reason, field } = held.error;
    const pointer = field === "" ? "" : `/${field}`;
    return err({ reason, pointer, detail: "is missing, malformed or not known" });
  },
});
