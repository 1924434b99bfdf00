import type { What } from "#audit/event";
import {
  conditionalReferences,
  isWriteOfType,
  referencesIn,
  withReferences,
  type BatchEntry,
  type BatchRefusal,
} from "#fhir/batch";
import { isResourceType } from "#fhir/r4/elements";
import { readingsBelow } from "#fhir/r4/reference";
import { readCriteria, type Reading } from "#fhir/interaction";
import type { JsonObject } from "#fhir/json/json";
import { patientsNamed } from "#fhir/patients-named";
import { conditionQuery, type WriteConditions } from "#fhir/preconditions";
import { encodedQuery, readQuery } from "#fhir/search/query";
import { faceOf } from "#entrypoint/gateway-face";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import type { NextLinks } from "#gateway/admission/page-links";
import type { Permission } from "#gateway/admission/permit";
import { bytesOf, type GateRefusal } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { gather } from "#gateway/read/gather";
import { decidedParts, writeParts, type Part } from "#gateway/record/parts";
import { afterIntent, type ProofReplayed } from "#gateway/write/after-intent";
import { sizeHeldBy, type PlannedWrite, type PlanRefusal } from "#gateway/write/planned-write";
import type { AskedWrite } from "#gateway/write/write-body";
import { findByCriteria } from "#gateway/write/write-criteria";
import { earlierWrite, refileConsent } from "#gateway/write/refile-consent";
import { planWrite } from "#gateway/write/write-plan";
import { noteWritten, type DoneWrite, type ReadStored, type SendRefusal } from "#gateway/write/write-send";
import { isUnanswered, type SettledWrite, type SettleRefusal } from "#gateway/write/write-attempt";
import {
  interactionOf,
  isWriteEntry,
  readAsked,
  type AskedTransaction,
  type EntryReadRefusal,
} from "./batch-entry.ts";
import type { BundleAttempt, SentEnd } from "./bundle-attempt.ts";
import type { BundleGate } from "./batch.ts";
import type { BundleOutcome, BundleRecord, EntryIssue, TransactionRefusal } from "./bundle-outcome.ts";
import { EntryOutcome, whatOf } from "./entry-outcome.ts";
import { showReturned } from "./entry-returned.ts";
import { answerSettled, locationIn } from "./settled-entry.ts";
import { sendTransaction, type EntryEnd } from "./transaction-send.ts";

/** The transaction itself, as records name it. */
const transactionWhat = { interaction: "transaction" } as const;
// Each reference is a search of its own.
const searchesMax = 100;
// A Worker may send a thousand requests, and a server may ignore a preference (RFC 7240 §2).
const shownReadsMax = 50;

/** A permitted entry. */
type PermittedEntry =
  | {
      readonly kind: "reading";
      readonly request: BatchEntry;
      readonly interaction: Reading;
      readonly isHead: boolean;
    }
  | PermittedWrite;

/** A permitted write, with its plan. */
interface PermittedWrite {
  readonly kind: "writing";
  readonly request: BatchEntry;
  readonly write: AskedWrite;
  readonly plan: PlannedWrite;
}

/** A permitted write that goes to the origin. */
type SentWrite = PermittedWrite & { readonly plan: Extract<PlannedWrite, { kind: "send" }> };
const isSent = (entry: PermittedEntry): entry is SentWrite =>
  entry.kind === "writing" && entry.plan.kind === "send";

/** Why nothing of a transaction was sent to the origin. */
export type UnsentTransaction =
  | GateRefusal
  | ProofReplayed
  | PlanRefusal
  | EntryReadRefusal
  | Extract<BatchRefusal, { readonly reason: "entry_repeated" }>
  | TransactionRefusal
  | SettleRefusal;

/**
 * A transaction: each entry is permitted by itself, or nothing is done. The gateway resolves references and
 * conditions among the rows that the client may see. The origin only gets the writes, conditioned on the
 * judged versions, all or nothing.
 */
