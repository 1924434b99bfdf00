import { conditionalReferences, withReferences, type BatchEntry } from "#fhir/batch";
import { isResourceType } from "#fhir/r4/elements";
import { readCriteria, type Interaction, type Reading } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import { patientsNamed } from "#fhir/patients-named";
import { conditionQuery } from "#fhir/preconditions";
import { readQuery } from "#fhir/search/query";
import { faceOf } from "#entrypoint/gateway-face";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import type { NextLinks } from "#gateway/admission/page-links";
import type { Permission } from "#gateway/admission/permit";
import { bytesOf, type GateRefusal } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { gather } from "#gateway/read/gather";
import { onRecord } from "#gateway/record/on-record";
import { decidedParts, writePart, type Part } from "#gateway/record/parts";
import { afterIntent, type ProofReplayed } from "#gateway/write/after-intent";
import { sizeHeldBy, type PlannedWrite, type PlanRefusal } from "#gateway/write/planned-write";
import type { AskedWrite } from "#gateway/write/write-body";
import { findByCriteria } from "#gateway/write/write-criteria";
import { earlierWrite, refileConsent } from "#gateway/write/refile-consent";
import { planWrite } from "#gateway/write/write-plan";
import { noteWritten, type SendRefusal } from "#gateway/write/write-send";
import { isUnanswered, type SettledWrite, type SettleRefusal } from "#gateway/write/write-attempt";
import { isWriteEntry, readAsked, type AskedBundle, type EntryReadRefusal } from "./batch-entry.ts";
import type { BundleAttempt, SentEnd } from "./bundle-attempt.ts";
import type { BundleGate } from "./batch.ts";
import type { BundleOutcome, BundleRecord, EntryIssue, TransactionRefusal } from "./bundle-outcome.ts";
import { EntryOutcome } from "./entry-outcome.ts";
import { answerSettled } from "./settled-entry.ts";
import { sendTransaction, type EntryEnd } from "./transaction-send.ts";

const whole = { interaction: "transaction" } as const;
// Each reference is a search of its own.
const searchesMax = 100;

/** A permitted entry. */
type Ready =
  | {
      readonly kind: "reading";
      readonly entry: BatchEntry;
      readonly interaction: Reading;
      readonly isHead: boolean;
    }
  | Writing;

/** A permitted write, with its plan. */
interface Writing {
  readonly kind: "writing";
  readonly entry: BatchEntry;
  readonly write: AskedWrite;
  readonly plan: PlannedWrite;
}

type Done = Extract<EntryEnd, { kind: "done" }>;

/** A write that goes to the origin. */
type Sending = Writing & { readonly plan: Extract<PlannedWrite, { kind: "send" }> };
const isSent = (one: Ready): one is Sending => one.kind === "writing" && one.plan.kind === "send";

/** Why nothing of a transaction was sent to the origin. */
export type UnsentTransaction =
  | GateRefusal
  | ProofReplayed
  | PlanRefusal
  | EntryReadRefusal
  | TransactionRefusal
  | SettleRefusal;

/**
 * A transaction: each entry is permitted by itself, or nothing is done. The gateway resolves references and
 * conditions among the rows that the client may see. The origin only gets the writes, conditioned on the
 * judged versions, all or nothing.
 */
