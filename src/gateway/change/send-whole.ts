import type { BatchEntry } from "#fhir/batch";
import {
  isArray,
  isObject,
  isResource,
  objectAt,
  property,
  readObject,
  textAt,
  type Json,
  type JsonObject,
} from "#fhir/json/json";
import type { OriginWritten } from "#fhir/ports";
import { isId, type FhirBase } from "#fhir/r4/reference";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { readWhole } from "#gateway/origin/forward";
import type { HeldBytes } from "#gateway/origin/held-bytes";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import {
  heard,
  isUnknown,
  endsAfterEffects,
  type DoneWrite,
  type SendRefusal,
  type SentEnd,
} from "./send.ts";
import { storedPlace } from "./stored-place.ts";
import { underLease } from "./under-lease.ts";

/** A write of a transaction, and the name by which its entries refer to the resource. */
export interface EntryToSend {
  readonly fullUrl: BatchEntry["fullUrl"];
  /** The client prefers to see the stored resource. */
  readonly isShown: boolean;
  readonly plan: SentPlan;
}

/**
 * Sends all writes as a single transaction, once. Returns the end of each write, or a refusal: nothing was done, or
 * all outcomes are unknown.
 */
export async function sendWhole(
  sending: readonly EntryToSend[],
  origin: OriginSession,
): Promise<Result<readonly SentEnd[], SendRefusal>> {
  const plans = sending.map(({ plan }) => plan);
  const sent = await underLease(
    plans,
    origin,
    () => sendOnce(sending, origin),
    (ends) => (ends.ok ? !ends.value.some(isUnknown) : !isUnknown({ refusal: ends.error })),
  );
  const all = sent.ok ? sent.value : sending.map(() => ({ refusal: sent.error }));
  const ends = await endsAfterEffects(
    all.flatMap((end, index) => sending.slice(index, index + 1).map(({ plan }) => ({ plan, end }))),
    origin,
  );
  return sent.ok ? ok(ends) : sent;
}

async function sendOnce(
  sending: readonly EntryToSend[],
  origin: OriginSession,
): Promise<Result<readonly SentEnd[], SendRefusal>> {
  const body = `{"resourceType":"Bundle","type":"transaction","entry":[${sending.map(entryText).join(",")}]}`;
  const answer = await origin.send({ method: "POST", path: "", body });
  // the base itself: this server takes no transactions
  const said = answer?.kind === "absent" ? ({ kind: "refused", status: 404 } as const) : answer;
  return heard(said, async (written: Written) => {
    const entries = await entriesOf(written);
    if (entries === undefined || entries.length !== sending.length)
      return err({ reason: "write_answer_unfit" });
    const ends: SentEnd[] = [];
    for (const [index, entry] of sending.entries()) {
      const done = (by: WrittenEntry) => doneBy(entry, by, written.base, origin.held);
      const end = await heard(answerIn(entries[index] ?? null), done);
      ends.push(end.ok ? { done: end.value } : { refusal: end.error });
    }
    return ok(ends);
  });
}

type Written = Extract<OriginWritten, { kind: "written" }>;

async function entriesOf({ isJson, body }: Written): Promise<readonly Json[] | undefined> {
  const whole = await readWhole(body);
  const bundle = whole.ok && isJson ? readObject(whole.value) : undefined;
  const entries = isResource(bundle, "Bundle") ? property(bundle, "entry") : undefined;
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

/** An entry of an origin's answer which may say that the write was done. */
interface WrittenEntry {
  readonly kind: "written";
  /** NaN: the entry states none. */
  readonly status: number;
  readonly location: string | undefined;
  readonly resource: JsonObject | undefined;
}

const doneStatuses: ReadonlySet<number> = new Set([200, 201, 204, NaN]);

/** An entry of an origin's answer, as an answer of its own. */
function answerIn(entry: Json) {
  const members = isObject(entry) ? entry : {};
  const [response, resource] = [objectAt(members, "response"), objectAt(members, "resource")];
  const status = Number(/^\d{3}(?=\s|$)/u.exec((response && textAt(response, "status")) ?? "")?.[0]);
  if (status === 404 || status === 410) return { kind: "absent" } as const;
  if (!doneStatuses.has(status)) return { kind: "refused", status } as const;
  const location = response && textAt(response, "location");
  return { kind: "written", status, location, resource } satisfies WrittenEntry;
}

const statusOf = { POST: 201, PUT: 200, DELETE: 204 } as const;

/**
 * The write that an entry says was done. It takes only status and address from the origin's answer, and the stored
 * resource if the client prefers to see it; that is not judged yet.
 */
function doneBy(
  { plan: { write, type, id }, isShown }: EntryToSend,
  { status, location, resource }: WrittenEntry,
  base: FhirBase,
  held: HeldBytes,
): Result<DoneWrite, SendRefusal> {
  const unfit = err({ reason: "write_answer_unfit" } as const);
  if (Number.isNaN(status)) return unfit;
  const done = write.ifNone === undefined ? statusOf[write.method] : statusOf.POST;
  const unseen = { status: done, type, version: undefined, body: undefined, base } as const;
  if (done === 204) return ok({ ...unseen, id });
  const stored = resource && property(resource, "resourceType") === type ? resource : undefined;
  const place = storedPlace(location ?? "", type, base);
  const said = place?.id ?? (stored && textAt(stored, "id"));
  // As for a single write: an answer about a different resource is none to this write.
  if (id !== undefined && said !== undefined && said !== id) return unfit;
  const known = said ?? id;
  if (known === undefined || !isId(known)) return status === 201 ? ok({ ...unseen, id: undefined }) : unfit;
  const body = isShown && stored !== undefined ? utf8(JSON.stringify(stored)) : undefined;
  const hasRoom = body !== undefined && held.take(body.length);
  return ok({ ...unseen, id: known, version: place?.version, body: hasRoom ? body : undefined });
}
