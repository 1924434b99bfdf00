import { utf8 } from "#fhir/json/bytes";
import type { ResourceType } from "#fhir/r4/elements";
import { isObject, property, readJson, textAt } from "#fhir/json/json";
import type { OriginWritten } from "#fhir/ports";
import { isId, readingsBelow, type FhirBase } from "#fhir/r4/reference";
import type { Returned } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { Discloser } from "#phi/disclose";
import type { Disclosure } from "#phi/disclosure";
import type { Residences } from "#residence/row-residences";
import { evaluate } from "#policy/evaluate";
import { readWhole } from "#gateway/origin/forward";
import type { Permission } from "#gateway/admission/permit";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { PlannedWrite } from "./planned-write.ts";

/** What the origin made of a write that it was sent. */
export type SendRefusal =
  | { readonly reason: "origin_unknown" | "absent" }
  | { readonly reason: "origin_circuit_open" | "origin_throttled"; readonly retryAfterSeconds: number }
  | {
      readonly reason: "origin_refused" | "write_conflict" | "write_precondition_failed" | "write_rejected";
      readonly status: number;
    }
  /** Nobody knows whether it was done: the origin did not answer, the connection broke, or what it answered says neither that it was done nor that not. */
  | { readonly reason: "write_outcome_unknown" | "write_answer_unfit" };

/** A write that was done. */
export interface DoneWrite {
  readonly status: 200 | 201 | 204;
  readonly type: ResourceType;
  /** `undefined`: the origin did not say under which it created it. */
  readonly id: string | undefined;
  /** Of what is stored now, where the origin says it. */
  readonly version: string | undefined;
  /** What the origin says that it holds now, before anything is decided about it; `undefined`: nothing. */
  readonly body: Uint8Array | undefined;
  readonly base: FhirBase;
}

/** Where a Patient lives now that the write is done. */
export function noteWritten(
  { type, write }: Extract<PlannedWrite, { kind: "send" }>,
  residences: Residences,
): void {
  const read = type === "Patient" && write.body !== undefined ? readJson(utf8(write.body)) : undefined;
  if (read?.ok === true && isObject(read.value)) residences.note(read.value);
}

/** Sends a write, once. */
export async function sendWrite(
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
      return err({ reason: "origin_circuit_open", retryAfterSeconds: answer.retryAfterSeconds });
    case "written": {
      const whole = await readWhole(answer.body); // that it breaks off says nothing about the write
      const body = whole.ok && whole.value.length > 0 ? whole.value : undefined;
      const said = placeIn(answer, type, body);
      if (!isAnswerTo(planned, answer, whole.ok ? body : "broken", said.id))
        return err({ reason: "write_answer_unfit" });
      const status = write.method === "POST" ? 201 : write.method === "PUT" ? 200 : 204;
      return ok({ status, type, id: planned.id ?? said.id, version: said.version, body, base: answer.base });
    }
  }
}

/**
 * Whether a 200, 201 or 204 is an answer to the write: a page to sign in at is none. A create is answered 201, or names what it made; a body is
 * the resource, or says how it went.
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
 * 409 and 412: somebody else was there in between. 400 and 422: it is not taken by rules of the origin's own. 429: not now. 408, 5xx and
 * whatever says neither yes nor no: nobody knows.
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

/** Where a resource stands now: by the body, or by `Location`, which is the origin's own address and never leaves. */
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
  const [below] = readingsBelow(location ?? "", base);
  // Below whatever path the server calls its base; an address elsewhere is none of its own.
  const { of, id, at } =
    /^(?:[A-Za-z0-9_-]+\/)*(?<of>[A-Za-z]+)\/(?<id>[A-Za-z0-9.-]{1,64})(?:\/_history\/(?<at>[A-Za-z0-9.-]{1,64}))?$/u.exec(
      below ?? "",
    )?.groups ?? {};
  const isPlace = of === type;
  const said = (resource && textAt(resource, "id")) ?? (isPlace ? id : undefined);
  const stored = isObject(meta) ? textAt(meta, "versionId") : undefined;
  const known = stored ?? (isPlace ? at : undefined);
  return {
    id: said !== undefined && isId(said) ? said : undefined,
    version: known !== undefined && isId(known) ? known : undefined,
  };
}

/** What of a stored resource may be in the answer to a write: what its writer may read of it, cut as for a read; nothing where that is not so. */
export async function represent(
  { type, id, body, base }: Pick<DoneWrite, "type" | "id" | "body" | "base">,
  wanted: Returned | undefined,
  { policy, access }: Permission,
  origin: OriginSession,
): Promise<Disclosure | undefined> {
  if (id === undefined || wanted === "minimal" || wanted === "OperationOutcome") return undefined;
  const grant = evaluate(policy, access, { kind: "read", type, id });
  if (!grant.ok) return undefined;
  const { expects } = grant.value;
  if (expects.kind !== "read" || expects.referrers.length > 0) return undefined;
  const disclose = (bytes: Uint8Array, from: FhirBase) =>
    new Discloser(grant.value, origin.basesAt(from)).read(bytes, type, id);
  const said = body && disclose(body, base);
  if (said?.ok === true) return said.value;
  const answer = await origin.read(grant.value.ask);
  if (!answer.ok) return undefined;
  const read = disclose(answer.value.body, answer.value.base);
  return read.ok ? read.value : undefined;
}
