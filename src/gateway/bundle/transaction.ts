import { conditionalReferences, withReferences, type BatchBundle, type BatchEntry } from "#fhir/batch";
import { isResourceType } from "#fhir/r4/elements";
import { readCriteria } from "#fhir/interaction";
import type { Reading } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import type { bodyOutcome } from "#fhir/outcome";
import { patientsNamed } from "#fhir/patients-named";
import { readQuery } from "#fhir/search/query";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import { batchText, type EntryAnswer } from "./bundle-text.ts";
import { readAsked } from "./batch-entry.ts";
import { answerBytesMax, bytesOf, type BatchScene } from "./batch.ts";
import { gather } from "#gateway/read/gather";
import { onRecord } from "#gateway/record/on-record";
import {
  decidedParts,
  disclosedParts,
  nobody,
  refusedPart,
  writePart,
  type Part,
} from "#gateway/record/parts";
import { faceOf } from "#entrypoint/gateway-face";
import type { GatewayRefusal } from "#gateway/outcome";
import type { Trail } from "#gateway/record/trail";
import { findByCriteria } from "#gateway/write/write-criteria";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { PlannedWrite } from "#gateway/write/planned-write";
import { planWrite } from "#gateway/write/write-plan";
import { sendTransaction, type EntryEnd } from "./transaction-send.ts";
import type { AskedWrite } from "#gateway/write/write-body";
import { noteWritten, type SendRefusal } from "#gateway/write/write-send";

export type TransactionRefusal =
  /** A reference that is a search finds no resource that may be seen, or several (FHIR R4 http §3.1.0.11.2). */
  | { readonly reason: "reference_unresolved" | "too_many_references" }
  /** The registry does not say that this origin does all of a transaction or nothing, nor that its operator accepts a part. */
  | { readonly reason: "transaction_not_atomic" }
  /** The origin did a part of it: what became of each entry. */
  | { readonly reason: "transaction_incomplete"; readonly issues: readonly EntryIssue[] };

type EntryIssue = Parameters<typeof bodyOutcome>[0][number];

const whole = { interaction: "transaction" } as const;
// Each is a search of its own.
const searchesMax = 100;

/** An entry that is permitted. */
type Ready =
  | {
      readonly kind: "reading";
      readonly entry: BatchEntry;
      readonly interaction: Reading;
      readonly isHead: boolean;
    }
  | Writing;

/** One that writes, and what it comes to. */
interface Writing {
  readonly kind: "writing";
  readonly entry: BatchEntry;
  readonly interaction: AskedWrite["interaction"];
  readonly plan: PlannedWrite;
}

/** One that the origin is sent. */
type Sending = Writing & { readonly plan: Extract<PlannedWrite, { kind: "send" }> };
const isSent = (one: Ready): one is Sending => one.kind === "writing" && one.plan.kind === "send";

/**
 * A transaction: each entry is permitted by itself, or nothing is done. What its references and conditions search for is found among what
 * its client may see, so that the origin is asked nothing but to write, by the versions that were judged, all or nothing.
 */
export async function transact({ entries }: BatchBundle, scene: BatchScene, trail: Trail): Promise<Response> {
  const spent = await scene.gate.spendRequests(entries.length - 1);
  if (!spent.ok) return trail.refuse(spent.error);
  const atomic = await mayBeWhole(entries, scene);
  if (!atomic.ok) return trail.refuse(atomic.error);
  const ready = await prepare(entries, scene);
  if (!ready.ok) return trail.refuse(ready.error);
  const paid = await scene.gate.spendNames(scene.origin.concerned);
  if (!paid.ok) return trail.refuse(paid.error);
  const sending = ready.value.filter(isSent);
  const still = await scene.gate.stillGood();
  if (!still.ok) return trail.refuse(still.error);

  const ends = new Map<Ready, Extract<EntryEnd, { kind: "done" }>>();
  if (sending.length > 0) {
    const refused = await trail.intendParts(sending.map((one) => partOf("intent", one, scene)));
    if (refused !== undefined) return refused;
    const toSend = sending.map(({ entry: { fullUrl }, plan }) => ({ fullUrl, plan }));
    const sent = await sendTransaction(toSend, scene.origin);
    for (const { plan } of sending) scene.origin.held.give(plan.write.body?.length ?? 0);
    const each = sending.map((one, index) => ({ one, end: sent.ok ? sent.value[index] : undefined }));
    const parts = each.map(({ one, end }) => partOf("write", one, scene, outcomeOf(end, sent)));
    for (const { one, end } of each) {
      if (end?.kind !== "done") continue;
      ends.set(one, end);
      noteWritten(one.plan, scene.origin.residences);
    }
    if (ends.size < sending.length) {
      const refusal = sent.ok
        ? unfinished(ready.value, new Map(each.map(({ one, end }) => [one, end])))
        : sent.error;
      return trail.concludeParts(
        [...parts, ...decidedParts(whole, faceOf(refusal).status, scene.origin)],
        refusal,
      );
    }
    await trail.noteParts(parts);
  }
  const parts: Part[] = [...decidedParts(whole, 200, scene.origin)];
  const answers: EntryAnswer[] = [];
  const room = { bytes: answerBytesMax };
  for (const one of ready.value) answers.push(await answerTo(one, ends.get(one), scene, parts, room));
  const empty: Part = { kind: "notice", what: whole, outcome: { status: 200 }, ...nobody };
  const last = parts.length === 0 && sending.length === 0 ? [empty] : parts;
  return trail.concludeParts(last, batchText("transaction", answers, scene.requestId));
}