export async function transact(
  { entries, prefer }: AskedBundle,
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
  gate: BundleGate,
  record: BundleRecord,
  once?: BundleAttempt,
): Promise<Result<BundleOutcome, UnsentTransaction>> {
  const spent = await gate.spendRequests(entries.length - 1);
  if (!spent.ok) return spent;
  const atomic = await mayBeWhole(entries, origin);
  if (!atomic.ok) return atomic;
  const settled = once === undefined ? ok(undefined) : await once.settleWhole(atomic.value);
  if (!settled.ok) return settled;
  const writes = entries.flatMap((entry, index) => (isWriteEntry(entry) ? [index] : []));
  if (once !== undefined && settled.value !== undefined) {
    await once.ended(new Map(), writes);
    return answerDone(entries, prefer, { once, settled: settled.value }, permission, origin, links);
  }
  const planned = await prepared(entries, prefer, permission, origin);
  if (!planned.ok) return err(once?.refusalOf(planned.error) ?? planned.error);
  const ready = once === undefined ? planned : await underKey(planned.value, once);
  if (!ready.ok) return ready;
  const paid = await gate.spendNames(origin.concerned);
  if (!paid.ok) return paid;

  const sending = ready.value.filter(isSent);
  const sent = await sendAll(sending, origin, gate, record, once);
  if (!sent.ok) return sent;
  const ends = new Map(
    sending.map((one, index) => [one, sent.value.ok ? sent.value.value[index] : undefined]),
  );
  const indices = new Map(ready.value.map((one, index) => [one, index]));
  await once?.ended(
    new Map(sending.map((one) => [indices.get(one) ?? 0, sentEnd(one, ends.get(one), sent.value)])),
    writes,
  );
  const parts = sending.map((one) => partOf("write", one, origin, outcomeOf(ends.get(one), sent.value)));
  const done = new Map<Ready, Done>();
  for (const [one, end] of ends) if (end?.kind === "done") done.set(one, end);
  for (const one of sending) if (done.has(one)) noteWritten(one.plan, origin.residences);
  if (done.size < sending.length) {
    const said = sent.value.ok ? unfinished(ready.value, ends) : sent.value.error;
    const decided = decidedParts(whole, faceOf(said).status, origin);
    return ok({ kind: "transaction", parts: [...parts, ...decided], said });
  }
  if (parts.length > 0) await record.noteParts(parts);
  const said: EntryOutcome[] = [];
  for (const one of ready.value)
    said.push(
      one.kind === "reading" ? await read(one, permission, origin, links) : written(one, done, origin),
    );
  return ok({ kind: "transaction", parts: decidedParts(whole, 200, origin), said });
}

/**
 * Sends all writes as a single transaction, when all intents are on record. Without writes the gate is asked
 * again all the same.
 */
async function sendAll(
  sending: readonly Sending[],
  origin: OriginSession,
  gate: BundleGate,
  record: BundleRecord,
  once: BundleAttempt | undefined,
): Promise<Result<Result<readonly EntryEnd[], SendRefusal>, GateRefusal | ProofReplayed>> {
  if (sending.length === 0) {
    const still = await gate.stillGood();
    return still.ok ? ok(ok([])) : still;
  }
  const sent = await afterIntent(
    gate,
    () => record.intendParts(sending.map((one) => partOf("intent", one, origin))),
    async () => {
      await once?.sending(sending.length);
      return sendTransaction(
        sending.map(({ entry: { fullUrl }, plan }) => ({ fullUrl, plan })),
        origin,
      );
    },
  );
  if (sent.ok) for (const { plan } of sending) origin.held.give(sizeHeldBy(plan));
  return sent;
}

/** The writes as they are sent under a key. */
async function underKey(
  ready: readonly Ready[],
  once: BundleAttempt,
): Promise<Result<readonly Ready[], UnsentTransaction>> {
  const prepared: Ready[] = [];
  for (const [index, one] of ready.entries()) {
    const plan = one.kind === "writing" ? await once.prepare(index, one.plan) : undefined;
    if (plan?.ok === false) return plan;
    prepared.push(one.kind === "writing" && plan?.ok === true ? { ...one, plan: plan.value } : one);
  }
  return ok(prepared);
}

/** The end of a write as its key stores it. */
function sentEnd({ plan }: Sending, end: EntryEnd | undefined, sent: Result<unknown, SendRefusal>): SentEnd {
  const done = end?.kind === "refused" ? end.done : end;
  if (done === undefined) {
    const refusal =
      (end?.kind === "refused" ? end.refusal : undefined) ??
      (sent.ok ? ({ reason: "write_answer_unfit" } as const) : sent.error);
    return isUnanswered(refusal) ? "unknown" : "nothing";
  }
  const at = new RegExp(`/${plan.type}/(?<id>[^/]+)(?:/_history/(?<version>[^/]+))?$`, "u");
  const place = at.exec(done.location ?? "")?.groups;
  return { status: done.status, type: plan.type, id: plan.id ?? place?.["id"], version: place?.["version"] };
}

