import type { BatchEntry } from "#fhir/batch";
import { isArray, isObject, property, readJson, textAt, type Json } from "#fhir/json/json";
import type { OriginWritten } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { readWhole } from "#gateway/origin/forward";
import type { HeldBytes } from "#gateway/origin/held-bytes";
import type { OriginSession } from "#gateway/origin/origin-session";
import { storedPlace } from "#gateway/write/stored-place";
import type { PlannedWrite } from "#gateway/write/planned-write";
import { underLease } from "#gateway/write/under-lease";
import { notSent } from "#gateway/origin/forward";
import {
  isSettled,
  refusalOf,
  writtenConsent,
  type DoneWrite,
  type SendRefusal,
} from "#gateway/write/write-send";

/** A write of a transaction, and the name by which its entries refer to the resource. */
export interface EntryToSend {
  readonly fullUrl: BatchEntry["fullUrl"];
  /** The client prefers to see the stored resource. */
  readonly isShown: boolean;
  readonly plan: Extract<PlannedWrite, { kind: "send" }>;
}

/** The end of a write of a transaction, by its own status in the origin's answer. */
export type EntryEnd =
  | { readonly kind: "done"; readonly write: DoneWrite }
  /** The write was not done, or its outcome is unknown: the reason says so. */
  | {
      readonly kind: "refused";
      readonly refusal: SendRefusal;
      /** The write is done all the same: a Consent that is not filed. */
      readonly done?: DoneWrite;
    };

/**
 * Sends all writes as a single transaction, once, and files its Consents as the origin has them then. Returns the
 * end of each write, or a refusal: nothing was done, or all outcomes are unknown.
 */
export async function sendTransaction(
  sending: readonly EntryToSend[],
  origin: OriginSession,
): Promise<Result<readonly EntryEnd[], SendRefusal>> {
  const plans = sending.map(({ plan }) => plan);
  const sent = await underLease(plans, origin, () => sendOnce(sending, origin), areSettled);
  const isConsent = ({ plan }: EntryToSend) => plan.type === "Consent";
  if (!sending.some(isConsent)) return sent;
  const ends = sent.ok ? sent.value : [];
  const written = sending.flatMap(({ plan }, index) => {
    const end = ends[index];
    const mayBeDone = !sent.ok || end?.kind === "done" || (end !== undefined && isUnknown(end.refusal));
    const done = end?.kind === "done" ? end.write : undefined;
    const id = plan.id ?? done?.id;
    return plan.type === "Consent" && mayBeDone ? [{ index, id, plan, version: done?.version }] : [];
  });
  const known = written.flatMap(({ id, plan, version }) =>
    id === undefined ? [] : [writtenConsent(id, plan, version)],
  );
  const filed = await origin.fileConsents(known);
  if (!sent.ok) return sent;
  const isUnfiled = (id: string) => !filed.ok && filed.error.unfiled.has(id);
  const unfiled = new Set(
    written.flatMap(({ id, index }) => (id === undefined || isUnfiled(id) ? [index] : [])),
  );
  return ok(
    ends.map((end, index) =>
      unfiled.has(index) && end.kind === "done"
        ? { kind: "refused", refusal: { reason: "consent_not_filed" }, done: end.write }
        : end,
    ),
  );
}

const areSettled = (sent: Result<readonly EntryEnd[], SendRefusal>): boolean =>
  sent.ok
    ? sent.value.every((end) => end.kind === "done" || isSettled({ ok: false, error: end.refusal }))
    : isSettled(sent);

const isUnknown = ({ reason }: SendRefusal): boolean =>
  reason === "write_outcome_unknown" || reason === "write_answer_unfit";

async function sendOnce(
  sending: readonly EntryToSend[],
  origin: OriginSession,
): Promise<Result<readonly EntryEnd[], SendRefusal>> {
  const body = `{"resourceType":"Bundle","type":"transaction","entry":[${sending.map(entryText).join(",")}]}`;
  const answer = await origin.send({ method: "POST", path: "", body });
  switch (answer?.kind) {
    case undefined:
      return err({ reason: "origin_unknown" });
    case "absent":
      // the base itself: this server takes no transactions
      return err({ reason: "origin_refused", status: 404 });
    case "refused":
      return err(refusalOf(answer));
    case "unreachable":
    case "timed_out":
      return err({ reason: "write_outcome_unknown" });
    case "circuit_open":
      return err({ reason: notSent[answer.because], retryAfterSeconds: answer.retryAfterSeconds });
    case "written": {
      const entries = await entriesOf(answer);
      if (entries === undefined || entries.length !== sending.length)
        return err({ reason: "write_answer_unfit" });
      return ok(
        sending.map((entry, index) => endOf(entry, entries[index] ?? null, answer.base, origin.held)),
      );
    }
  }
}

