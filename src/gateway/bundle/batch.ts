import type { BatchEntry } from "#fhir/batch";
import { patientsNamed } from "#fhir/patients-named";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import type { NextLinks } from "#gateway/admission/page-links";
import type { Permission } from "#gateway/admission/permit";
import { bytesOf, type GateRefusal, type ReleaseGate } from "#gateway/admission/release-gate";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { etagOf } from "#gateway/read/etag";
import { gather } from "#gateway/read/gather";
import { onRecord } from "#gateway/record/on-record";
import { writePart, type Part } from "#gateway/record/parts";
import { afterIntent, type ProofReplayed } from "#gateway/write/after-intent";
import { sizeHeldBy, type PlannedWrite } from "#gateway/write/planned-write";
import { earlierWrite, refileConsent } from "#gateway/write/refile-consent";
import { planWrite } from "#gateway/write/write-plan";
import { isUnanswered, standing } from "#gateway/write/write-attempt";
import { noteWritten, represent, sendWrite, type DoneWrite } from "#gateway/write/write-send";
import {
  isWriteEntry,
  readAsked,
  type AskedBundle,
  type AskedEntry,
  type EntryReadRefusal,
} from "./batch-entry.ts";
import type { BundleAttempt, SentEnd } from "./bundle-attempt.ts";
import type { BundleOutcome, BundleRecord } from "./bundle-outcome.ts";
import { EntryOutcome, refusedEntry, type EntryRefusal } from "./entry-outcome.ts";
import { answerSettled, locationIn } from "./settled-entry.ts";

/** The gate as a bundle needs it before its answer is made. */
export type BundleGate = Pick<ReleaseGate, "spendRequests" | "spendNames" | "stillGood">;

/** An entry on its way. */
interface Entry {
  readonly entry: BatchEntry;
  /** Its place in the batch. */
  readonly index: number;
  readonly asked: Result<AskedEntry, EntryReadRefusal>;
  readonly outcome: EntryOutcome;
  plan?: PlannedWrite;
  /** {@link OriginSession.generation} when the write was planned. */
  planned?: number;
  done?: DoneWrite;
  /** The end of its write, if this request sent it under a key. */
  end?: SentEnd;
}

type SentPlan = Extract<PlannedWrite, { kind: "send" }>;

/** An entry whose write is sent. */
interface Sending extends Entry {
  plan: SentPlan;
}

const isSending = (one: Entry): one is Sending => one.plan?.kind === "send";

// A Worker has at most six open connections.
const atOnce = 6;
const order = ["DELETE", "POST", "PUT", "PATCH"] as const; // FHIR R4 http §3.1.0.11.2; reads come last

/**
 * A batch: each entry is permitted, refused and recorded as a request of its own. Entries do not depend on
 * each other.
 *
 * @param once for a batch under a key.
 */
export async function answerBatch(
  { entries: asked, prefer }: AskedBundle,
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
  gate: BundleGate,
  record: BundleRecord,
  once?: BundleAttempt,
): Promise<Result<BundleOutcome, GateRefusal | ProofReplayed>> {
  const spent = await gate.spendRequests(asked.length - 1);
  if (!spent.ok) return spent;
  const entries = asked.map((entry, index) => entryOf(entry, index, prefer, origin));
  for (const one of entries) await plan(one, permission, gate, once);

  const sending = order.flatMap((method) =>
    entries.filter(isSending).filter(({ entry }) => entry.method === method),
  );
  const sent = await sendAll(sending, permission, gate, record, once);
  if (!sent.ok) return sent;
  await once?.ended(
    new Map(entries.flatMap(({ end }, index) => (end === undefined ? [] : [[index, end] as const]))),
    asked.flatMap((entry, index) => (isWriteEntry(entry) ? [index] : [])),
  );
  await readAll(entries, permission, links);
  for (const one of entries) {
    if (one.plan === undefined || one.plan.kind === "send") await showWritten(one, permission);
    else await answerUnsent(one, one.plan, permission, once);
  }
  return ok({ kind: "batch", parts: [], said: entries.map(({ outcome }) => outcome) });
}

