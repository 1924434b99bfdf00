import { faceOf } from "#entrypoint/gateway-face";
import type { BatchEntry, EntryFault } from "#fhir/batch";
import { isReading } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import { asksForOutcome } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { MemoryBusy } from "#limits/shared-memory";
import type { Disclosure } from "#phi/disclosure";
import type { NextLinks } from "#gateway/admission/page-links";
import { authorizeListing, authorizeReading, type Permission } from "#gateway/admission/authorize";
import { nameAsked } from "#gateway/admission/name-asked";
import { bytesOf, type ReleaseGate } from "#gateway/admission/release-gate";
import type { OriginSession } from "#gateway/origin/origin-session";
import { etagOf, isListed } from "#gateway/read/etag";
import type { PolicyRefusal } from "#policy/grant";
import { mayHideStrangers } from "#policy/search/searched-unnamed";
import { gather, type GatherRefusal } from "#gateway/read/gather";
import { list } from "#gateway/read/list";
import { decidedParts, repeatedPart, writeParts } from "#gateway/record/parts";
import type { Attempt } from "./attempt.ts";
import {
  interactionOf,
  isWriteEntry,
  readAsked,
  type AskedBatch,
  type AskedBundle,
  type AskedReading,
  type AskedTransaction,
} from "./batch-entry.ts";
import type { BundleOutcome, EntryIssue, TransactionRefusal } from "./bundle-outcome.ts";
import { ChangeSet, endOfChange, type WriteInSet, type ChangeRecord, type SentSet } from "./change-set.ts";
import { EntryOutcome, refusedEntry, whatOf } from "./entry-outcome.ts";
import { planWhole, type UnsentTransaction } from "./plan-whole.ts";
import { isUnknown, type SendRefusal } from "./send.ts";
import { locationIn, represent } from "./show.ts";

/** The gate as a bundle needs it before its answer is made. */
export type BundleGate = Pick<ReleaseGate, "spendFurtherRequests" | "spendNames" | "stillGood">;

/** An entry between its reading and its answer. It has neither if it was refused before. */
interface Entry {
  readonly outcome: EntryOutcome;
  readonly reading?: AskedReading;
  readonly change?: WriteInSet;
}

/** The entries of a bundle whose writes have their ends. */
interface Written extends SentSet {
  readonly entries: readonly Entry[];
}

// A Worker has at most six open connections.
const atOnce = 6;
// A Worker may send a thousand requests, and a server may ignore a preference (RFC 7240 §2).
const shownReadsMax = 50;

/**
 * A batch: each entry is permitted, refused and recorded as a request of its own. A transaction: each entry is
 * permitted by itself, or nothing is done. Reads come last and see the written rows (FHIR R4 http §3.1.0.11.2); the
 * writes stay done when a read finds nothing.
 *
 * @param attempt for a bundle under a key.
 */
export async function answerBundle(
  bundle: AskedBundle,
  permission: Permission,
  origin: OriginSession,
  links: NextLinks,
  gate: BundleGate,
  record: ChangeRecord,
  attempt?: Attempt,
): Promise<Result<BundleOutcome, UnsentTransaction>> {
  const { kind } = bundle;
  const spent = await gate.spendFurtherRequests(bundle.entries.length - 1);
  if (!spent.ok) return spent;
  const set = new ChangeSet(kind, permission, gate, record, attempt);
  const written =
    kind === "batch"
      ? await writeEach(bundle, set, permission, origin)
      : await writeWhole(bundle, set, permission, origin, attempt);
  if (!written.ok) return written;
  const { sending, refusal } = written.value;
  let { entries } = written.value;
  const isWhole = kind === "transaction";
  for (const { outcome, change } of entries) if (change !== undefined) answerWrite(outcome, change, isWhole);
  const parts = sending.flatMap(({ index }) => entries[index]?.outcome.parts.splice(0) ?? []);
  const result = isWhole ? (refusal ?? unfinished(entries, sending)) : undefined;
  const decided = (status: number) =>
    isWhole ? decidedParts({ interaction: "transaction" }, status, origin) : [];
  if (result !== undefined) return ok({ kind, parts: [...parts, ...decided(faceOf(result).status)], result });
  if (parts.length > 0) await record.noteParts(parts);
  const answered = async (): Promise<BundleOutcome> => {
    origin.held.mayThrow = true; // an entry without room is refused alone
    await readAll(entries, permission, links, isWhole);
    origin.held.mayThrow = false;
    return { kind, parts: decided(200), result: entries.map((entry) => entry.outcome), readAgain };
  };
  const readAgain = async () => {
    origin.judgeAnew();
    entries = entries.map((entry) => unread(entry, permission));
    return answered();
  };
  const read = await answered();
  await showAll(entries, permission, isWhole);
  return ok(read);
}