export async function transact(
  { entries, prefer }: AskedTransaction,
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
  gate: BundleGate,
  record: BundleRecord,
  attempt?: BundleAttempt,
): Promise<Result<BundleOutcome, UnsentTransaction>> {
  const spent = await gate.spendFurtherRequests(entries.length - 1);
  if (!spent.ok) return spent;
  const atomic = await atomicityOf(entries, origin);
  if (!atomic.ok) return atomic;
  const settled = attempt === undefined ? ok(undefined) : await attempt.settleWhole(atomic.value);
  if (!settled.ok) return settled;
  const writes = entries.flatMap((request, index) => (isWriteEntry(request) ? [index] : []));
  if (attempt !== undefined && settled.value !== undefined) {
    await attempt.ended(new Map(), writes);
    return answerDone(entries, prefer, { attempt, settled: settled.value }, permission, origin, links);
  }
  const planned = await permitEntries(entries, prefer, permission, origin);
  if (!planned.ok) return err(attempt?.refusalOf(planned.error) ?? planned.error);
  const permitted = attempt === undefined ? planned : await prepareUnderKey(planned.value, attempt);
  if (!permitted.ok) return permitted;
  const paid = await gate.spendNames(origin.names.concerned);
  if (!paid.ok) return paid;

  const sending = permitted.value.filter(isSent);
  const sent = await sendAll(sending, origin, gate, record, attempt);
  if (!sent.ok) return sent;
  const ends = new Map(
    sending.map((entry, index) => [entry, sent.value.ok ? sent.value.value[index] : undefined]),
  );
  const indices = new Map(permitted.value.map((entry, index) => [entry, index]));
  await attempt?.ended(
    new Map(sending.map((entry) => [indices.get(entry) ?? 0, sentEnd(entry, ends.get(entry), sent.value)])),
    writes,
  );
  const parts = sending.flatMap((entry) =>
    partsOf("write", entry, origin, outcomeOf(ends.get(entry), sent.value)),
  );
  const done = new Map<PermittedEntry, DoneWrite>();
  for (const [entry, end] of ends) if (end?.kind === "done") done.set(entry, end.write);
  for (const entry of sending) if (done.has(entry)) noteWritten(entry.plan, origin.names.residences);
  if (done.size < sending.length) {
    const result = sent.value.ok ? unfinished(permitted.value, ends) : sent.value.error;
    const decided = decidedParts(transactionWhat, faceOf(result).status, origin);
    return ok({ kind: "transaction", parts: [...parts, ...decided], result });
  }
  if (parts.length > 0) await record.noteParts(parts);
  const readStored = readsOf(shownReadsMax);
  const result: EntryOutcome[] = [];
  for (const entry of permitted.value) {
    if (entry.kind === "reading") result.push(await read(entry, permission, origin, links));
    else result.push(await written(entry, done, permission, origin, readStored));
  }
  return ok({ kind: "transaction", parts: decidedParts(transactionWhat, 200, origin), result });
}

/**
 * Sends all writes as a single transaction, when all intents are on record. Without writes the gate is asked
 * again all the same.
 */
async function sendAll(
  sending: readonly SentWrite[],
  origin: OriginSession,
  gate: BundleGate,
  record: BundleRecord,
  attempt: BundleAttempt | undefined,
): Promise<Result<Result<readonly EntryEnd[], SendRefusal>, GateRefusal | ProofReplayed>> {
  if (sending.length === 0) {
    const still = await gate.stillGood();
    return still.ok ? ok(ok([])) : still;
  }
  const sent = await afterIntent(
    gate,
    () => record.intendParts(sending.flatMap((entry) => partsOf("intent", entry, origin))),
    async () => {
      await attempt?.sending(sending.length);
      return sendTransaction(
        sending.map(({ request: { fullUrl }, plan, write }) => {
          return { fullUrl, plan, isShown: write.conditions.returns === "representation" };
        }),
        origin,
      );
    },
  );
  if (sent.ok) for (const { plan } of sending) origin.held.give(sizeHeldBy(plan));
  return sent;
}

/** The writes as they are sent under a key. */
async function prepareUnderKey(
  permitted: readonly PermittedEntry[],
  attempt: BundleAttempt,
): Promise<Result<readonly PermittedEntry[], UnsentTransaction>> {
  const prepared: PermittedEntry[] = [];
  for (const [index, entry] of permitted.entries()) {
    const plan = entry.kind === "writing" ? await attempt.prepare(index, entry.plan) : undefined;
    if (plan?.ok === false) return plan;
    prepared.push(entry.kind === "writing" && plan?.ok === true ? { ...entry, plan: plan.value } : entry);
  }
  return ok(prepared);
}

