import type { BatchEntry, EntryFault } from "#fhir/batch";
import type { HttpVerb } from "#fhir/http-verb";
import { patientsNamed } from "#fhir/patients-named";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import type { NextLinks } from "#gateway/admission/page-links";
import type { Permission } from "#gateway/admission/permit";
import { bytesOf, type GateRefusal, type ReleaseGate } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { etagOf, isListed } from "#gateway/read/etag";
import { gather } from "#gateway/read/gather";
import { writeParts, type Part } from "#gateway/record/parts";
import { afterIntent, type ProofReplayed } from "#gateway/write/after-intent";
import { sizeHeldBy, type PlannedWrite } from "#gateway/write/planned-write";
import { earlierWrite, refileConsent } from "#gateway/write/refile-consent";
import { planWrite } from "#gateway/write/write-plan";
import { countedAsDone, isUnanswered } from "#gateway/write/write-attempt";
import { noteWritten, sendWrite, type DoneWrite } from "#gateway/write/write-send";
import {
  interactionOf,
  isWriteEntry,
  readAsked,
  type AskedBatch,
  type AskedEntry,
  type EntryReadRefusal,
} from "./batch-entry.ts";
import type { BundleAttempt, SentEnd } from "./bundle-attempt.ts";
import type { BundleOutcome, BundleRecord } from "./bundle-outcome.ts";
import { EntryOutcome, placeOf, refusedEntry, whatOf, type EntryRefusal } from "./entry-outcome.ts";
import { showReturned } from "./entry-returned.ts";
import { answerSettled, locationIn } from "./settled-entry.ts";

/** The gate as a bundle needs it before its answer is made. */
export type BundleGate = Pick<ReleaseGate, "spendFurtherRequests" | "spendNames" | "stillGood">;

/** The state of an entry between its reading and its answer. */
interface EntryState {
  /** Undefined: the entry cannot be read. */
  readonly method: HttpVerb | undefined;
  /** Its place in the batch. */
  readonly index: number;
  readonly asked: Result<AskedEntry, EntryReadRefusal>;
  readonly outcome: EntryOutcome;
  plan?: PlannedWrite;
  /** {@link OriginSession.generation} when the write was planned. */
  plannedIn?: number;
  done?: DoneWrite;
  /** The end of its write, if this request sent it under a key. */
  end?: SentEnd;
}

type SentPlan = Extract<PlannedWrite, { kind: "send" }>;

/** An entry whose write is sent. */
interface Sending extends EntryState {
  plan: SentPlan;
}

const isSending = (entry: EntryState): entry is Sending => entry.plan?.kind === "send";

// A Worker has at most six open connections.
const atOnce = 6;
const order = ["DELETE", "POST", "PUT", "PATCH"] as const; // FHIR R4 http §3.1.0.11.2; reads come last

/**
 * A batch: each entry is permitted, refused and recorded as a request of its own. Entries do not depend on
 * each other.
 *
 * @param attempt for a batch under a key.
 */
export async function answerBatch(
  { entries: requests, prefer }: AskedBatch,
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
  gate: BundleGate,
  record: BundleRecord,
  attempt?: BundleAttempt,
): Promise<Result<BundleOutcome, GateRefusal | ProofReplayed>> {
  const spent = await gate.spendFurtherRequests(requests.length - 1);
  if (!spent.ok) return spent;
  const entries = requests.map((request, index) => entryOf(request, index, prefer, origin));
  for (const entry of entries) await plan(entry, permission, gate, attempt);

  const sending = order.flatMap((method) =>
    entries.filter(isSending).filter((entry) => entry.method === method),
  );
  const sent = await sendAll(sending, permission, gate, record, attempt);
  if (!sent.ok) return sent;
  await attempt?.ended(
    new Map(entries.flatMap(({ end }, index) => (end === undefined ? [] : [[index, end] as const]))),
    requests.flatMap((request, index) => (request.ok && isWriteEntry(request.value) ? [index] : [])),
  );
  await readAll(entries, permission, links);
  for (const entry of entries) await showWritten(entry, permission, attempt);
  return ok({ kind: "batch", parts: [], result: entries.map(({ outcome }) => outcome) });
}

function entryOf(
  request: Result<BatchEntry, EntryFault>,
  index: number,
  prefer: string | null,
  origin: OriginSession,
): EntryState {
  if (!request.ok)
    return { method: undefined, index, asked: request, outcome: new EntryOutcome({}, origin.forEntry()) };
  const { method, resource } = request.value;
  const asked = readAsked(request.value, resource, origin.base, prefer);
  const what = whatOf(request.value, asked.ok ? interactionOf(asked.value) : undefined);
  return { method, index, asked, outcome: new EntryOutcome(what, origin.forEntry()) };
}

