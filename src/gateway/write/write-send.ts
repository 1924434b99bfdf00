import { utf8 } from "#kernel/encoded";
import type { ResourceType } from "#fhir/r4/elements";
import { isObject, property, readJson, textAt } from "#fhir/json/json";
import type { FhirQuestion, OriginWritten } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import type { Returned } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { Discloser } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import type { FilingRefusal, WrittenConsent } from "#gateway/consents/consent-filing";
import type { Residences } from "#residence/row-residences";
import { evaluate } from "#policy/evaluate";
import { notSent, readWhole } from "#gateway/origin/forward";
import type { Permission } from "#gateway/admission/permit";
import type { WholeAnswer } from "#gateway/origin/calls";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { PlannedWrite } from "./planned-write.ts";
import { residenceFacts } from "#residence/row-residences";
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
  /** A Consent that is not filed: the write is done, and does not count. */
  readonly isUnfiled?: true;
}

/** Notes the new state of residence of a written Patient. */
export function noteWritten(
  { type, write }: Extract<PlannedWrite, { kind: "send" }>,
  residences: Residences,
): void {
  const read = type === "Patient" && write.body !== undefined ? readJson(utf8(write.body)) : undefined;
  if (read?.ok === true && isObject(read.value)) residences.note(residenceFacts(read.value));
}

/**
 * Sends a write, once. A Consent is filed as the origin has it afterwards, also if the outcome of the write is
 * unknown.
 */
export async function sendWrite(
  planned: Extract<PlannedWrite, { kind: "send" }>,
  origin: OriginSession,
): Promise<Result<DoneWrite, SendRefusal>> {
  const sent = await underLease([planned], origin, () => sendOnce(planned, origin), isSettled);
  if (planned.type !== "Consent" || (!sent.ok && isSettled(sent))) return sent;
  const id = sent.ok ? (planned.id ?? sent.value.id) : planned.id;
  const version = sent.ok ? sent.value.version : undefined;
  const filed =
    id === undefined ? unfiled : await origin.fileConsents([writtenConsent(id, planned, version)]);
  return sent.ok && !filed.ok ? ok({ ...sent.value, isUnfiled: true }) : sent;
}

const unfiled = err({ reason: "consent_not_filed" });

/** A Consent that was sent, as its filing knows it again. */
export function writtenConsent(
  id: string,
  {
    write,
    consentPatient: patient,
  }: Pick<Extract<PlannedWrite, { kind: "send" }>, "write" | "consentPatient">,
  version: string | undefined,
): WrittenConsent {
  const { body: sent } = write;
  return { id, content: sent === undefined ? undefined : { sent, version, patient } };
}

/** True if the origin does nothing more about the write. */
export const isSettled = (sent: Result<unknown, SendRefusal>): boolean =>
  sent.ok || (sent.error.reason !== "write_outcome_unknown" && sent.error.reason !== "write_answer_unfit");

async function sendOnce(
  planned: Extract<PlannedWrite, { kind: "send" }>,
  origin: OriginSession,
): Promise<Result<DoneWrite, SendRefusal>> {
  const { write, type } = planned;
  const answer = await origin.send(write);
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
    case "written": {
      const whole = await readWhole(answer.body); // a broken body says nothing about the write
      const body = whole.ok && whole.value.length > 0 ? whole.value : undefined;
      const said = placeIn(answer, type, body);
      if (!isAnswerTo(planned, answer, whole.ok ? body : "broken", said.id))
        return err({ reason: "write_answer_unfit" });
      const isCreate = write.method === "POST" || write.ifNone !== undefined;
      const status = isCreate ? 201 : write.method === "PUT" ? 200 : 204;
      return ok({ status, type, id: planned.id ?? said.id, version: said.version, body, base: answer.base });
    }
  }
}

/**
 * True when a 200, 201 or 204 is an answer to the write: a sign-in page is not. The answer to a create is a
 * 201, or it names the created resource; its body is the resource or an OperationOutcome.
 */