/** The end of a write as its key stores it. */
function sentEnd(
  { plan }: SentWrite,
  end: EntryEnd | undefined,
  sent: Result<unknown, SendRefusal>,
): SentEnd {
  const done = end?.kind === "done" ? end.write : end?.done;
  if (done !== undefined) {
    const { status, id, version } = done;
    return { status, type: plan.type, id: plan.id ?? id, version };
  }
  const refusal =
    (end?.kind === "refused" ? end.refusal : undefined) ??
    (sent.ok ? ({ reason: "write_answer_unfit" } as const) : sent.error);
  return isUnanswered(refusal) ? "unknown" : "nothing";
}

/** A transaction that was done before this request: its reads are made again, and nothing is sent. */
async function answerDone(
  entries: readonly BatchEntry[],
  prefer: string | null,
  {
    attempt,
    settled,
  }: { readonly attempt: BundleAttempt; readonly settled: ReadonlyMap<number, SettledWrite> },
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
): Promise<Result<BundleOutcome, UnsentTransaction>> {
  const readStored = readsOf(shownReadsMax);
  const answers: (() => Promise<EntryOutcome>)[] = [];
  // its Consents are filed before its reads are judged
  for (const [index, request] of entries.entries()) {
    const asked = readAsked(request, request.resource, origin.base, prefer);
    if (!asked.ok) return asked;
    if (asked.value.kind === "reading") {
      const { interaction, isHead } = asked.value;
      answers.push(() => read({ kind: "reading", request, interaction, isHead }, permission, origin, links));
      continue;
    }
    const write = settled.get(index);
    if (write === undefined) throw new Error("a write of a done transaction has no end");
    const filed = await refileConsent(asked.value.write, write.end, permission, origin);
    if (!filed.ok) return filed;
    const { interaction, conditions } = asked.value.write;
    const outcome = outcomeOfWrite(whatOf(request, interaction), conditions, origin);
    const stored = answerSettled(outcome, write, attempt.isRepeat(index));
    answers.push(async () => {
      await showReturned(outcome, conditions, stored, permission, readStored(outcome));
      return outcome;
    });
  }
  const result: EntryOutcome[] = [];
  for (const answer of answers) result.push(await answer());
  return ok({ kind: "transaction", parts: [], result });
}

/**
 * A single write has no parts. This check comes first, because the rows of the entries must not decide it.
 *
 * @returns true if the origin does all of the transaction or nothing.
 */
async function atomicityOf(
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
  if (end?.kind === "done") return { status: end.write.status };
  const refusal = end?.refusal ?? (sent.ok ? ({ reason: "write_answer_unfit" } as const) : sent.error);
  return { status: faceOf(refusal).status, reason: refusal.reason };
}

/**
 * If the gateway knows that no entry was done, the refusal of the first entry is the answer; otherwise each
 * entry has its own end.
 */
function unfinished(
  permitted: readonly PermittedEntry[],
  ends: ReadonlyMap<PermittedEntry, EntryEnd | undefined>,
): SendRefusal | TransactionRefusal {
  const all = [...ends.values()];
  const [first] = all;
  const isKnown = (end: EntryEnd | undefined) => end?.kind === "refused" && !isUnanswered(end.refusal);
  if (first?.kind === "refused" && all.every(isKnown)) return first.refusal;
  return {
    reason: "transaction_incomplete",
    issues: permitted.map((entry, index) => issueOf(entry, ends.get(entry), `Bundle.entry[${index}]`)),
  };
}

function issueOf(entry: PermittedEntry, end: EntryEnd | undefined, expression: string): EntryIssue {
  if (entry.kind === "reading")
    return { severity: "information", code: "informational", text: "It was not read.", expression };
  if (entry.plan.kind !== "send")
    return { severity: "information", code: "informational", text: "Nothing had to be done.", expression };
  if (end?.kind === "done")
    return {
      severity: "information",
      code: "informational",
      text: `It was done: ${end.write.status}.`,
      expression,
    };
  const { code, text } = faceOf(end?.refusal ?? { reason: "write_answer_unfit" });
  return { severity: "error", code, text, expression };
}

