import { err, ok, type Result } from "#kernel/result";
import type { Permission } from "#gateway/admission/authorize";
import type { WrittenContent } from "#gateway/consents/consent-filing";
import type { OriginSession } from "#gateway/origin/origin-session";
import { patientByIdentifier, patientOfConsent } from "#gateway/change/plan/consent-patient";
import type { PlannedWrite } from "#gateway/change/plan/planned-write";
import { deletions, type AskedWrite } from "#gateway/change/plan/write-body";
import type { EarlierWrite, TypeEffect } from "./effect.ts";

const notFiled = err({ reason: "consent_not_filed" } as const);

/**
 * A written Consent is filed as the origin has it, before its write is answered, also if the outcome of the write is
 * unknown. A request whose filing failed is sent again, and then the origin has nothing to do: the Consent is filed
 * unless it is on file.
 */
export const consentEffect: TypeEffect = {
  beforePlan: patientOfConsent,

  afterWrite: async (written, origin) => {
    const known = written.flatMap(({ plan: { write, patient }, id, version }) =>
      id === undefined ? [] : [{ id, content: contentOf(write.body, version, patient) }],
    );
    const filed = known.length === 0 ? ok(undefined) : await origin.fileConsents(known);
    const isFiled = (id: string) => filed.ok || !filed.error.unfiled.has(id);
    return new Set(written.filter(({ id }) => id === undefined || !isFiled(id)));
  },

  onRepeat: async (asked, earlier, permission, origin, plan) => {
    const { id } = earlier;
    if (id === undefined) return notFiled;
    const content = await contentAgain(asked, earlier, permission, origin, plan);
    const filed = content.ok ? await origin.fileConsentAgain({ id, content: content.value }) : notFiled;
    // The Consent counts since the earlier request, and the deltas may not say so yet.
    if (filed.ok && earlier.isUnderKey === true) origin.judgeAnew();
    return filed;
  },
};

/** @param sent undefined: the Consent was deleted. */
const contentOf = (
  sent: string | undefined,
  version: string | undefined,
  patient: string | undefined,
): WrittenContent | undefined => (sent === undefined ? undefined : { sent, version, patient });

/** The content of a Consent that was written before this request. */
async function contentAgain(
  { interaction, body }: AskedWrite,
  { version }: EarlierWrite,
  permission: Permission,
  origin: OriginSession,
  plan: PlannedWrite | undefined,
): Promise<Result<WrittenContent | undefined, unknown>> {
  if (plan?.kind === "send") return ok(contentOf(plan.write.body, version, plan.patient));
  if (deletions.has(interaction.kind)) return ok(undefined);
  if (body.kind !== "resource") return ok({ sent: undefined, version });
  const sent = JSON.stringify(body.resource);
  const patient = await patientByIdentifier(sent, permission, origin);
  return patient.ok ? ok({ sent, version, patient: patient.value }) : patient;
}
