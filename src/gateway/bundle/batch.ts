import type { BatchBundle, BatchEntry } from "#fhir/batch";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { patientsNamed } from "#fhir/patients-named";
import type { PageLinks } from "#fhir/ports";
import type { Result } from "#kernel/result";
import type { Disclosure } from "#phi/disclosure";
import { evaluate } from "#policy/evaluate";
import { batchText, refusedEntry, type EntryAnswer } from "./bundle-text.ts";
import { readAsked, type AskedEntry } from "./batch-entry.ts";
import { etagOf } from "#gateway/read/etag";
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
import type { WriteScene } from "#gateway/write/write";
import { concernsNobody } from "#gateway/origin/concerned-by-write";
import type { PlannedWrite } from "#gateway/write/planned-write";
import { planWrite } from "#gateway/write/write-plan";
import { noteWritten, represent, sendWrite, type DoneWrite } from "#gateway/write/write-send";

export interface BatchScene extends WriteScene {
  readonly requestId: string;
  readonly who: Principal;
  readonly at: Instant;
  /** `Prefer` of the whole request. */
  readonly prefer: string | null;
  readonly pages: PageLinks;
}

/** An entry on its way. */
interface Entry {
  readonly entry: BatchEntry;
  readonly asked: Result<AskedEntry, GatewayRefusal>;
  /** With names of its own: each entry is on record as the request that it is. */
  readonly scene: BatchScene;
  plan?: PlannedWrite;
  done?: DoneWrite;
  answer?: EntryAnswer;
  readonly parts: Part[];
}

// Of one answer: it is held whole until all of it is on record.
export const answerBytesMax = 8_388_608;
// A Worker has six connections open at once.
const atOnce = 6;
const order = ["DELETE", "POST", "PUT", "PATCH"] as const; // FHIR R4 http §3.1.0.11.2; reads come last

/** A batch: each entry is a request of its own, permitted, refused and recorded as one; none depends on another. */
export async function answerBatch(
  { entries: asked }: BatchBundle,
  scene: BatchScene,
  trail: Trail,
): Promise<Response> {
  const spent = await scene.gate.spendRequests(asked.length - 1);
  if (!spent.ok) return trail.refuse(spent.error);
  const entries = asked.map((entry) => entryOf(entry, scene));
  for (const one of entries) await plan(one);

  const sending = order.flatMap((method) =>
    entries.filter(({ entry, plan }) => entry.method === method && plan?.kind === "send"),
  );
  if (sending.length > 0) {
    const still = await scene.gate.stillGood();
    if (!still.ok) return trail.refuse(still.error);
    const refused = await trail.intendParts(sending.flatMap(intentOf));
    if (refused !== undefined) return refused;
  }
  for (const one of sending) {
    // Fifty writes may take longer than a lease lives, and who was denied meanwhile writes no more.
    const still = await scene.gate.stillGood();
    if (still.ok) await send(one);
    else refuse(one, still.error);
  }
  const done = sending.flatMap(({ parts }) => parts.splice(0));
  if (done.length > 0) await trail.noteParts(done);
  await readAll(entries);
  for (const one of entries) {
    if (one.plan !== undefined && one.plan.kind !== "send") answerUnsent(one, one.plan);
    else if (one.plan !== undefined) await showWritten(one);
  }

  await release(entries, scene);
  const answers = entries.map(({ answer }) => answer ?? refusedEntry({ reason: "origin_unreachable" }));
  const parts = entries.flatMap(({ parts }) => parts);
  const empty: Part = { kind: "notice", what: { interaction: "batch" }, outcome: { status: 200 }, ...nobody };
  return trail.concludeParts(
    parts.length === 0 && sending.length === 0 ? [empty] : parts,
    batchText("batch", answers, scene.requestId),
  );
}

function entryOf(entry: BatchEntry, scene: BatchScene): Entry {
  const asked = readAsked(entry, entry.resource, scene.origin.base, scene.prefer);
  return { entry, asked, scene: { ...scene, origin: scene.origin.forEntry() }, parts: [] };
}

