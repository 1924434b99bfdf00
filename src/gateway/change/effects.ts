import type { ResourceType } from "#fhir/r4/elements";
import { readObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { ok, type Result } from "#kernel/result";
import { residenceFacts } from "#residence/row-residences";
import type { Permission } from "#gateway/admission/authorize";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { PlannedWrite, SentPlan } from "#gateway/change/plan/planned-write";
import type { AskedWrite } from "#gateway/change/plan/write-body";
import { amendmentEffects } from "./amendment-effect.ts";
import { consentEffect } from "./consent-effect.ts";
import type { EarlierWrite, TypeEffect, WrittenChange } from "./effect.ts";

/** The record names a patient's state of residence as it is from now on. */
function noteResidence({ write }: SentPlan, { names }: OriginSession): void {
  const row = write.body === undefined ? undefined : readObject(utf8(write.body));
  if (row !== undefined) names.residences.note(residenceFacts(row));
}

/** The effects of writes, by the type of the resource. */
const effects: Partial<Record<ResourceType, TypeEffect>> = {
  ...amendmentEffects,
  Consent: consentEffect,
  Patient: {
    afterWrite: async (written, origin) => {
      for (const { plan, isDone } of written) if (isDone) noteResidence(plan, origin);
      return new Set();
    },
    onRepeat: async (_asked, _earlier, _permission, origin, plan) => {
      if (plan?.kind === "send") noteResidence(plan, origin);
      return ok(undefined);
    },
  },
};

export const effectOf = (type: ResourceType): TypeEffect | undefined => effects[type];

/** Runs the effects of writes. Returns the changes whose effect failed. */
export async function afterWrites(
  written: readonly WrittenChange[],
  origin: OriginSession,
): Promise<ReadonlySet<WrittenChange>> {
  const failed = new Set<WrittenChange>();
  for (const [type, some] of Map.groupBy(written, ({ plan }) => plan.type))
    for (const each of (await effects[type]?.afterWrite?.(some, origin)) ?? []) failed.add(each);
  return failed;
}

/** Runs the effect of a write that was done before this request. */
export async function onRepeat(
  asked: AskedWrite,
  earlier: EarlierWrite,
  permission: Permission,
  origin: OriginSession,
  plan?: PlannedWrite,
): Promise<Result<undefined, FilingRefusal>> {
  const effect = effects[asked.interaction.type]?.onRepeat;
  return (await effect?.(asked, earlier, permission, origin, plan)) ?? ok(undefined);
}

/**
 * The write of an earlier request, if a plan shows that it was done: a condition finds the resource, or the resource
 * to delete is absent.
 */
export function earlierWrite(
  { interaction }: AskedWrite,
  planned: Result<PlannedWrite, { readonly reason: string }>,
): EarlierWrite | undefined {
  if (planned.ok) return planned.value.kind === "found" ? planned.value : undefined;
  return planned.error.reason === "absent" && interaction.kind === "delete" ? interaction : undefined;
}