/**
 * The outcome of a write. All writes are settled together: the rows that decided them are on record once. A resource
 * that is shown has names of its own.
 */
const outcomeOfWrite = (what: What, { returns }: WriteConditions, origin: OriginSession): EntryOutcome => {
  const mayShow = returns === "representation";
  const outcome = new EntryOutcome(what, mayShow ? origin.forEntry() : origin, !mayShow);
  outcome.isWrite = true;
  return outcome;
};

/** The answer to a write. */
async function written(
  entry: PermittedWrite,
  done: ReadonlyMap<PermittedEntry, DoneWrite>,
  permission: Permission,
  origin: OriginSession,
  readStored: ReadsOf,
): Promise<EntryOutcome> {
  const { plan, request, write } = entry;
  const outcome = outcomeOfWrite(whatOf(request, write.interaction), write.conditions, origin);
  const stored = plan.kind === "send" ? done.get(entry) : unsentEnd(plan, origin);
  if (stored === undefined) throw new Error("a write of a transaction without an end");
  const { status, body } = stored;
  if (plan.kind !== "send")
    for (const part of partsOf("write", entry, origin, { status })) outcome.parts.push(part);
  outcome.answer = { status, location: locationIn(origin.base, stored) };
  await showReturned(outcome, write.conditions, stored, permission, readStored(outcome));
  if (body !== undefined) origin.held.give(body.length);
  return outcome;
}

/** The end of a write for which the origin had nothing to do. */
const unsentEnd = (plan: Exclude<PlannedWrite, { kind: "send" }>, { base }: OriginSession): DoneWrite => {
  const found = plan.kind === "found" ? ({ status: 200, id: plan.id } as const) : undefined;
  return { status: 204, id: undefined, ...found, type: plan.type, version: undefined, body: undefined, base };
};

type ReadsOf = (outcome: EntryOutcome) => ReadStored;

/** Reads the stored resources that the origin's answer does not have, up to a limit. */
function readsOf(many: number): ReadsOf {
  let left = many;
  return ({ origin }) =>
    async (question) => {
      left -= 1;
      return left < 0 ? err({ reason: "answer_unavailable" }) : origin.read(question);
    };
}

/**
 * Permits all entries, or none. A Consent that `If-None-Exist` finds may not be filed yet: then it is filed first, and the
 * entries are decided again by the Consents of now.
 */
