import { err, ok, type Result } from "#kernel/result";
import type { FilingRefusal, WrittenContent } from "#gateway/consents/consent-filing";
import type { Permission } from "#gateway/admission/permit";
import type { OriginSession } from "#gateway/origin/origin-session";
import { patientByIdentifier } from "./consent-patient.ts";
import type { PlannedWrite } from "./planned-write.ts";
import type { AskedWrite } from "./write-body.ts";

/** A write that needs nothing at the origin any more: it was done before. */
export interface EarlierWrite {
  readonly type: string;
  readonly id: string | undefined;
  readonly version?: string | undefined;
}

/**
 * Files the Consent of a write that was done before, unless it is on file: a request whose filing failed
 * (`consent_not_filed`) is sent again, and then the origin has nothing to do.
 */
export async function refileConsent(
  { interaction, body }: AskedWrite,
  { type, id, version }: EarlierWrite,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<undefined, FilingRefusal>> {
  if (type !== "Consent") return ok(undefined);
  if (id === undefined) return err({ reason: "consent_not_filed" });
  if (interaction.kind === "delete" || interaction.kind === "conditional-delete")
    return origin.fileConsentAgain({ id, content: undefined });
  let content: WrittenContent = { sent: undefined, version };
  if (body.kind === "resource") {
    const sent = JSON.stringify(body.resource);
    const patient = await origin.decided(() => patientByIdentifier(sent, permission, origin));
    if (!patient.ok) return err({ reason: "consent_not_filed" });
    content = { sent, version, patient: patient.value };
  }
  return origin.fileConsentAgain({ id, content });
}

/**
 * The write of an earlier request, if a plan shows that it was done: `If-None-Exist` finds the Consent, or the
 * Consent to delete is absent.
 */
export function earlierWrite(
  { interaction }: AskedWrite,
  planned: Result<PlannedWrite, { readonly reason: string }>,
): EarlierWrite | undefined {
  if (interaction.type !== "Consent") return undefined;
  if (!planned.ok)
    return planned.error.reason === "absent" && interaction.kind === "delete"
      ? { type: interaction.type, id: interaction.id }
      : undefined;
  return planned.value.kind === "found" ? { type: planned.value.type, id: planned.value.id } : undefined;
}