function isAnswerTo(
  { write, type, id }: Extract<PlannedWrite, { kind: "send" }>,
  { status, isJson }: Pick<Extract<OriginWritten, { kind: "written" }>, "status" | "isJson">,
  body: Uint8Array | "broken" | undefined,
  created: string | undefined,
): boolean {
  if (write.method === "POST" && status !== 201 && (created === undefined || status === 204)) return false;
  if (body === undefined) return true;
  if (!isJson) return false;
  if (body === "broken") return true;
  const read = readJson(body);
  if (!read.ok || !isObject(read.value)) return false;
  const said = property(read.value, "resourceType");
  return (
    said === "OperationOutcome" || (said === type && (id === undefined || textAt(read.value, "id") === id))
  );
}

/**
 * 409 and 412: a further writer changed the row in between. 400 and 422: the origin's own rules refuse the
 * write. 429: not now. 408, 5xx and all further statuses: the outcome is unknown.
 */
export function refusalOf({
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

/**
 * The address of the resource: from the body, or from `Location`, which is the origin's own address and
 * never leaves.
 */
function placeIn(
  { location, base }: Extract<OriginWritten, { kind: "written" }>,
  type: string,
  body: Uint8Array | undefined,
) {
  const read = body === undefined ? undefined : readJson(body);
  const resource =
    read?.ok === true && isObject(read.value) && property(read.value, "resourceType") === type
      ? read.value
      : undefined;
  const meta = resource && property(resource, "meta");
  const place = storedPlace(location ?? "", type, base);
  const said = (resource && textAt(resource, "id")) ?? place?.id;
  const stored = isObject(meta) ? textAt(meta, "versionId") : undefined;
  const known = stored ?? place?.version;
  return {
    id: said !== undefined && isId(said) ? said : undefined,
    version: known !== undefined && isId(known) ? known : undefined,
  };
}

/** Reads a stored resource at the origin. */
export type ReadStored = (
  question: FhirQuestion,
) => Promise<Result<WholeAnswer, { readonly reason: string }>>;

/** The stored resource cannot be read now. */
export type NotReadNow = { readonly reason: "answer_unavailable" };

/**
 * The part of a stored resource in the answer to a write: the part that its writer may read, redacted as for
 * a read, or nothing. A refusal says that the resource could not be read or judged now.
 */
export async function represent(
  { type, id, body, base }: Pick<DoneWrite, "type" | "id" | "body" | "base">,
  wanted: Returned | undefined,
  { policy, access }: Permission,
  origin: OriginSession,
  read: ReadStored = (question) => origin.read(question),
): Promise<Result<Disclosure | undefined, NotReadNow>> {
  if (id === undefined || wanted === "minimal" || wanted === "OperationOutcome") return ok(undefined);
  const grant = evaluate(policy, access, { kind: "read", type, id });
  if (!grant.ok) return ok(undefined);
  const { expects } = grant.value;
  if (expects.kind !== "read" || expects.referrers.length > 0) return ok(undefined);
  const disclose = (bytes: Uint8Array, from: FhirBase) =>
    new Discloser(grant.value, origin.basesAt(from)).read(bytes, type, id);
  const shown = await origin.decided<Disclosure, { readonly reason: string }>(async () => {
    const said = body && disclose(body, base);
    if (said?.ok === true) return said;
    const answer = await read(grant.value.ask);
    return answer.ok ? disclose(answer.value.body, answer.value.base) : answer;
  });
  if (shown.ok) return shown;
  return ofNoRowToShow.has(shown.error.reason) ? ok(undefined) : err({ reason: "answer_unavailable" });
}

// The writer may not read the row, or a further writer has deleted it.
const ofNoRowToShow: ReadonlySet<string> = new Set([
  "absent",
  "row_outside_access",
  "row_unjudged",
  "resource_withheld",
]);