/** Of one write there is no part. Asked before anything else, since the rows that entries mean must not decide it. */
async function mayBeWhole(
  entries: readonly BatchEntry[],
  { origin }: BatchScene,
): Promise<Result<undefined, GatewayRefusal>> {
  const writes = entries.filter(({ method }) => method !== "GET" && method !== "HEAD");
  const { transactions } = (await origin.traits()) ?? {};
  return writes.length > 1 && transactions === undefined
    ? err({ reason: "transaction_not_atomic" })
    : ok(undefined);
}

function outcomeOf(
  end: EntryEnd | undefined,
  sent: Result<unknown, GatewayRefusal>,
): NonNullable<Part["outcome"]> {
  if (end?.kind === "done") return { status: end.status };
  const refusal = end?.refusal ?? (sent.ok ? ({ reason: "write_answer_unfit" } as const) : sent.error);
  return { status: faceOf(refusal).status, reason: refusal.reason };
}

/** Where no entry was done, and that is known of each, the first says why; else each says what became of it. */
function unfinished(ready: readonly Ready[], ends: ReadonlyMap<Ready, EntryEnd | undefined>): GatewayRefusal {
  const all = [...ends.values()];
  const [first] = all;
  const isKnown = (end: EntryEnd | undefined) => end?.kind === "refused" && !isUnanswered(end.refusal);
  if (first?.kind === "refused" && all.every(isKnown)) return first.refusal;
  return {
    reason: "transaction_incomplete",
    issues: ready.map((one, index) => issueOf(one, ends.get(one), `Bundle.entry[${index}]`)),
  };
}

const isUnanswered = ({ reason }: SendRefusal) =>
  reason === "write_outcome_unknown" || reason === "write_answer_unfit";

function issueOf(one: Ready, end: EntryEnd | undefined, expression: string): EntryIssue {
  if (one.kind === "reading")
    return { severity: "information", code: "informational", text: "It was not read.", expression };
  if (one.plan.kind !== "send")
    return { severity: "information", code: "informational", text: "Nothing had to be done.", expression };
  if (end?.kind === "done")
    return {
      severity: "information",
      code: "informational",
      text: `It was done: ${end.status}.`,
      expression,
    };
  const { code, text } = faceOf(end?.refusal ?? { reason: "write_answer_unfit" });
  return { severity: "error", code, text, expression };
}

async function answerTo(
  one: Ready,
  end: Extract<EntryEnd, { kind: "done" }> | undefined,
  scene: BatchScene,
  parts: Part[],
  room: { bytes: number },
): Promise<EntryAnswer> {
  if (one.kind === "reading") return read(one, scene, parts, room);
  const { plan } = one;
  switch (plan.kind) {
    case "send":
      if (end === undefined) throw new Error("a write of a transaction without an end");
      return end.location === undefined
        ? { status: end.status }
        : { status: end.status, location: end.location };
    case "found":
      parts.push(partOf("write", one, scene, { status: 200 }));
      return { status: 200, location: `${scene.origin.base}/${plan.type}/${plan.id}` };
    case "nothing":
      parts.push(partOf("write", one, scene, { status: 204 }));
      return { status: 204 };
  }
}

/** Everything that can be decided before anything is done; the first entry that is refused refuses the whole. */
async function prepare(
  entries: readonly BatchEntry[],
  scene: BatchScene,
): Promise<Result<readonly Ready[], GatewayRefusal>> {
  const places = await placesOf(entries, scene);
  if (!places.ok) return places;
  const ready: Ready[] = [];
  for (const entry of entries) {
    const resource = entry.resource && referringTo(entry.resource, places.value);
    const asked = readAsked(entry, resource, scene.origin.base, scene.prefer);
    if (!asked.ok) return asked;
    const interaction =
      asked.value.kind === "reading" ? asked.value.interaction : asked.value.write.interaction;
    const naming = scene.origin.nameAsked(patientsNamed(interaction), scene.access);
    if (!naming.ok) return naming;
    if (asked.value.kind === "reading") {
      const grant = evaluate(scene.policy, scene.access, asked.value.interaction);
      if (!grant.ok) return grant;
      ready.push({
        kind: "reading",
        entry,
        interaction: asked.value.interaction,
        isHead: asked.value.isHead,
      });
      continue;
    }
    const plan = await planWrite(asked.value.write, scene);
    if (!plan.ok) return plan;
    ready.push({ kind: "writing", entry, interaction: asked.value.write.interaction, plan: plan.value });
  }
  return ok(ready);
}

