import { faceOf } from "#entrypoint/gateway-face";
import { asksForOutcome } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import type { Permission } from "#gateway/admission/authorize";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { OriginSession } from "#gateway/origin/origin-session";
import { onRecord } from "#gateway/record/on-record";
import type { AskedWrite } from "#gateway/change/plan/write-body";
import type { Attempt } from "./attempt.ts";
import {
  type ChangeEnd,
  ChangeSet,
  endOfChange,
  type WriteInSet,
  type ChangeRecord,
  type ChangeRefusal,
  type UnsentSet,
} from "./change-set.ts";
import { locationIn, represent, shownContent } from "./show.ts";
import type { WriteOutcome } from "./write-outcome.ts";

/** Why the origin got no write. */
export type WriteRefusal = ChangeRefusal | UnsentSet;

/**
 * A write of its own: a set of one.
 *
 * @param attempt for a write under a key.
 */
export async function write(
  asked: AskedWrite,
  permission: Permission,
  origin: OriginSession,
  gate: Pick<ReleaseGate, "stillGood" | "spendNames">,
  record: Pick<ChangeRecord, "intendParts">,
  attempt: Attempt | undefined,
): Promise<Result<WriteOutcome, WriteRefusal>> {
  const change: WriteInSet = { index: 0, asked, what: onRecord(asked.interaction), origin };
  const sent = await new ChangeSet("single", permission, gate, record, attempt).each([change], [0]);
  if (!sent.ok) return sent;
  const end = endOfChange(change);
  if (end.kind === "refused") return err(end.refusal);
  const { kind, refusal, concerned } = end;
  if (refusal !== undefined) {
    const { type, id } = end.plan;
    return ok({ status: faceOf(refusal).status, refusal, reason: refusal.reason, type, id, concerned });
  }
  const { returns } = asked.conditions;
  const { status, type, id } = end.done;
  // an existing resource has no new address, unless the client looked for it
  const location = status === 201 || kind === "unsent" ? locationIn(origin.base, end.done) : undefined;
  // The write is done even if its resource cannot be shown: then the answer has no body, and the record says why.
  const shown = await represent(end.done, returns, permission, origin);
  const answer = shown.ok
    ? { disclosure: shown.value ?? contentIn(end, asked, permission, origin) }
    : { reason: shown.error.reason };
  return ok({ status, type, id, returns, location, concerned, isRepeat: kind === "repeated", ...answer });
}

/** The answer to a new Binary. */
const contentIn = (
  end: ChangeEnd,
  { conditions: { returns }, wantsUrl }: AskedWrite,
  permission: Permission,
  origin: OriginSession,
) =>
  end.kind !== "sent" || end.done === undefined || returns === "minimal" || asksForOutcome(returns)
    ? undefined
    : shownContent(end.done, end.plan, wantsUrl, permission, origin);
