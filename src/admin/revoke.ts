import * as z from "zod";
import { denialDocument, denialDocuments, type DenialProblem } from "#identity/denial-document";
import { ok, type Result } from "#kernel/result";
import { rejectedAt, type Rejected, type Verb } from "./administer.ts";
import type { Approvals, RegistryDesk } from "./ports.ts";

/**
 * Denies a token, key, certificate, client, agreement, grant, policy, authority or person for an operator with the role
 * `revoker`: docs/revocation.md.
 */
export const revokeVerb = (registry: Pick<RegistryDesk, "revoke">): Verb => ({
  interaction: "revoke",
  does: "Refuses a token, key, certificate, client, agreement, grant, policy, authority or person everywhere within ten seconds.",
  document: denialDocuments,
  answer: z.object({ revoked: z.literal(true) }),
  changes: "repeatably",
  path: "api/revocations",
  method: "POST",
  roles: ["revoker"],
  async act({ document }) {
    const revoked = await registry.revoke(document);
    return revoked.ok ? ok({ answer: { revoked: true } }) : rejectedDenial(revoked.error);
  },
});

/** Ends a denial. `lifted` is false when there was none. */
export const liftVerb = (registry: Pick<RegistryDesk, "lift">, approvals: Approvals): Verb => ({
  interaction: "lift-revocation",
  does: "Ends a denial. lifted is false if there was none.",
  document: denialDocument,
  answer: z.object({ lifted: z.boolean() }),
  changes: "once",
  path: "api/revocations/lift",
  method: "POST",
  roles: ["revoker"],
  async act({ document }) {
    if (approvals === "two-persons") return needsProposal;
    const lifted = await registry.lift(document);
    if (lifted.ok) return ok({ answer: { lifted: lifted.value } });
    return lifted.error.reason === "approval_required" ? needsProposal : rejectedDenial(lifted.error);
  },
});

const needsProposal = rejectedAt("", "approval_required", "ends a denial: propose it");

const details: Readonly<Record<DenialProblem["reason"], string>> = {
  denial_malformed: "is missing, malformed or not known",
  denial_unregistered: "names no entry of the registry: nothing is denied; check the spelling",
};

export const rejectedDenial = ({ reason, field }: DenialProblem): Result<never, Rejected> =>
  rejectedAt(field, reason, details[reason]);
