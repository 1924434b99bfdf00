import type { ResourceType } from "#fhir/r4/elements";
import { isResource, property, readObject, textAt } from "#fhir/json/json";
import { statedVersion } from "#fhir/history-entry";
import type { OriginWritten } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { FilingRefusal } from "#gateway/consents/consent-filing";
import { notSent, readWhole } from "#gateway/origin/forward";
import type { OriginSession } from "#gateway/origin/origin-session";
import { createdIdPrefix } from "#policy/chosen-id";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import type { WrittenChange } from "./effect.ts";
import { afterWrites } from "./effects.ts";
import { storedPlace } from "./stored-place.ts";
import { underLease, type LeaseRefusal } from "./under-lease.ts";

/** Why a sent write is not known as done. */
export type SendRefusal =
  | { readonly reason: "origin_unknown" | "absent" }
  | {
      readonly reason: "origin_circuit_open" | "origin_busy" | "client_busy" | "origin_throttled";
      readonly retryAfterSeconds: number;
    }
  | {
      readonly reason: "origin_refused" | "write_conflict" | "write_precondition_failed" | "write_rejected";
      readonly status: number;
    }
  /**
   * The outcome is unknown: the origin did not answer, the connection broke, or the answer neither confirms
   * nor denies the write.
   */
  | { readonly reason: "write_outcome_unknown" | "write_answer_unfit" }
  | LeaseRefusal
  | FilingRefusal;

/** A write that was done. */
export interface DoneWrite {
  readonly status: 200 | 201 | 204;
  readonly type: ResourceType;
  /** `undefined`: the origin did not say the id of the created resource. */
  readonly id: string | undefined;
  /** The stored version, if the origin says it. */
  readonly version: string | undefined;
  /** The stored resource according to the origin, not judged yet. `undefined`: the origin sent none. */
  readonly body: Uint8Array | undefined;
  readonly base: FhirBase;
}

/** The end of a sent write. A write with both members is done, and its effect failed: it is not answered as done. */
export type SentEnd =
  | {
      readonly done: DoneWrite;
      readonly refusal?: SendRefusal | undefined;
      /** An earlier attempt, or the same request with an earlier token, did it. */
      readonly isEarlier?: true;
    }
  | { readonly done?: undefined; readonly refusal: SendRefusal };

/** True if the origin may still do the write, or may have done it. */
export const isUnknown = ({ refusal }: Pick<SentEnd, "refusal">): boolean =>
  refusal?.reason === "write_outcome_unknown" || refusal?.reason === "write_answer_unfit";

/** Sends a write of its own, once. */
export async function sendWrite(plan: SentPlan, origin: OriginSession): Promise<SentEnd> {
  const send = () => sendOnce(plan, origin);
  const end = endOf(await underLease([plan], origin, send, (sent) => !isUnknown(endOf(sent))));
  const there = await createdBefore(plan, end, origin);
  return there ?? (await endsAfterEffects([{ plan, end }], origin))[0] ?? end;
}

const endOf = (sent: Result<DoneWrite, SendRefusal>): SentEnd =>
  sent.ok ? { done: sent.value } : { refusal: sent.error };

/** The ends of sent writes, after the effects of their types. */
export async function endsAfterEffects(
  sent: readonly { readonly plan: SentPlan; readonly end: SentEnd }[],
  origin: OriginSession,
): Promise<readonly SentEnd[]> {
  const written = sent.map(({ plan, end: { done } }): WrittenChange => ({
    plan,
    id: plan.id ?? done?.id,
    version: done?.version,
    isDone: done !== undefined,
  }));
  const mayBeDone = sent.map(({ end }) => end.done !== undefined || isUnknown(end));
  const failed = await afterWrites(
    written.filter((_change, index) => mayBeDone[index]),
    origin,
  );
  return sent.map(({ end }, index) => {
    const change = written[index];
    const isFailed = change !== undefined && failed.has(change);
    return isFailed && end.done !== undefined ? { ...end, refusal: { reason: "consent_not_filed" } } : end;
  });
}

