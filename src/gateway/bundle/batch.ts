import type { BatchEntry } from "#fhir/batch";
import { patientsNamed } from "#fhir/patients-named";
import { ok, type Result } from "#kernel/result";
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
import type { PlannedWrite } from "#gateway/write/planned-write";
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
  readonly asked: Result<AskedEntry, EntryReadRefusal>;
  readonly outcome: EntryOutcome;
  plan?: PlannedWrite;
  /** {@link OriginSession.generation} when the write was planned. */
  planned?: number;
  done?: DoneWrite;
  /** The end of its write, if this request sent it under a key. */
  end?: SentEnd;
}

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
  const entries = asked.map((entry) => entryOf(entry, prefer, origin));
  for (const [index, one] of entries.entries()) await plan(one, permission, gate, once && { once, index });

  const sending = order.flatMap((method) =>
    entries.filter(({ entry, plan }) => entry.method === method && plan?.kind === "send"),
  );
  const sent = await sendAll(sending, permission, gate, record, once);
  if (!sent.ok) return sent;
  await once?.ended(
    new Map(entries.flatMap(({ end }, index) => (end === undefined ? [] : [[index, end] as const]))),
    asked.flatMap((entry, index) => (isWriteEntry(entry) ? [index] : [])),
  );
  await readAll(entries, permission, links);
  for (const one of entries) {
    if (one.plan !== undefined && one.plan.kind !== "send") answerUnsent(one, one.plan);
    else await showWritten(one, permission);
  }
  return ok({ kind: "batch", parts: [], said: entries.map(({ outcome }) => outcome) });
}

function entryOf(entry: BatchEntry, prefer: string | null, origin: OriginSession): Entry {
  const asked = readAsked(entry, entry.resource, origin.base, prefer);
  const what = {
    ...onRecord(asked.ok ? interactionOf(asked.value) : undefined),
    method: entry.method,
    path: entry.segments.join("/"),
  };
  return { entry, asked, outcome: new EntryOutcome(what, origin.forEntry()) };
}

const interactionOf = (asked: AskedEntry) =>
  asked.kind === "reading" ? asked.interaction : asked.write.interaction;

async function plan(
  one: Entry,
  permission: Permission,
  gate: BundleGate,
  keyed: { readonly once: BundleAttempt; readonly index: number } | undefined,
): Promise<void> {
  const { asked, outcome } = one;
  if (!asked.ok) return outcome.refuse(asked.error);
  const { origin } = outcome;
  const named = origin.nameAsked(patientsNamed(interactionOf(asked.value)), permission.access);
  if (!named.ok) return outcome.refuse(named.error);
  if (asked.value.kind === "reading") return;
  const settled = (await keyed?.once.settle(keyed.index)) ?? ok(undefined);
  if (!settled.ok) return outcome.refuse(settled.error);
  if (settled.value !== undefined) {
    const filed = await refileConsent(asked.value.write, settled.value.end, permission, origin);
    if (!filed.ok) return outcome.refuse(filed.error);
    one.done = answerSettled(outcome, settled.value, keyed?.once.isRepeat(keyed.index) === true);
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
  if (!planned.ok) return outcome.refuse(keyed?.once.refusalOf(planned.error, keyed.index) ?? planned.error);
  const prepared = (await keyed?.once.prepare(keyed.index, planned.value)) ?? planned;
  if (!prepared.ok) return outcome.refuse(prepared.error);
  one.plan = prepared.value;
  one.planned = generation;
  outcome.isWrite = true;
}

/**
 * Sends the writes one after the other, when the intents of all of them are on record; then their ends go on
 * record.
 */
async function sendAll(
  sending: readonly Entry[],
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
        const anew = await permittedAnew(one, permission);
        const still = anew.ok ? await gate.stillGood() : anew;
        if (still.ok) await send(one);
        else {
          one.end = "nothing";
          one.outcome.refuse(still.error);
        }
      }
    },
  );
  if (sent.ok) await record.noteParts(sending.flatMap(({ outcome }) => outcome.parts.splice(0)));
  return sent;
}

/** A Consent of this batch was filed since the write was planned: the write is decided again by the Consents of now. */
async function permittedAnew(
  { asked, planned, outcome: { origin } }: Entry,
  permission: Permission,
): Promise<Result<unknown, EntryRefusal>> {
  if (planned === origin.generation || !asked.ok || asked.value.kind === "reading") return ok(undefined);
  const { write } = asked.value;
  return origin.decided(() => planWrite(write, permission, origin));
}

function intentOf({ plan, outcome: { what, origin } }: Entry): readonly Part[] {
  if (plan?.kind !== "send") return [];
  return [writePart("intent", { ...what, ...placeOf(plan) }, plan.concerned, { origin })];
}

const placeOf = ({ type, id }: { readonly type: string; readonly id: string | undefined }) =>
  id === undefined ? { type } : { type, id };

async function send(one: Entry): Promise<void> {
  if (one.plan?.kind !== "send") return;
  const { plan, outcome } = one;
  const { origin, what, parts } = outcome;
  const sent = await standing(plan, await sendWrite(plan, origin), origin);
  one.end = sent.ok ? sent.value : isUnanswered(sent.error) ? "unknown" : "nothing";
  origin.held.give(plan.write.body?.length ?? 0);
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
function answerUnsent({ outcome }: Entry, planned: Exclude<PlannedWrite, { kind: "send" }>): void {
  const { origin } = outcome;
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