async function entriesOf({
  isJson,
  body,
}: Extract<OriginWritten, { kind: "written" }>): Promise<readonly Json[] | undefined> {
  const whole = await readWhole(body);
  const read = whole.ok && isJson ? readJson(whole.value) : undefined;
  if (read?.ok !== true || !isObject(read.value) || property(read.value, "resourceType") !== "Bundle")
    return undefined;
  const entries = property(read.value, "entry");
  return isArray(entries) ? entries : undefined;
}

// A name that is an address could be the address of a further entry's patient: the origin would redirect
// references that were judged already. So it would by the name of a row that exists: only a new row has a name.
const ownName = /^urn:(?:uuid|oid):[0-9A-Za-z.-]{1,64}$/u;

/** A write as an entry for the origin. */
export function entryText({
  fullUrl,
  plan: { write },
}: Pick<EntryToSend, "fullUrl"> & { readonly plan: Pick<EntryToSend["plan"], "write"> }): string {
  const { method, path, body, version, ifNone } = write;
  const request = JSON.stringify({
    method,
    url: path,
    ...(version === undefined ? {} : { ifMatch: `W/"${version}"` }),
    ...(ifNone === "same id" && { ifNoneMatch: "*" }),
    ...(typeof ifNone === "object" && { ifNoneExist: ifNone.matches }),
  });
  const isNew = method === "POST" || ifNone !== undefined;
  const isNamed = isNew && fullUrl !== undefined && ownName.test(fullUrl);
  const name = isNamed ? `"fullUrl":${JSON.stringify(fullUrl)},` : "";
  return `{${name}${body === undefined ? "" : `"resource":${body},`}"request":${request}}`;
}

const doneBy = { POST: 201, PUT: 200, DELETE: 204 } as const;

/**
 * The end of an entry. It takes only status and address from the origin's answer, and the stored resource if the
 * client prefers to see it; that is not judged yet.
 */
function endOf(
  { plan: { write, type, id }, isShown }: EntryToSend,
  entry: Json,
  base: FhirBase,
  held: HeldBytes,
): EntryEnd {
  const response = isObject(entry) ? property(entry, "response") : undefined;
  const status = isObject(response)
    ? Number(/^\d{3}(?=\s|$)/u.exec(textAt(response, "status") ?? "")?.[0])
    : NaN;
  if (status === 404 || status === 410) return { kind: "refused", refusal: { reason: "absent" } };
  if (status !== 200 && status !== 201 && status !== 204)
    return {
      kind: "refused",
      refusal: Number.isNaN(status)
        ? { reason: "write_answer_unfit" }
        : refusalOf({ kind: "refused", status }),
    };
  const done = write.ifNone === undefined ? doneBy[write.method] : doneBy.POST;
  const unseen = { status: done, type, version: undefined, body: undefined, base } as const;
  if (done === 204) return { kind: "done", write: { ...unseen, id } };
  const resource = isObject(entry) ? property(entry, "resource") : undefined;
  const stored = isObject(resource) && property(resource, "resourceType") === type ? resource : undefined;
  const place = storedPlace(
    (isObject(response) ? textAt(response, "location") : undefined) ?? "",
    type,
    base,
  );
  const said = place?.id ?? (stored && textAt(stored, "id"));
  // As for a single write: an answer about a different resource is none to this write.
  if (id !== undefined && said !== undefined && said !== id)
    return { kind: "refused", refusal: { reason: "write_answer_unfit" } };
  const known = said ?? id;
  if (known === undefined || !isId(known))
    return status === 201
      ? { kind: "done", write: { ...unseen, id: undefined } }
      : { kind: "refused", refusal: { reason: "write_answer_unfit" } };
  const body = isShown && stored !== undefined ? utf8(JSON.stringify(stored)) : undefined;
  const hasRoom = body !== undefined && held.take(body.length);
  return {
    kind: "done",
    write: { ...unseen, id: known, version: place?.version, body: hasRoom ? body : undefined },
  };
}