function entryOf(entry: BatchEntry, index: number, prefer: string | null, origin: OriginSession): Entry {
  const asked = readAsked(entry, entry.resource, origin.base, prefer);
  const what = {
    ...onRecord(asked.ok ? interactionOf(asked.value) : undefined),
    method: entry.method,
    path: entry.segments.join("/"),
  };
  return { entry, index, asked, outcome: new EntryOutcome(what, origin.forEntry()) };
}

const interactionOf = (asked: AskedEntry) =>
  asked.kind === "reading" ? asked.interaction : asked.write.interaction;

async function plan(
  one: Entry,
  permission: Permission,
  gate: BundleGate,
  once: BundleAttempt | undefined,
): Promise<void> {
  const { asked, index, outcome } = one;
  if (!asked.ok) return outcome.refuse(asked.error);
  const { origin } = outcome;
  const named = origin.nameAsked(patientsNamed(interactionOf(asked.value)), permission.access);
  if (!named.ok) return outcome.refuse(named.error);
  if (asked.value.kind === "reading") return;
  const settled = (await once?.settle(index)) ?? ok(undefined);
  if (!settled.ok) return outcome.refuse(settled.error);
  if (settled.value !== undefined) {
    const filed = await refileConsent(asked.value.write, settled.value.end, permission, origin);
    if (!filed.ok) return outcome.refuse(filed.error);
    one.done = answerSettled(outcome, settled.value, once?.isRepeat(index) === true);
    return;
  }
  const { write } = asked.value;
  const { generation } = origin;
  const planned = await origin.decided(() => planWrite(write, permission, origin));
  const earlier = earlierWrite(write, planned);
  const refiled = earlier && (await refileConsent(write, earlier, permission, origin));
  if (refiled?.ok === false) return outcome.refuse(refiled.error);
  const paid = await gate.spendNames(origin.concerned);
  if (!paid.ok) return outcome.refuse(paid.error);
  if (!planned.ok) return outcome.refuse(once?.refusalOf(planned.error, index) ?? planned.error);
  const prepared = (await once?.prepare(index, planned.value)) ?? planned;
  if (!prepared.ok) return outcome.refuse(prepared.error);
  one.plan = prepared.value;
  one.planned = generation;
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
  once: BundleAttempt | undefined,
): Promise<Result<void, GateRefusal | ProofReplayed>> {
  if (sending.length === 0) return ok(undefined);
  const sent = await afterIntent(
    gate,
    () => record.intendParts(sending.flatMap(intentOf)),
    async () => {
      await once?.sending(sending.length);
      for (const one of sending) {
        // Fifty writes may take longer than a lease lives: a client who is denied meanwhile writes no more.
        const anew = await plannedAnew(one, one.plan, permission, once);
        const still = anew.ok ? await gate.stillGood() : anew;
        if (anew.ok && still.ok) await send(one, anew.value);
        else if (!still.ok) {
          one.end = "nothing";
          one.outcome.refuse(still.error);
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
async function plannedAnew(
  { asked, index, planned, outcome: { origin } }: Entry,
  before: PlannedWrite,
  permission: Permission,
  once: BundleAttempt | undefined,
): Promise<Result<PlannedWrite, EntryRefusal>> {
  if (planned === origin.generation || !asked.ok || asked.value.kind === "reading") return ok(before);
  const { write } = asked.value;
  const anew = await origin.decided(() => planWrite(write, permission, origin));
  if (!anew.ok) return anew;
  const prepared = anew.value.kind === "send" ? ((await once?.prepare(index, anew.value)) ?? anew) : anew;
  if (!prepared.ok) return prepared;
  return isSamePlace(before, prepared.value) ? prepared : err({ reason: "version_not_current" });
}

function isSamePlace(one: PlannedWrite, other: PlannedWrite): boolean {
  return JSON.stringify(writtenPlace(one)) === JSON.stringify(writtenPlace(other));
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
  return [writePart("intent", { ...what, ...placeOf(plan) }, plan.concerned, { origin })];
}

const placeOf = ({ type, id }: { readonly type: string; readonly id: string | undefined }) =>
  id === undefined ? { type } : { type, id };

async function send(one: Entry, plan: PlannedWrite): Promise<void> {
  if (plan.kind !== "send") return;
  const { outcome } = one;
  const { origin, what, parts } = outcome;
  const sent = await standing(plan, await sendWrite(plan, origin), origin);
  one.end = sent.ok ? sent.value : isUnanswered(sent.error) ? "unknown" : "nothing";
  origin.held.give(sizeHeldBy(plan));
  if (!sent.ok || sent.value.isUnfiled === true) {
    const refusal = sent.ok ? ({ reason: "consent_not_filed" } as const) : sent.error;
    const { status } = (outcome.answer = refusedEntry(refusal));
    const ended = { origin, outcome: { status, reason: refusal.reason } };
    parts.push(writePart("write", { ...what, ...placeOf(plan) }, plan.concerned, ended));
    return;
  }
  noteWritten(plan, origin.residences);
  const { status, type, id, version } = sent.value;
  const ended = { origin, outcome: { status } };
  parts.push(writePart("write", { ...what, ...placeOf({ type, id }) }, plan.concerned, ended));
  outcome.answer = { status, location: locationIn(origin.base, { status, type, id, version }) };
  if (status !== 204) one.done = sent.value;
}

/** The write is done: a part that cannot be shown is left out. */
async function showWritten({ asked, done, outcome }: Entry, permission: Permission): Promise<void> {
  const returns =
    asked.ok && asked.value.kind === "writing" ? asked.value.write.conditions.returns : undefined;
  if (done === undefined || returns !== "representation" || outcome.answer === undefined) return;
  const shown = await represent(done, returns, permission, outcome.origin).catch(() => undefined);
  const disclosure = shown?.ok === true ? shown.value : undefined;
  const [only] = disclosure?.windows ?? [];
  if (disclosure === undefined) return;
  const tag = only === undefined ? {} : { etag: etagOf(only.body, permission.policy.digest) };
  outcome.answer = { ...outcome.answer, disclosure, ...tag };
}

/** Nothing had to be done: the resource to create exists, or the resource to delete does not. */
async function answerUnsent(
  one: Entry,
  planned: Exclude<PlannedWrite, SentPlan>,
  permission: Permission,
  once: BundleAttempt | undefined,
): Promise<void> {
  const { outcome } = one;
  const { origin } = outcome;
  // the address of the row that was found may be withheld by a Consent of this batch
  const anew = await plannedAnew(one, planned, permission, once);
  if (!anew.ok) return outcome.refuse(anew.error);
  const { type } = planned;
  const found = planned.kind === "found" ? planned : undefined;
  const status = found === undefined ? 204 : 200;
  outcome.answer =
    found === undefined ? { status } : { status, location: `${origin.base}/${type}/${found.id}` };
  const what = { ...outcome.what, ...placeOf({ type, id: found?.id }) };
  const concerned = found?.concerned ?? concernsNobody;
  outcome.parts.push(writePart("write", what, concerned, { origin, outcome: { status } }));
}

async function readAll(entries: readonly Entry[], permission: Permission, links: NextLinks): Promise<void> {
  const reading = entries.filter(({ asked }) => asked.ok && asked.value.kind === "reading");
  for (let from = 0; from < reading.length; from += atOnce) {
    const some = reading.slice(from, from + atOnce);
    await Promise.all(some.map((one) => read(one, permission, links)));
    // An answer without room is dropped at once: fifty answers of 8 MiB are more than an isolate has.
    for (const { outcome } of some) {
      const { disclosure } = outcome.answer ?? {};
      if (disclosure !== undefined && !outcome.origin.held.take(bytesOf(disclosure)))
        outcome.refuse({ reason: "answer_too_large" });
    }
  }
}

async function read(
  { asked, outcome }: Entry,
  { policy, access }: Permission,
  links: NextLinks,
): Promise<void> {
  if (!asked.ok || asked.value.kind !== "reading" || outcome.answer !== undefined) return;
  const { interaction, isHead } = asked.value;
  const grant = evaluate(policy, access, interaction);
  if (!grant.ok) return outcome.refuse(grant.error);
  const found = await outcome.origin.decided(() => gather(grant.value, undefined, outcome.origin, links));
  if (!found.ok) return outcome.refuse(found.error);
  const [only] = found.value.windows;
  const tag =
    interaction.kind === "search" || only === undefined ? {} : { etag: etagOf(only.body, policy.digest) };
  outcome.answer = { status: 200, bodiless: isHead, disclosure: found.value, ...tag };
}