const interactionOf = (asked: AskedEntry) =>
  asked.kind === "reading" ? asked.interaction : asked.write.interaction;

async function plan(one: Entry): Promise<void> {
  if (!one.asked.ok) return refuse(one, one.asked.error);
  const { origin, access, gate } = one.scene;
  const named = origin.nameAsked(patientsNamed(interactionOf(one.asked.value)), access);
  if (!named.ok) return refuse(one, named.error);
  if (one.asked.value.kind === "reading") return;
  const planned = await planWrite(one.asked.value.write, one.scene);
  const paid = await gate.spendNames(origin.concerned);
  if (!paid.ok) refuse(one, paid.error);
  else if (planned.ok) one.plan = planned.value;
  else refuse(one, planned.error);
}

function refuse(one: Entry, refusal: GatewayRefusal): void {
  one.answer = refusedEntry(refusal);
  one.parts.length = 0; // an entry is refused once
  one.parts.push(refusedPart(whatOf(one), one.answer.status, refusal.reason, one.scene.origin));
}

/** As the record names it: by its own method and path, not the batch's. */
function whatOf({ entry, asked }: Pick<Entry, "entry" | "asked">) {
  return {
    ...onRecord(asked.ok ? interactionOf(asked.value) : undefined),
    method: entry.method,
    path: entry.segments.join("/"),
  };
}

function intentOf(one: Entry): readonly Part[] {
  if (one.plan?.kind !== "send") return [];
  return [
    writePart("intent", { ...whatOf(one), ...placeOf(one.plan) }, one.plan.concerned, {
      origin: one.scene.origin,
    }),
  ];
}

const placeOf = ({ type, id }: { readonly type: string; readonly id: string | undefined }) =>
  id === undefined ? { type } : { type, id };

async function send(one: Entry): Promise<void> {
  if (one.plan?.kind !== "send" || !one.asked.ok || one.asked.value.kind !== "writing") return;
  const { concerned } = one.plan;
  const { origin } = one.scene;
  const sent = await sendWrite(one.plan, origin);
  origin.held.give(one.plan.write.body?.length ?? 0);
  if (!sent.ok) {
    one.answer = refusedEntry(sent.error);
    const outcome = { status: one.answer.status, reason: sent.error.reason };
    one.parts.push(
      writePart("write", { ...whatOf(one), ...placeOf(one.plan) }, concerned, { origin, outcome }),
    );
    return;
  }
  noteWritten(one.plan, origin.residences);
  const { status, type, id, version } = sent.value;
  one.parts.push(
    writePart("write", { ...whatOf(one), ...placeOf({ type, id }) }, concerned, {
      origin,
      outcome: { status },
    }),
  );
  const at =
    status === 204 || id === undefined
      ? undefined
      : `${origin.base}/${type}/${id}${version === undefined ? "" : `/_history/${version}`}`;
  one.answer = { status, location: at };
  if (status !== 204) one.done = sent.value;
}

/** The write is done: what cannot be shown of it is left out. */
async function showWritten(one: Entry): Promise<void> {
  const returns =
    one.asked.ok && one.asked.value.kind === "writing" ? one.asked.value.write.conditions.returns : undefined;
  if (one.done === undefined || returns !== "representation") return;
  const disclosure = await represent(one.done, returns, one.scene).catch(() => undefined);
  if (disclosure !== undefined) show(one, disclosure);
}

/** Nothing had to be done: what was to be created is there, what was to be deleted is not. */
function answerUnsent(one: Entry, planned: Exclude<PlannedWrite, { kind: "send" }>): void {
  const { origin } = one.scene;
  const { type } = planned;
  const status = planned.kind === "found" ? 200 : 204;
  one.answer =
    planned.kind === "found" ? { status, location: `${origin.base}/${type}/${planned.id}` } : { status };
  const what = {
    ...whatOf(one),
    ...placeOf({ type, id: planned.kind === "found" ? planned.id : undefined }),
  };
  const concerned = planned.kind === "found" ? planned.concerned : concernsNobody;
  one.parts.push(writePart("write", what, concerned, { origin, outcome: { status } }));
}