async function plan(
  entry: EntryState,
  permission: Permission,
  gate: BundleGate,
  attempt: BundleAttempt | undefined,
): Promise<void> {
  const { asked, index, outcome } = entry;
  if (!asked.ok) return outcome.refuse(asked.error);
  const { origin } = outcome;
  const named = origin.names.nameAsked(patientsNamed(interactionOf(asked.value)), permission.access);
  if (!named.ok) return outcome.refuse(named.error);
  if (asked.value.kind === "reading") return;
  const settled = (await attempt?.settle(index)) ?? ok(undefined);
  if (!settled.ok) return outcome.refuse(settled.error);
  if (settled.value !== undefined) {
    const filed = await refileConsent(asked.value.write, settled.value.end, permission, origin);
    if (!filed.ok) return outcome.refuse(filed.error);
    entry.done = answerSettled(outcome, settled.value, attempt?.isRepeat(index) === true);
    return;
  }
  const { write } = asked.value;
  const { generation } = origin;
  const planned = await origin.decided(() => planWrite(write, permission, origin));
  const earlier = earlierWrite(write, planned);
  const refiled = earlier && (await refileConsent(write, earlier, permission, origin));
  if (refiled?.ok === false) return outcome.refuse(refiled.error);
  const paid = await gate.spendNames(origin.names.concerned);
  if (!paid.ok) return outcome.refuse(paid.error);
  if (!planned.ok) return outcome.refuse(attempt?.refusalOf(planned.error, index) ?? planned.error);
  const prepared = (await attempt?.prepare(index, planned.value)) ?? planned;
  if (!prepared.ok) return outcome.refuse(prepared.error);
  entry.plan = prepared.value;
  entry.plannedIn = generation;
  outcome.isWrite = true;
}

/**
 * Sends the writes in turn, when the intents of all writes are on record; then the ends of the writes go on
 * record.
 */
async function sendAll(
  sending: readonly Sending[],
  permission: Permission,
  gate: BundleGate,
  record: BundleRecord,
  attempt: BundleAttempt | undefined,
): Promise<Result<void, GateRefusal | ProofReplayed>> {
  if (sending.length === 0) return ok(undefined);
  const sent = await afterIntent(
    gate,
    () => record.intendParts(sending.flatMap(intentOf)),
    async () => {
      await attempt?.sending(sending.length);
      for (const entry of sending) {
        // Fifty writes may take longer than a lease lives: a client who is denied meanwhile writes no more.
        const replanned = await replan(entry, entry.plan, permission, attempt);
        const still = replanned.ok ? await gate.stillGood() : replanned;
        if (replanned.ok && still.ok) await send(entry, replanned.value);
        else if (!still.ok) {
          entry.end = "nothing";
          entry.outcome.refuse(still.error);
        }
      }
    },
  );
  if (sent.ok) await record.noteParts(sending.flatMap(({ outcome }) => outcome.parts.splice(0)));
  return sent;
}

/**
 * The plan of a write by the Consents of now: a Consent of this batch may have been filed since the plan was made. A
 * body that was merged before would overwrite what the client may no longer see. The intent on record names the
 * resource, so a plan for a different resource or version is refused.
 */
async function replan(
  { asked, index, plannedIn, outcome: { origin } }: EntryState,
  before: PlannedWrite,
  permission: Permission,
  attempt: BundleAttempt | undefined,
): Promise<Result<PlannedWrite, EntryRefusal>> {
  if (plannedIn === origin.generation || !asked.ok || asked.value.kind === "reading") return ok(before);
  const { write } = asked.value;
  const replanned = await origin.decided(() => planWrite(write, permission, origin));
  if (!replanned.ok) return replanned;
  const prepared =
    replanned.value.kind === "send"
      ? ((await attempt?.prepare(index, replanned.value)) ?? replanned)
      : replanned;
  if (!prepared.ok) return prepared;
  return isSamePlace(before, prepared.value) ? prepared : err({ reason: "version_not_current" });
}

function isSamePlace(before: PlannedWrite, now: PlannedWrite): boolean {
  return JSON.stringify(writtenPlace(before)) === JSON.stringify(writtenPlace(now));
}

function writtenPlace(plan: PlannedWrite): readonly unknown[] {
  switch (plan.kind) {
    case "send":
      return [plan.kind, plan.type, plan.id, plan.write.method, plan.write.path, plan.write.version];
    case "found":
      return [plan.kind, plan.type, plan.id];
    case "nothing":
      return [plan.kind, plan.type];
  }
}

function intentOf({ plan, outcome: { what, origin } }: Sending): readonly Part[] {
  return writeParts("intent", { ...what, ...placeOf(plan) }, plan.concerned, { origin });
}