/** An entry whose rows are not judged by the Consents of now. */
function unread(entry: Entry, { access }: Permission): Entry {
  const { reading, outcome } = entry;
  const { disclosure } = outcome.answer ?? {};
  if (disclosure !== undefined) {
    outcome.origin.held.give(bytesOf(disclosure));
    outcome.withhold({ reason: "consent_changed" });
  }
  if (reading === undefined) return entry;
  const origin = outcome.origin.forEntry();
  origin.names.nameAsked(patientsNamed(reading.interaction), access);
  return { ...entry, outcome: new EntryOutcome(outcome.what, origin) };
}

async function writeEach(
  { entries: requests, prefer }: AskedBatch,
  set: ChangeSet,
  permission: Permission,
  origin: OriginSession,
): Promise<Result<Written, UnsentTransaction>> {
  const entries: Entry[] = [];
  for (const [index, request] of requests.entries())
    entries.push(await entryOf(request, index, prefer, permission, origin));
  const writes = requests.flatMap((each, index) => (each.ok && isWriteEntry(each.value) ? [index] : []));
  const changes = entries.flatMap(({ change }) => change ?? []);
  const sent = await set.each(changes, writes);
  return sent.ok ? ok({ entries, ...sent.value }) : sent;
}

/** An entry of a batch, with a session of its own. */
async function entryOf(
  request: Result<BatchEntry, EntryFault>,
  index: number,
  prefer: string | null,
  permission: Permission,
  session: OriginSession,
): Promise<Entry> {
  const asked = request.ok ? readAsked(request.value, request.value.resource, session.base, prefer) : request;
  const interaction = asked.ok ? interactionOf(asked.value) : undefined;
  const what = request.ok ? whatOf(request.value, interaction) : {};
  const outcome = new EntryOutcome(what, session.forEntry());
  const { origin } = outcome;
  const named = interaction === undefined ? ok(undefined) : await nameAsked(permission, interaction, origin);
  const refused = asked.ok ? named : asked;
  if (!refused.ok) outcome.refuse(refused.error);
  if (!refused.ok || !asked.ok || !request.ok) return { outcome };
  return asked.value.kind === "reading"
    ? { outcome, reading: asked.value }
    : { outcome, change: { index, asked: asked.value.write, what, origin, entry: request.value } };
}