/** A transaction that was done before this request: its reads are made again, and nothing is sent. */
async function answerDone(
  entries: readonly BatchEntry[],
  prefer: string | null,
  { once, settled }: { readonly once: BundleAttempt; readonly settled: ReadonlyMap<number, SettledWrite> },
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
): Promise<Result<BundleOutcome, UnsentTransaction>> {
  const answers: (() => Promise<EntryOutcome>)[] = [];
  // its Consents are filed before its reads are judged
  for (const [index, entry] of entries.entries()) {
    const asked = readAsked(entry, entry.resource, origin.base, prefer);
    if (!asked.ok) return asked;
    if (asked.value.kind === "reading") {
      const { interaction, isHead } = asked.value;
      answers.push(() => read({ kind: "reading", entry, interaction, isHead }, permission, origin, links));
      continue;
    }
    const end = settled.get(index);
    if (end === undefined) throw new Error("a write of a done transaction has no end");
    const filed = await refileConsent(asked.value.write, end.end, permission, origin);
    if (!filed.ok) return filed;
    const outcome = new EntryOutcome(whatOf(entry, asked.value.write.interaction), origin, true);
    answerSettled(outcome, end, once.isRepeat(index));
    answers.push(async () => outcome);
  }
  const said: EntryOutcome[] = [];
  for (const answer of answers) said.push(await answer());
  return ok({ kind: "transaction", parts: [], said });
}

/**
 * A single write has no parts. This check comes first, because the rows of the entries must not decide it.
 *
 * @returns true if the origin does all of the transaction or nothing.
 */
async function mayBeWhole(
  entries: readonly BatchEntry[],
  origin: OriginSession,
): Promise<Result<boolean, TransactionRefusal>> {
  const isSingle = entries.filter(isWriteEntry).length <= 1;
  const { transactions } = (await origin.traits()) ?? {};
  return !isSingle && transactions === undefined
    ? err({ reason: "transaction_not_atomic" })
    : ok(isSingle || transactions === "atomic");
}

function outcomeOf(
  end: EntryEnd | undefined,
  sent: Result<unknown, SendRefusal>,
): NonNullable<Part["outcome"]> {
  if (end?.kind === "done") return { status: end.status };
  const refusal = end?.refusal ?? (sent.ok ? ({ reason: "write_answer_unfit" } as const) : sent.error);
  return { status: faceOf(refusal).status, reason: refusal.reason };
}

/**
 * If the gateway knows that no entry was done, the refusal of the first entry is the answer; otherwise each
 * entry has its own end.
 */
function unfinished(
  ready: readonly Ready[],
  ends: ReadonlyMap<Ready, EntryEnd | undefined>,
): SendRefusal | TransactionRefusal {
  const all = [...ends.values()];
  const [first] = all;
  const isKnown = (end: EntryEnd | undefined) => end?.kind === "refused" && !isUnanswered(end.refusal);
  if (first?.kind === "refused" && all.every(isKnown)) return first.refusal;
  return {
    reason: "transaction_incomplete",
    issues: ready.map((one, index) => issueOf(one, ends.get(one), `Bundle.entry[${index}]`)),
  };
}

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

/** The answer to a write. All writes are settled together: the rows that decided them are on record once. */
function written(one: Writing, done: ReadonlyMap<Ready, Done>, origin: OriginSession): EntryOutcome {
  const { plan, entry, write } = one;
  const outcome = new EntryOutcome(whatOf(entry, write.interaction), origin, true);
  switch (plan.kind) {
    case "send": {
      const end = done.get(one);
      if (end === undefined) throw new Error("a write of a transaction without an end");
      const { status, location } = end;
      outcome.answer = location === undefined ? { status } : { status, location };
      return outcome;
    }
    case "found":
      outcome.parts.push(partOf("write", one, origin, { status: 200 }));
      outcome.answer = { status: 200, location: `${origin.base}/${plan.type}/${plan.id}` };
      return outcome;
    case "nothing":
      outcome.parts.push(partOf("write", one, origin, { status: 204 }));
      outcome.answer = { status: 204 };
      return outcome;
  }
}

const whatOf = (entry: BatchEntry, interaction: Interaction) => ({
  ...onRecord(interaction),
  method: entry.method,
  path: entry.segments.join("/"),
});

/**
 * Prepares all entries. A Consent that `If-None-Exist` finds may not be filed yet: then it is filed first, and the
 * entries are decided again by the Consents of now.
 */