async function permitEntries(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly PermittedEntry[], UnsentTransaction>> {
  const { generation } = origin;
  const permitted = await origin.decided(() => permitByPresentConsents(entries, prefer, permission, origin));
  if (!permitted.ok) return permitted;
  for (const entry of permitted.value) {
    const earlier = entry.kind === "writing" ? earlierWrite(entry.write, ok(entry.plan)) : undefined;
    if (entry.kind === "reading" || earlier === undefined) continue;
    const filed = await refileConsent(entry.write, earlier, permission, origin);
    if (!filed.ok) return filed;
  }
  if (generation === origin.generation) return permitted;
  return origin.decided(() => permitByPresentConsents(entries, prefer, permission, origin));
}

/** Decides about all entries before anything is done. The first refused entry refuses the whole. */
async function permitByPresentConsents(
  entries: readonly BatchEntry[],
  prefer: string | null,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<readonly PermittedEntry[], UnsentTransaction>> {
  const places = await placesOf(entries, permission, origin);
  if (!places.ok) return places;
  const permitted: PermittedEntry[] = [];
  for (const request of entries) {
    const resource = request.resource && referringTo(request.resource, places.value);
    const asked = readAsked(request, resource, origin.base, prefer);
    if (!asked.ok) return asked;
    const naming = origin.names.nameAsked(patientsNamed(interactionOf(asked.value)), permission.access);
    if (!naming.ok) return naming;
    if (asked.value.kind === "reading") {
      const grant = evaluate(permission.policy, permission.access, asked.value.interaction);
      if (!grant.ok) return grant;
      permitted.push({
        kind: "reading",
        request,
        interaction: asked.value.interaction,
        isHead: asked.value.isHead,
      });
      continue;
    }
    const plan = await planWrite(asked.value.write, permission, origin);
    if (!plan.ok) return plan;
    permitted.push({ kind: "writing", request, write: asked.value.write, plan: plan.value });
  }
  const names = permitted.flatMap((entry) => (isSent(entry) ? [...(entry.plan.newNames ?? [])] : []));
  if (new Set(names).size > permission.policy.namesBeyondAccess)
    return err({ reason: "names_beyond_access" });
  const at = secondChangeIn(permitted);
  return at === undefined ? ok(permitted) : err({ reason: "entry_repeated", at });
}

const referringTo = (resource: JsonObject, places: ReadonlyMap<string, string>): JsonObject =>
  withReferences(resource, (reference) => places.get(reference)) as JsonObject; // an object stays an object

/**
 * The index of an entry that changes a row which an earlier entry changes too: conditions may have found the same row
 * (FHIR R4 http §3.1.0.11.2). `readBatch` refuses entries that have the same name.
 */
function secondChangeIn(permitted: readonly PermittedEntry[]): number | undefined {
  const paths = new Set<string>();
  for (const [at, entry] of permitted.entries()) {
    const write = isSent(entry) ? entry.plan.write : undefined;
    if (write === undefined || write.method === "POST") continue;
    if (paths.has(write.path)) return at;
    paths.add(write.path);
  }
  return undefined;
}

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
  const referred = new Set(entries.flatMap(({ resource }) => [...referencesIn(resource ?? null)]));
  const conditional = entries.filter(
    (entry) =>
      entry.fullUrl !== undefined &&
      referred.has(entry.fullUrl) &&
      isWriteOfType(entry) &&
      conditionOf(entry, origin) !== "",
  );
  if (searched.size + conditional.length > searchesMax) return err({ reason: "too_many_references" });
  for (const reference of searched) {
    const [below] = readingsBelow(reference, origin.base);
    const [type = "", query = ""] = splitAt(below ?? reference);
    const found = await findOne(type, encodedQuery(query), permission, origin);
    if (!found.ok) return found;
    if (found.value === undefined) return err({ reason: "reference_unresolved" });
    places.set(reference, `${type}/${found.value}`);
  }
  for (const entry of conditional) {
    const { fullUrl = "", segments } = entry;
    const [type = ""] = segments;
    const found = await findOne(type, conditionOf(entry, origin), permission, origin);
    if (!found.ok) return found;
    if (found.value !== undefined) places.set(fullUrl, `${type}/${found.value}`);
  }
  return ok(places);
}

/** The search by which an entry finds a row that may exist already; empty: it makes a row in any case. */
const conditionOf = (
  { method, segments: [type = ""], query, header }: BatchEntry,
  { base }: Pick<OriginSession, "base">,
): string => (method === "POST" ? conditionQuery(header("if-none-exist")?.trim() ?? "", type, base) : query);

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

function partsOf(
  kind: "intent" | "write",
  { request, write, plan }: PermittedWrite,
  origin: OriginSession,
  outcome: NonNullable<Part["outcome"]> = {},
): readonly Part[] {
  const place = plan.kind === "nothing" || plan.id === undefined ? {} : { type: plan.type, id: plan.id };
  const what = { ...whatOf(request, write.interaction), ...place };
  const concerned = plan.kind === "nothing" ? concernsNobody : plan.concerned;
  return writeParts(kind, what, concerned, { origin, outcome });
}

/**
 * Reads come last and see the written rows (FHIR R4 http §3.1.0.11.2). The writes stay done when a read
 * finds nothing.
 */
async function read(
  { request, interaction, isHead }: Extract<PermittedEntry, { kind: "reading" }>,
  { policy, access }: Permission,
  session: OriginSession,
  links: NextLinks,
): Promise<EntryOutcome> {
  const outcome = new EntryOutcome(whatOf(request, interaction), session.forEntry());
  const { origin } = outcome;
  const naming = origin.names.nameAsked(patientsNamed(interaction), access);
  const grant = naming.ok ? evaluate(policy, access, interaction) : naming;
  const found = grant.ok ? await origin.decided(() => gather(grant.value, undefined, origin, links)) : grant;
  if (!found.ok) outcome.refuse(found.error);
  else if (!origin.held.take(bytesOf(found.value))) outcome.refuse({ reason: "answer_too_large" });
  else outcome.answer = { status: 200, disclosure: found.value, bodiless: isHead };
  return outcome;
}