async function readAll(entries: readonly Entry[]): Promise<void> {
  const reading = entries.filter(({ asked }) => asked.ok && asked.value.kind === "reading");
  for (let from = 0; from < reading.length; from += atOnce) {
    const some = reading.slice(from, from + atOnce);
    await Promise.all(some.map((one) => read(one)));
    // Let go of what has no room at once: fifty answers of 8 MiB are more than an isolate has.
    for (const one of some) {
      const { disclosure } = one.answer ?? {};
      if (disclosure !== undefined && !one.scene.origin.held.take(bytesOf(disclosure)))
        refuse(one, { reason: "answer_too_large" });
    }
  }
}

export const bytesOf = ({ windows }: Disclosure): number =>
  windows.reduce((sum, { body }) => sum + body.length, 0);

async function read(one: Entry): Promise<void> {
  if (!one.asked.ok || one.asked.value.kind !== "reading" || one.answer !== undefined) return;
  const { policy, access, origin, at, who, pages } = one.scene;
  const grant = evaluate(policy, access, one.asked.value.interaction);
  if (!grant.ok) return refuse(one, grant.error);
  const disclosed = await gather({ origin, at, who, grant: grant.value, place: undefined }, pages);
  if (!disclosed.ok) return refuse(one, disclosed.error);
  const { isHead, interaction } = one.asked.value;
  one.answer = { status: 200, bodiless: isHead };
  const [only] = disclosed.value.windows;
  if (interaction.kind !== "search" && only !== undefined)
    one.answer = { ...one.answer, etag: etagOf(only.body, policy.digest) };
  show(one, disclosed.value);
}

function show(one: Entry, disclosure: Disclosure): void {
  const [only] = disclosure.windows;
  const etag =
    one.answer?.etag ??
    (one.plan === undefined || only === undefined ? undefined : etagOf(only.body, one.scene.policy.digest));
  one.answer = { status: 200, ...one.answer, disclosure, ...(etag === undefined ? {} : { etag }) };
}

/**
 * What may be released at the end: while the client may still be answered, has credits for it, and there is room. A write that was done is
 * answered by its status whatever happens to what it shows. Where no row is shown, those that decided the answer are on record all the same.
 */
async function release(entries: readonly Entry[], scene: BatchScene): Promise<void> {
  const showing = entries.filter(({ answer }) => answer?.disclosure !== undefined);
  const still = showing.length === 0 ? undefined : await scene.gate.stillGood();
  let room = answerBytesMax;
  for (const one of showing) {
    const { answer } = one;
    if (answer?.disclosure === undefined) continue;
    const { origin } = one.scene;
    const bytes = bytesOf(answer.disclosure);
    const joined = bytes <= room ? origin.concerned.join(answer.disclosure) : undefined;
    const spent =
      still?.ok === true && joined !== undefined
        ? await scene.gate.spendRecords(answer.disclosure, origin.concerned)
        : still;
    if (spent?.ok === true && joined !== undefined) {
      room -= bytes;
      one.parts.push(...disclosedParts(whatOf(one), answer.status, joined, origin));
    } else withhold(one, spent?.ok === false ? spent.error : { reason: "answer_too_large" });
  }
  for (const one of entries) await tellOfRows(one, scene);
}

/** An answer that shows no row and that rows decided. The names are paid for; where there are no credits for them, the entry is refused. */
async function tellOfRows(one: Entry, { gate }: BatchScene): Promise<void> {
  const { origin } = one.scene;
  if (one.answer === undefined || one.answer.disclosure !== undefined) return;
  const paid = await gate.spendNames(origin.concerned);
  if (paid.ok || one.plan !== undefined)
    one.parts.push(...decidedParts(whatOf(one), one.answer.status, origin));
  else if (one.answer.refusal?.reason !== paid.error.reason) refuse(one, paid.error);
}

function withhold(one: Entry, refusal: GatewayRefusal): void {
  if (one.plan === undefined) return refuse(one, refusal);
  const { disclosure: _hidden, etag: _tag, ...done } = one.answer ?? { status: faceOf(refusal).status };
  one.answer = done;
}