async function send(entry: EntryState, plan: PlannedWrite): Promise<void> {
  if (plan.kind !== "send") return;
  const { outcome } = entry;
  const { origin, what, parts } = outcome;
  const sent = await countedAsDone(plan, await sendWrite(plan, origin), origin);
  entry.end = sent.ok ? sent.value : isUnanswered(sent.error) ? "unknown" : "nothing";
  origin.held.give(sizeHeldBy(plan));
  if (!sent.ok || sent.value.isUnfiled === true) {
    const refusal = sent.ok ? ({ reason: "consent_not_filed" } as const) : sent.error;
    const { status } = (outcome.answer = refusedEntry(refusal));
    const ended = { origin, outcome: { status, reason: refusal.reason } };
    for (const part of writeParts("write", { ...what, ...placeOf(plan) }, plan.concerned, ended))
      parts.push(part);
    return;
  }
  noteWritten(plan, origin.names.residences);
  const { status, type, id, version } = sent.value;
  const ended = { origin, outcome: { status } };
  for (const part of writeParts("write", { ...what, ...placeOf({ type, id }) }, plan.concerned, ended))
    parts.push(part);
  outcome.answer = { status, location: locationIn(origin.base, { status, type, id, version }) };
  entry.done = sent.value;
}

async function showWritten(
  entry: EntryState,
  permission: Permission,
  attempt: BundleAttempt | undefined,
): Promise<void> {
  const { asked, plan: planned, outcome, done } = entry;
  const stored =
    planned === undefined || planned.kind === "send"
      ? done
      : await answerUnsent(entry, planned, permission, attempt);
  if (stored === undefined || !asked.ok || asked.value.kind === "reading") return;
  await showReturned(outcome, asked.value.write.conditions, stored, permission);
}

/** Nothing had to be done: the resource to create exists, or the resource to delete does not. */
async function answerUnsent(
  entry: EntryState,
  planned: Exclude<PlannedWrite, SentPlan>,
  permission: Permission,
  attempt: BundleAttempt | undefined,
): Promise<DoneWrite | undefined> {
  const { outcome } = entry;
  const { origin } = outcome;
  // the address of the row that was found may be withheld by a Consent of this batch
  const replanned = await replan(entry, planned, permission, attempt);
  if (!replanned.ok) {
    outcome.refuse(replanned.error);
    return undefined;
  }
  const { type } = planned;
  const found = planned.kind === "found" ? planned : undefined;
  const status = found === undefined ? 204 : 200;
  outcome.answer =
    found === undefined ? { status } : { status, location: `${origin.base}/${type}/${found.id}` };
  const what = { ...outcome.what, ...placeOf({ type, id: found?.id }) };
  const concerned = found?.concerned ?? concernsNobody;
  for (const part of writeParts("write", what, concerned, { origin, outcome: { status } }))
    outcome.parts.push(part);
  return { status, type, id: found?.id, version: undefined, body: undefined, base: origin.base };
}

async function readAll(
  entries: readonly EntryState[],
  permission: Permission,
  links: NextLinks,
): Promise<void> {
  const reading = entries.filter(({ asked }) => asked.ok && asked.value.kind === "reading");
  for (let from = 0; from < reading.length; from += atOnce) {
    const some = reading.slice(from, from + atOnce);
    await Promise.all(some.map((entry) => read(entry, permission, links)));
    // An answer without room is dropped at once: fifty answers of 8 MiB are more than an isolate has.
    for (const { outcome } of some) {
      const { disclosure } = outcome.answer ?? {};
      if (disclosure !== undefined && !outcome.origin.held.take(bytesOf(disclosure)))
        outcome.refuse({ reason: "answer_too_large" });
    }
  }
}

async function read(
  { asked, outcome }: EntryState,
  { policy, access }: Permission,
  links: NextLinks,
): Promise<void> {
  if (!asked.ok || asked.value.kind !== "reading" || outcome.answer !== undefined) return;
  const { interaction, isHead, ifNoneMatch } = asked.value;
  const grant = evaluate(policy, access, interaction);
  if (!grant.ok) return outcome.refuse(grant.error);
  const found = await outcome.origin.decided(() => gather(grant.value, undefined, outcome.origin, links));
  if (!found.ok) return outcome.refuse(found.error);
  const [only] = found.value.windows;
  const etag =
    interaction.kind === "search" || only === undefined ? undefined : etagOf(only.body, policy.digest);
  const isKnown = etag !== undefined && ifNoneMatch !== null && isListed(ifNoneMatch, etag);
  // a 304 confirms a guess at the body, which is on record as shown (ADR 14)
  outcome.answer = {
    status: isKnown ? 304 : 200,
    bodiless: isHead || isKnown,
    disclosure: found.value,
    etag,
  };
}