/** The end of a create under an id of its own that the origin refuses because the id is taken: it counts as done. */
async function createdBefore(
  { write, type, id }: SentPlan,
  { refusal }: SentEnd,
  origin: OriginSession,
): Promise<SentEnd | undefined> {
  const isOwn = write.ifNone === "same id" && id?.startsWith(createdIdPrefix) === true;
  if (refusal?.reason !== "write_precondition_failed" || !isOwn) return undefined;
  const there = await origin.ask({ path: `${type}/${id}`, query: "" });
  if (there.ok) {
    const { base } = there.value;
    return { isEarlier: true, done: { status: 201, type, id, version: undefined, body: undefined, base } };
  }
  return there.error.reason === "absent" ? undefined : { refusal: { reason: "write_outcome_unknown" } };
}

type Written = Extract<OriginWritten, { kind: "written" }>;

/**
 * Reads what an origin says about a write: by its own answer, or by an entry of its answer to a transaction.
 *
 * @param done reads an answer that may say that the write was done.
 */
export async function heard<W extends { readonly kind: "written" }, T>(
  answer: W | Exclude<OriginWritten, Written> | undefined,
  done: (written: W) => Result<T, SendRefusal> | Promise<Result<T, SendRefusal>>,
): Promise<Result<T, SendRefusal>> {
  switch (answer?.kind) {
    case undefined:
      return err({ reason: "origin_unknown" });
    case "absent":
      return err({ reason: "absent" });
    case "refused":
      return err(refusalOf(answer));
    case "unreachable":
    case "timed_out":
      return err({ reason: "write_outcome_unknown" });
    case "circuit_open":
      return err({ reason: notSent[answer.because], retryAfterSeconds: answer.retryAfterSeconds });
    case "written":
      return done(answer);
  }
}

/**
 * 409 and 412: a further writer changed the row in between. 400 and 422: the origin's own rules refuse the
 * write. 429: not now. 408, 5xx and all further statuses: the outcome is unknown.
 */
function refusalOf({
  status,
  retryAfterSeconds = 1,
}: Extract<OriginWritten, { kind: "refused" }>): SendRefusal {
  if (status < 400 || status === 408 || status >= 500) return { reason: "write_outcome_unknown" };
  if (status === 429) return { reason: "origin_throttled", retryAfterSeconds };
  if (status === 409) return { reason: "write_conflict", status };
  if (status === 412) return { reason: "write_precondition_failed", status };
  if (status === 400 || status === 422) return { reason: "write_rejected", status };
  return { reason: "origin_refused", status };
}

async function sendOnce(plan: SentPlan, origin: OriginSession): Promise<Result<DoneWrite, SendRefusal>> {
  const { write, type } = plan;
  return heard(await origin.send(write), async (answer: Written) => {
    const whole = await readWhole(answer.body); // a broken body says nothing about the write
    const body = whole.ok && whole.value.length > 0 ? whole.value : undefined;
    const said = placeIn(answer, type, body);
    if (!isAnswerTo(plan, answer, whole.ok ? body : "broken", said.id))
      return err({ reason: "write_answer_unfit" });
    const isCreate = write.method === "POST" || write.ifNone !== undefined;
    const status = isCreate ? 201 : write.method === "PUT" ? 200 : 204;
    return ok({ status, type, id: plan.id ?? said.id, version: said.version, body, base: answer.base });
  });
}

/**
 * True when a 200, 201 or 204 is an answer to the write: a sign-in page is not. The answer to a create is a
 * 201, or it names the created resource; its body is the resource or an OperationOutcome.
 */
function isAnswerTo(
  { write, type, id }: SentPlan,
  { status, isJson }: Pick<Written, "status" | "isJson">,
  body: Uint8Array | "broken" | undefined,
  created: string | undefined,
): boolean {
  if (write.method === "POST" && status !== 201 && (created === undefined || status === 204)) return false;
  if (body === undefined) return true;
  if (!isJson) return false;
  if (body === "broken") return true;
  const resource = readObject(body);
  if (!isResource(resource, type)) return isResource(resource, "OperationOutcome");
  return id === undefined || textAt(resource, "id") === id;
}

/**
 * The address of the resource: from the body, or from `Location`, which is the origin's own address and
 * never leaves.
 */
function placeIn({ location, base }: Written, type: string, body: Uint8Array | undefined) {
  const read = body && readObject(body);
  const resource = read && property(read, "resourceType") === type ? read : undefined;
  const place = storedPlace(location ?? "", type, base);
  const said = (resource && textAt(resource, "id")) ?? place?.id;
  const known = (resource && statedVersion(resource)) ?? place?.version;
  return {
    id: said !== undefined && isId(said) ? said : undefined,
    version: known !== undefined && isId(known) ? known : undefined,
  };
}
