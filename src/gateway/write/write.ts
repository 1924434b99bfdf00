import type { RecordedOnly } from "#entrypoint/client-refusals";
import { faceOf } from "#entrypoint/gateway-face";
import type { Returned } from "#fhir/preconditions";
import { ok, type Result } from "#kernel/result";
import type { Permission } from "#gateway/admission/permit";
import type { GateRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
import type { OriginSession } from "#gateway/origin/origin-session";
import { afterIntent, type IntentRecord, type ProofReplayed } from "./after-intent.ts";
import type { PlannedWrite, PlanRefusal } from "./planned-write.ts";
import type { AskedWrite } from "./write-body.ts";
import type { OnceRefusal, WriteAttempt } from "./write-attempt.ts";
import type { WriteOutcome } from "./write-outcome.ts";
import { earlierWrite, refileConsent } from "./refile-consent.ts";
import { planWrite } from "./write-plan.ts";
import { noteWritten, represent, sendWrite, type DoneWrite, type SendRefusal } from "./write-send.ts";

/** Why the origin got no write. */
export type WriteRefusal = PlanRefusal | GateRefusal | ProofReplayed | FilingRefusal;

/**
 * A write: everything is decided, the intent is on record, the origin is asked once.
 *
 * @param attempt for a write under a key.
 */
export async function write(
  asked: AskedWrite,
  permission: Permission,
  origin: OriginSession,
  gate: Pick<ReleaseGate, "stillGood" | "spendNames">,
  record: IntentRecord,
  attempt?: Pick<WriteAttempt, "prepare" | "sending" | "sent" | "unsent">,
): Promise<Result<WriteOutcome, WriteRefusal | OnceRefusal>> {
  const planned = await origin.decided(() => planWrite(asked, permission, origin));
  const earlier = earlierWrite(asked, planned);
  const refiled = earlier && (await refileConsent(asked, earlier, permission, origin));
  if (refiled?.ok === false) return refiled;
  if (!planned.ok) return planned;
  const paid = await gate.spendNames(origin.names.concerned);
  if (!paid.ok) return paid;
  const prepared = attempt === undefined ? planned : await attempt.prepare(planned.value);
  if (!prepared.ok) return prepared;
  const plan = prepared.value;
  const { returns } = asked.conditions;
  if (plan.kind !== "send") {
    await attempt?.unsent(plan);
    return ok(await unsent(plan, returns, permission, origin));
  }
  const sent = await afterIntent(
    gate,
    () => record.intend(plan.concerned),
    async () => {
      if (attempt === undefined) return sendWrite(plan, origin);
      await attempt.sending();
      return attempt.sent(plan, await sendWrite(plan, origin));
    },
  );
  if (!sent.ok) return sent;
  if (!sent.value.ok) return ok(notDone(plan, sent.value.error));
  if (sent.value.value.isUnfiled === true) return ok(notDone(plan, { reason: "consent_not_filed" }));
  noteWritten(plan, origin.names.residences);
  return ok(await done(plan, sent.value.value, returns, permission, origin));
}

type Sent = Extract<PlannedWrite, { kind: "send" }>;

const notDone = ({ type, id, concerned }: Sent, refusal: SendRefusal): WriteOutcome => ({
  status: faceOf(refusal).status,
  refusal,
  reason: refusal.reason,
  type,
  id,
  concerned,
});

async function done(
  { concerned }: Sent,
  write: DoneWrite,
  returns: Returned | undefined,
  permission: Permission,
  origin: OriginSession,
): Promise<WriteOutcome> {
  const { status, type, id } = write;
  const shown = await shownOf(write, returns, permission, origin);
  return { status, type, id, returns, location: locationOf(write, origin.base), concerned, ...shown };
}

/** The answer to a write that was done before this request, except for its patients. */
export async function answerFor(
  { status, type, id, version }: Pick<DoneWrite, "status" | "type" | "id" | "version">,
  returns: Returned | undefined,
  permission: Permission,
  origin: OriginSession,
): Promise<Omit<WriteOutcome, "concerned">> {
  // The Consent counts since the earlier request, and the deltas may not say so yet.
  if (type === "Consent") origin.judgeAnew();
  const stored = { status, type, id, body: undefined, base: origin.base };
  const shown = await shownOf(stored, returns, permission, origin);
  return {
    status,
    type,
    id,
    returns,
    location: locationOf({ status, type, id, version }, origin.base),
    ...shown,
  };
}

/** The address of a created resource; an existing resource has no new address. */
function locationOf(
  { status, type, id, version }: Pick<DoneWrite, "status" | "type" | "id" | "version">,
  base: string,
): string | undefined {
  if (status !== 201 || id === undefined) return undefined;
  return `${base}/${type}/${id}${version === undefined ? "" : `/_history/${version}`}`;
}

/** The answer to a write for which the origin had nothing to do. */
async function unsent(
  plan: Exclude<PlannedWrite, Sent>,
  returns: Returned | undefined,
  permission: Permission,
  origin: OriginSession,
): Promise<WriteOutcome> {
  const { type } = plan;
  if (plan.kind === "nothing") return { status: 204, type, returns, concerned: concernsNobody };
  const { id, concerned } = plan;
  const stored = { status: 200, type, id, body: undefined, base: origin.base } as const;
  const shown = await shownOf(stored, returns, permission, origin);
  const location = `${origin.base}/${type}/${id}`;
  return { status: 200, type, id, returns, location, concerned, ...shown };
}

/** The write is done even if its resource cannot be shown: then the answer has no body, and the record says why. */
async function shownOf(
  stored: Pick<DoneWrite, "status" | "type" | "id" | "body" | "base">,
  returns: Returned | undefined,
  permission: Permission,
  origin: OriginSession,
): Promise<Pick<WriteOutcome, "disclosure" | "reason">> {
  if (stored.status === 204) return {};
  try {
    const shown = await represent(stored, returns, permission, origin);
    return shown.ok ? { disclosure: shown.value } : { reason: "answer_unavailable" satisfies RecordedOnly };
  } catch {
    return { reason: "answer_unavailable" satisfies RecordedOnly };
  }
}