const referringTo = (resource: JsonObject, places: ReadonlyMap<string, string>): JsonObject =>
  withReferences(resource, (reference) => places.get(reference)) as JsonObject; // of an object it makes an object

/**
 * Where references lead that are no address yet: what an entry calls a resource that is there already, by its `fullUrl`, and what a search
 * in place of an address finds. What the transaction creates keeps its `urn:`, which the origin resolves.
 */
async function placesOf(
  entries: readonly BatchEntry[],
  scene: BatchScene,
): Promise<Result<ReadonlyMap<string, string>, GatewayRefusal>> {
  const places = new Map<string, string>();
  for (const { fullUrl, method, segments } of entries) {
    const [type, id] = segments;
    if (fullUrl !== undefined && method !== "POST" && type !== undefined && id !== undefined)
      places.set(fullUrl, `${type}/${id}`);
  }
  const searched = new Set(
    entries.flatMap(({ resource }) => (resource === undefined ? [] : conditionalReferences(resource))),
  );
  const conditional = entries.filter(
    ({ method, fullUrl, header }) =>
      method === "POST" && fullUrl !== undefined && header("if-none-exist") !== null,
  );
  if (searched.size + conditional.length > searchesMax) return err({ reason: "too_many_references" });
  for (const reference of searched) {
    const [type = "", query = ""] = splitAt(reference);
    const found = await findOne(type, query, scene);
    if (!found.ok) return found;
    if (found.value === undefined) return err({ reason: "reference_unresolved" });
    places.set(reference, `${type}/${found.value}`);
  }
  for (const { fullUrl = "", segments, header } of conditional) {
    const [type = ""] = segments;
    const found = await findOne(type, (header("if-none-exist") ?? "").replace(/^\?/u, ""), scene);
    if (!found.ok) return found;
    if (found.value !== undefined) places.set(fullUrl, `${type}/${found.value}`);
  }
  return ok(places);
}

const splitAt = (reference: string): readonly string[] => [
  reference.slice(0, reference.indexOf("?")),
  reference.slice(reference.indexOf("?") + 1),
];

async function findOne(
  type: string,
  query: string,
  scene: BatchScene,
): Promise<Result<string | undefined, GatewayRefusal>> {
  if (!isResourceType(type)) return err({ reason: "resource_type_unknown" });
  const pairs = readQuery(query);
  if (!pairs.ok) return pairs;
  const criteria = readCriteria(type, pairs.value, scene.origin.base);
  return criteria.ok ? findByCriteria(criteria.value, scene) : criteria;
}

function partOf(
  kind: "intent" | "write",
  { entry, interaction, plan }: Writing,
  { origin }: BatchScene,
  outcome: NonNullable<Part["outcome"]> = {},
): Part {
  const place = plan.kind === "nothing" || plan.id === undefined ? {} : { type: plan.type, id: plan.id };
  const what = { ...onRecord(interaction), ...place, method: entry.method, path: entry.segments.join("/") };
  return writePart(kind, what, plan.kind === "nothing" ? concernsNobody : plan.concerned, {
    origin,
    outcome,
  });
}

/** Reads come last, and see what was written (FHIR R4 http §3.1.0.11.2). What was done stays done when one of them finds nothing. */
async function read(
  { entry, interaction, isHead }: Extract<Ready, { kind: "reading" }>,
  scene: BatchScene,
  parts: Part[],
  room: { bytes: number },
): Promise<EntryAnswer> {
  const { policy, access, at, who, pages } = scene;
  const origin = scene.origin.forEntry();
  const what = { ...onRecord(interaction), method: entry.method, path: entry.segments.join("/") };
  const naming = origin.nameAsked(patientsNamed(interaction), access);
  const grant = naming.ok ? evaluate(policy, access, interaction) : naming;
  const found = grant.ok
    ? await gather({ origin, at, who, grant: grant.value, place: undefined }, pages)
    : grant;
  const joined =
    found.ok && bytesOf(found.value) <= room.bytes && origin.held.take(bytesOf(found.value))
      ? origin.concerned.join(found.value)
      : undefined;
  if (!found.ok || joined === undefined)
    return refuse(found.ok ? { reason: "answer_too_large" } : found.error);
  const still = await scene.gate.stillGood();
  const spent = still.ok ? await scene.gate.spendRecords(found.value, origin.concerned) : still;
  if (!spent.ok) return refuse(spent.error);
  room.bytes -= bytesOf(found.value);
  parts.push(...disclosedParts(what, 200, joined, origin));
  return { status: 200, disclosure: found.value, bodiless: isHead };

  async function refuse(decided: GatewayRefusal): Promise<EntryAnswer> {
    const paid = await scene.gate.spendNames(origin.concerned);
    const refusal = paid.ok ? decided : paid.error;
    const { status } = faceOf(refusal);
    parts.push(
      refusedPart(what, status, refusal.reason, origin),
      ...(paid.ok ? decidedParts(what, status, origin) : []),
    );
    return { status, refusal };
  }
}