async function prepared(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly Ready[], UnsentTransaction>> {
  const { generation } = origin;
  const ready = await origin.decided(() => prepare(entries, prefer, permission, origin));
  if (!ready.ok) return ready;
  for (const one of ready.value) {
    const earlier = one.kind === "writing" ? earlierWrite(one.write, ok(one.plan)) : undefined;
    if (one.kind === "reading" || earlier === undefined) continue;
    const filed = await refileConsent(one.write, earlier, permission, origin);
    if (!filed.ok) return filed;
  }
  if (generation === origin.generation) return ready;
  return origin.decided(() => prepare(entries, prefer, permission, origin));
}

/** Decides about all entries before anything is done. The first refused entry refuses the whole. */
async function prepare(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly Ready[], UnsentTransaction>> {
  const places = await placesOf(entries, permission, origin);
  if (!places.ok) return places;
  const ready: Ready[] = [];
  for (const entry of entries) {
    const resource = entry.resource && referringTo(entry.resource, places.value);
    const asked = readAsked(entry, resource, origin.base, prefer);
    if (!asked.ok) return asked;
    const interaction =
      asked.value.kind === "reading" ? asked.value.interaction : asked.value.write.interaction;
    const naming = origin.nameAsked(patientsNamed(interaction), permission.access);
    if (!naming.ok) return naming;
    if (asked.value.kind === "reading") {
      const grant = evaluate(permission.policy, permission.access, asked.value.interaction);
      if (!grant.ok) return grant;
      ready.push({
        kind: "reading",
        entry,
        interaction: asked.value.interaction,
        isHead: asked.value.isHead,
      });
      continue;
    }
    const plan = await planWrite(asked.value.write, permission, origin);
    if (!plan.ok) return plan;
    ready.push({ kind: "writing", entry, write: asked.value.write, plan: plan.value });
  }
  return ok(ready);
}

const referringTo = (resource: JsonObject, places: ReadonlyMap<string, string>): JsonObject =>
  withReferences(resource, (reference) => places.get(reference)) as JsonObject; // an object stays an object

/**
 * Resolves references that are not addresses: the `fullUrl` of an entry for an existing resource, and a
 * search in place of an address. A resource that the transaction creates keeps its `urn:`, which the origin
 * resolves.
 */
async function placesOf(
  entries: readonly BatchEntry[],
  permission: Permission,
  origin: OriginSession,
): Promise<Result<ReadonlyMap<string, string>, UnsentTransaction>> {
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
    const found = await findOne(type, query, permission, origin);
    if (!found.ok) return found;
    if (found.value === undefined) return err({ reason: "reference_unresolved" });
    places.set(reference, `${type}/${found.value}`);
  }
  for (const { fullUrl = "", segments, header } of conditional) {
    const [type = ""] = segments;
    const query = conditionQuery(header("if-none-exist")?.trim() ?? "", type, origin.base);
    const found = await findOne(type, query, permission, origin);
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
  permission: Permission,
  origin: OriginSession,
): Promise<Result<string | undefined, UnsentTransaction>> {
  if (!isResourceType(type)) return err({ reason: "resource_type_unknown" });
  const pairs = readQuery(query);
  if (!pairs.ok) return pairs;
  const criteria = readCriteria(type, pairs.value, origin.base);
  return criteria.ok ? findByCriteria(criteria.value, permission, origin) : criteria;
}

function partOf(
  kind: "intent" | "write",
  { entry, write, plan }: Writing,
  origin: OriginSession,
  outcome: NonNullable<Part["outcome"]> = {},
): Part {
  const place = plan.kind === "nothing" || plan.id === undefined ? {} : { type: plan.type, id: plan.id };
  const what = {
    ...onRecord(write.interaction),
    ...place,
    method: entry.method,
    path: entry.segments.join("/"),
  };
  const concerned = plan.kind === "nothing" ? concernsNobody : plan.concerned;
  return writePart(kind, what, concerned, { origin, outcome });
}

/**
 * Reads come last and see the written rows (FHIR R4 http §3.1.0.11.2). The writes stay done when a read
 * finds nothing.
 */
async function read(
  { entry, interaction, isHead }: Extract<Ready, { kind: "reading" }>,
  { policy, access }: Permission,
  whole: OriginSession,
  links: NextLinks,
): Promise<EntryOutcome> {
  const outcome = new EntryOutcome(whatOf(entry, interaction), whole.forEntry());
  const { origin } = outcome;
  const naming = origin.nameAsked(patientsNamed(interaction), access);
  const grant = naming.ok ? evaluate(policy, access, interaction) : naming;
  const found = grant.ok ? await origin.decided(() => gather(grant.value, undefined, origin, links)) : grant;
  if (!found.ok) outcome.refuse(found.error);
  else if (!origin.held.take(bytesOf(found.value))) outcome.refuse({ reason: "answer_too_large" });
  else outcome.answer = { status: 200, disclosure: found.value, bodiless: isHead };
  return outcome;
}
