import * as z from "zod";
import { ok } from "#kernel/result";
import { rejectedAt, type Verb } from "./administer.ts";
import type { AccountingHolds } from "./ports.ts";

/** As `readSuspension` reads it, which decides. */
const suspensionForm = z.strictObject({
  id: z.string(),
  patient: z.string().meta({ description: "`ORIGIN/Patient/ID`" }),
  recipient: z.string().meta({ description: "Client id of the agency or official." }),
  from: z.iso.datetime({ offset: true }),
  to: z.iso.datetime({ offset: true }),
  statement: z.string().min(10).max(4_000),
  oral: z.boolean().optional(),
});

/**
 * Suspends an individual's right to an account of disclosures to a recipient (45 CFR 164.528(a)(2)), for an
 * operator with the role `privacy-officer`.
 */
export const suspendAccountingVerb = (holds: AccountingHolds): Verb => ({
  interaction: "suspend-accounting",
  does: "Suspends an individual's accounting of disclosures to a recipient (45 CFR 164.528(a)(2)).",
  document: suspensionForm,
  answer: z.object({ suspended: z.literal(true) }),
  changes: "repeatably",
  path: "api/accounting/suspensions",
  method: "POST",
  roles: ["privacy-officer"],
  async act({ document }) {
    const suspended = await holds.hold(document);
    if (suspended.ok) return ok({ answer: { suspended: true } });
    const { reason, field } = suspended.error;
    return rejectedAt(field, reason, "is missing, malformed or not known");
  },
});
