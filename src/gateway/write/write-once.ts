import { faceOf } from "#entrypoint/gateway-face";
import { err, ok, type Result } from "#kernel/result";
import type { KeyedRequest, RequestKeys } from "#limits/request-keys";
import type { Permission } from "#gateway/admission/permit";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { IntentRecord } from "./after-intent.ts";
import { readStored } from "./once.ts";
import { refileConsent } from "./refile-consent.ts";
import { rowStatuses, WriteAttempt, type SettleRefusal } from "./write-attempt.ts";
import { answerFor, write, type WriteRefusal } from "./write.ts";
import type { AskedWrite } from "./write-body.ts";
import type { WriteOutcome } from "./write-outcome.ts";

/** A write under a key: it is done once, however often the request comes. */
export async function writeOnce(
  asked: AskedWrite,
  request: KeyedRequest,
  keys: RequestKeys,
  permission: Permission,
  origin: OriginSession,
  gate: Pick<ReleaseGate, "stillGood" | "spendNames">,
  record: IntentRecord,
): Promise<Result<WriteOutcome, WriteRefusal | SettleRefusal>> {
  const claim = await keys.claim(request);
  switch (claim.kind) {
    case "other":
      return err({ reason: "idempotency_key_reused" });
    case "busy":
      return err({ reason: "idempotency_key_in_use", retryAfterSeconds: claim.retryAfterSeconds });
    case "done": {
      const [end] = readStored(claim.result);
      if (end?.way !== "done") throw new Error("a key has no readable result");
      const filed = await refileConsent(asked, end, permission, origin);
      if (!filed.ok) return filed;
      const outcome = await answerFor(end, asked.conditions.returns, permission, origin);
      return ok({ ...outcome, concerned: concernsNobody, isRepeat: true });
    }
    case "claimed": {
      const attempt = new WriteAttempt(claim.attempt, origin);
      try {
        const result = await writeUnderKey(asked, attempt, permission, origin, gate, record);
        if (!result.ok) await attempt.release();
        return result;
      } catch (fault) {
        await attempt.release().catch(() => {}); // its time ends then
        throw fault;
      }
    }
  }
}

async function writeUnderKey(
  asked: AskedWrite,
  attempt: WriteAttempt,
  permission: Permission,
  origin: OriginSession,
  gate: Pick<ReleaseGate, "stillGood" | "spendNames">,
  record: IntentRecord,
): Promise<Result<WriteOutcome, WriteRefusal | SettleRefusal>> {
  const settled = await attempt.settleEarlier();
  if (!settled.ok) return settled;
  if (settled.value !== undefined) {
    const { end, concerned } = settled.value;
    const filed = await refileConsent(asked, end, permission, origin);
    if (!filed.ok) return filed;
    const outcome = await answerFor(end, asked.conditions.returns, permission, origin);
    return ok({ ...outcome, concerned });
  }
  const written = await write(asked, permission, origin, gate, record, attempt);
  // The earlier attempt may be the reason why the request does not fit any more.
  const isOfRow = !written.ok && attempt.isResumed && rowStatuses.has(faceOf(written.error).status);
  return isOfRow ? err({ reason: "outcome_unknown" }) : written;
}
