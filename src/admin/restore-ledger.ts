import * as z from "zod";
import { err, ok } from "#kernel/result";
import type { LedgerRestore } from "#ledger/restore";
import { rejectedAt, type Verb } from "./administer.ts";

const restoreForm = z.strictObject({
  log: z
    .string()
    .max(32)
    .optional()
    .meta({ description: "The name of the log, like s0-2026h2. Without it: each log of now that is lost." }),
});
const restoredForm = z.object({
  log: z.string(),
  standIn: z.string().nullable(),
  isDone: z.boolean(),
  leaves: z.int(),
  rooted: z.int().meta({ description: "Leaves that the root log knows: those from `leaves` on are lost." }),
});

const details = {
  restore_log_unknown: "is no log that the ledger opened: /readyz lists the logs",
  restore_log_not_lost: "is not lost: only a log whose storage is empty is restored (docs/runbook.md)",
} as const;

/**
 * Restores logs of the ledger whose storage was lost, for an operator with the role `registry-admin`. It opens no
 * access, and a log that still has rows refuses it, so one person suffices.
 */
export const restoreLedgerVerb = (restores: LedgerRestore): Verb => ({
  interaction: "restore-ledger",
  does: "Rebuilds logs whose storage was lost from their copies in R2, and appoints the logs that take their records. Repeat it until each isDone.",
  document: restoreForm,
  answer: z.object({ logs: z.array(restoredForm) }),
  repairsLedger: true,
  changes: "repeatably",
  path: "api/ledger/restore",
  method: "POST",
  roles: ["registry-admin"],
  async act({ document }) {
    const question = restoreForm.safeParse(document);
    const restored = question.success
      ? await restores.restore(question.data.log)
      : err({ reason: "restore_log_unknown" } as const);
    if (restored.ok)
      return ok({
        answer: { logs: restored.value },
        effect: restored.value.map((log) => ({ kind: "log", ...log })),
      });
    const { reason } = restored.error;
    return rejectedAt("log", reason, details[reason]);
  },
});