async function writeWhole(
  { entries: requests, prefer }: AskedTransaction,
  set: ChangeSet,
  permission: Permission,
  origin: OriginSession,
  attempt: Attempt | undefined,
): Promise<Result<Written, UnsentTransaction>> {
  const atomic = await atomicityOf(requests, origin);
  if (!atomic.ok) return atomic;
  const writes = requests.flatMap((request, index) => (isWriteEntry(request) ? [index] : []));
  const entriesOf = async (changes: readonly WriteInSet[]): Promise<readonly Entry[]> => {
    const byIndex = new Map(changes.map((change) => [change.index, change]));
    const entries: Entry[] = [];
    for (const [index, request] of requests.entries()) {
      const change = byIndex.get(index);
      entries.push(
        change === undefined
          ? await entryOf(ok(request), index, prefer, permission, origin)
          : { change, outcome: outcomeOfWrite(change) },
      );
    }
    return entries;
  };
  const settled = await attempt?.settleWhole(atomic.value);
  if (settled?.ok === false) return settled;
  if (attempt !== undefined && settled?.value !== undefined) {
    await attempt.ended(new Map(), writes);
    const changes: WriteInSet[] = [];
    for (const [index, end] of settled.value) {
      const request = requests[index];
      const asked = request && readAsked(request, request.resource, origin.base, prefer);
      if (asked?.ok === false) return asked;
      if (request === undefined || asked?.value.kind !== "writing")
        throw new Error("a done transaction has another write");
      const { write } = asked.value;
      const what = whatOf(request, write.interaction);
      const change: WriteInSet = { index, asked: write, what, origin, entry: request };
      const again = await set.answerEarlier(change, end);
      if (!again.ok) return again;
      changes.push(change);
    }
    return ok({ entries: await entriesOf(changes), sending: [] });
  }
  const planned = await planWhole(requests, prefer, permission, origin);
  if (!planned.ok) return err(attempt?.refusalOf(planned.error) ?? planned.error);
  const sent = await set.whole(planned.value, writes, origin);
  return sent.ok ? ok({ entries: await entriesOf(planned.value), ...sent.value }) : sent;
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

/**
 * The outcome of a write of a transaction. All writes are settled together: the rows that decided them are on record
 * once. A resource that is shown has names of its own.
 */
function outcomeOfWrite({ what, asked: { conditions }, origin }: WriteInSet): EntryOutcome {
  const mayShow = conditions.returns === "representation";
  return new EntryOutcome(what, mayShow ? origin.forEntry() : origin, !mayShow);
}

/** Answers an entry by the end of its write, which goes on record. */
function answerWrite(outcome: EntryOutcome, change: WriteInSet, isWhole: boolean): void {
  const { plan, what, origin } = change;
  const end = endOfChange(change);
  outcome.isWrite = plan !== undefined || end.kind !== "refused";
  if (end.kind === "refused") return outcome.refuse(end.refusal);
  const { kind, refusal, concerned } = end;
  outcome.answer =
    refusal === undefined
      ? { status: end.done.status, location: locationIn(origin.base, end.done) }
      : refusedEntry(refusal);
  const { status } = outcome.answer;
  // the record of a transaction was begun under the names by which it was asked
  const { type, id } = kind === "sent" && (isWhole || refusal !== undefined) ? end.plan : end.done;
  const named = { ...what, type, ...(id !== undefined && { id }) };
  const ended = { status, ...(refusal && { reason: refusal.reason }) };
  const parts =
    kind === "repeated"
      ? [repeatedPart(named, status, origin)]
      : writeParts("write", named, concerned, { origin, outcome: ended });
  for (const part of parts) outcome.parts.push(part);
}

/**
 * Why a transaction is not done in full. If the gateway knows that no entry was done, the refusal of the first entry
 * is the answer; otherwise each entry has its own end.
 */
function unfinished(
  entries: readonly Entry[],
  sending: readonly WriteInSet[],
): SendRefusal | TransactionRefusal | undefined {
  const ends = sending.flatMap(({ end }) => (end?.kind === "sent" ? [end] : []));
  if (ends.every(({ refusal }) => refusal === undefined)) return undefined;
  const [first] = ends;
  const areUndone = ends.every((end) => end.done === undefined && !isUnknown(end));
  return areUndone && first?.refusal !== undefined
    ? first.refusal
    : { reason: "transaction_incomplete", issues: entries.map(issueOf) };
}

function issueOf({ change }: Entry, index: number): EntryIssue {
  const expression = `Bundle.entry[${index}]`;
  const said = (text: string) =>
    ({ severity: "information", code: "informational", text, expression }) as const;
  if (change === undefined) return said("It was not read.");
  const end = endOfChange(change);
  if (end.kind === "unsent") return said("Nothing had to be done.");
  if (end.refusal === undefined) return said(`It was done: ${end.done.status}.`);
  const { code, text } = faceOf(end.refusal);
  return { severity: "error", code, text, expression };
}

async function readAll(
  entries: readonly Entry[],
  permission: Permission,
  links: NextLinks,
  isWhole: boolean,
): Promise<void> {
  const reading = entries.filter((entry) => entry.reading !== undefined);
  for (let from = 0; from < reading.length; from += atOnce) {
    const some = reading.slice(from, from + atOnce);
    await Promise.all(
      some.map((entry) => unlessBusy(entry, async () => read(entry, permission, links, isWhole))),
    );
    for (const entry of some) await unlessBusy(entry, () => holdAnswer(entry));
  }
}

/** A step of a reading. Only its own entry is refused if the isolate has no memory for the step. */
async function unlessBusy({ outcome }: Entry, step: () => Promise<void> | void): Promise<void> {
  try {
    await step();
  } catch (fault) {
    if (!(fault instanceof MemoryBusy)) throw fault;
    outcome.refuse({ reason: "fault", retryAfterSeconds: 2 });
  }
}

/** An answer without room is dropped at once: fifty answers of 8 MiB are more than an isolate has. */
function holdAnswer({ outcome }: Entry): void {
  const { disclosure } = outcome.answer ?? {};
  if (disclosure !== undefined && !outcome.origin.held.take(bytesOf(disclosure)))
    outcome.refuse({ reason: "answer_too_large" });
}

async function read(
  { reading, outcome }: Entry,
  permission: Permission,
  links: NextLinks,
  isWhole: boolean,
): Promise<void> {
  if (reading === undefined) return;
  const { interaction, isHead, ifNoneMatch } = reading;
  const found = await rowsOf(reading, outcome.origin, permission, links);
  const covered = mayHideStrangers(interaction) ? await outcome.origin.coverRelation() : undefined;
  if (covered?.ok === false) return outcome.refuse(covered.error);
  if (!found.ok) return outcome.refuse(found.error);
  const hasTag = !isWhole && (interaction.kind === "read" || interaction.kind === "vread");
  const etag = hasTag ? tagOf(found.value, permission.policy.digest) : undefined;
  const isKnown = etag !== undefined && ifNoneMatch !== null && isListed(ifNoneMatch, etag);
  // a 304 confirms a guess at the body, which is on record as shown (ADR 14)
  outcome.answer = {
    status: isKnown ? 304 : 200,
    bodiless: isHead || isKnown,
    disclosure: found.value,
    etag,
  };
}

async function rowsOf(
  { interaction }: AskedReading,
  origin: OriginSession,
  permission: Permission,
  links: NextLinks,
): Promise<Result<Disclosure, GatherRefusal | PolicyRefusal>> {
  if (isReading(interaction)) {
    const grant = authorizeReading(permission, interaction);
    return grant.ok ? gather(grant.value, undefined, origin, links) : grant;
  }
  const grant = authorizeListing(permission, interaction);
  return grant.ok ? list(grant.value, undefined, origin, links) : grant;
}

const tagOf = ({ windows: [only] }: Disclosure, policyDigest: string): string | undefined =>
  only && etagOf(only.body, policyDigest);

/**
 * Adds to the answers of writes what `Prefer: return` asks for (FHIR R4 http §3.1.0.1.7): the part of the stored
 * resource that a single write shows, or an OperationOutcome. A resource that cannot be shown is left out.
 */
async function showAll(entries: readonly Entry[], permission: Permission, isWhole: boolean): Promise<void> {
  let readsLeft = shownReadsMax;
  for (const { outcome, change } of entries) {
    const { answer, origin } = outcome;
    if (change === undefined || answer === undefined || answer.refusal !== undefined) continue;
    const [end, { returns }] = [endOfChange(change), change.asked.conditions];
    if (end.kind === "refused" || end.done === undefined) continue;
    if (returns !== "representation") {
      outcome.answer = { ...answer, saysDone: asksForOutcome(returns) };
      continue;
    }
    const shown = await represent(end.done, returns, permission, origin, async (question) => {
      readsLeft -= 1;
      return readsLeft < 0 ? err({ reason: "answer_unavailable" }) : origin.read(question);
    });
    const disclosure = shown.ok ? shown.value : undefined;
    if (disclosure !== undefined && origin.held.take(bytesOf(disclosure)))
      outcome.answer = { ...answer, disclosure, etag: tagOf(disclosure, permission.policy.digest) };
    // the answer to a transaction is held as a whole
    if (isWhole && end.done.body !== undefined) origin.held.give(end.done.body.length);
  }
}
