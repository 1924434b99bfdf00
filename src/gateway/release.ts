import type { RecordedOnly } from "#entrypoint/client-refusals";
import { joinBytes } from "#fhir/json/bytes";
import { doneOutcome } from "#fhir/outcome";
import { utf8 } from "#kernel/encoded";
import type { Arrival } from "#gateway/admission/admit";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import { Drafts, type AnswerPorts, type AnswerDraft } from "#gateway/answer/drafts";
import { LedgerBusy } from "#gateway/answer/ledger-queue";
import { bundleText } from "#gateway/change/bundle-text";
import { clearEntries } from "#gateway/change/entry-outcome";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { Recorder, RequestFacts } from "#gateway/record/recorder";
import type { WriteOutcome } from "#gateway/change/write-outcome";
import type { GatewayRefusal, Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";

/**
 * The only way out (P1, P4). An answer with patient data leaves in this order: the client's lease is renewed
 * with the denials that go with it, the registry's data is asked again (ten seconds old at most), the record
 * credits are spent, the answer goes on record, and then it is released. A refusal and an answer without
 * patient data skip the first steps, never the record. When a step throws, nothing leaves:
 * also when too many answers wait for the ledger already.
 */
export async function release(
  outcome: Outcome,
  arrival: Arrival,
  recorder: Recorder,
  ports: AnswerPorts,
): Promise<Response> {
  const drafts = new Drafts(arrival, recorder, ports);
  const draft = await cleared(outcome, arrival.id, recorder.facts, drafts);
  return recordAndAnswer(draft, drafts, ports);
}

/**
 * Puts the fault of a known caller's request on record, with the interaction as far as it was learned, and answers
 * it. Throws the fault if its record is not made: the caller is unknown, a record of the request says already what
 * was begun, or the ledger is what failed.
 */
export async function recordFault(
  fault: unknown,
  arrival: Arrival,
  recorder: Recorder,
  ports: AnswerPorts & Pick<GatewayPorts, "onFault">,
): Promise<Response> {
  if (fault instanceof LedgerBusy || !recorder.mayRecord(fault)) throw fault;
  const draft = new Drafts(arrival, recorder, ports).refusal({ reason: "fault", retryAfterSeconds: 2 });
  // Once: the fault of this append is the ledger's.
  const recorded = await draft.record().catch(() => undefined);
  if (recorded === undefined || recorded === "replayed") throw fault;
  const answer = await draft.answer(recorded).catch(() => undefined);
  if (answer === undefined) throw fault;
  ports.onFault({ requestId: arrival.id, name: fault instanceof Error ? fault.name : "unknown" });
  return answer;
}

/** A proof of possession (DPoP) answers a single request: a further request with it is refused. */
async function recordAndAnswer(draft: AnswerDraft, drafts: Drafts, ports: AnswerPorts): Promise<Response> {
  const recorded = await ports.ledgerQueue.holding(draft.bytes ?? 0, draft.record);
  return recorded === "replayed"
    ? recordAndAnswer(drafts.refusal({ reason: "proof_replayed" }), drafts, ports)
    : draft.answer(recorded);
}

/**
 * Asks whether an outcome may be shown now, and drafts the answer: to the outcome, or to the refusal that
 * took its place.
 */
async function cleared(
  outcome: Outcome,
  requestId: string,
  facts: RequestFacts,
  drafts: Drafts,
): Promise<AnswerDraft> {
  switch (outcome.kind) {
    case "refused":
      return clearedRefusal(outcome.refusal, facts, drafts);
    case "local":
      return drafts.local(outcome.resource);
    case "disclosed": {
      const { disclosure, gate, origin } = outcome;
      const clearance = await gate.clear({ disclosure, concerned: origin.names.concerned });
      if (!clearance.ok) return clearedRefusal(clearance.error, facts, drafts);
      // between the windows of a long answer: a withdrawal counts within ten seconds (P4)
      const mayGoOn = async () => (await gate.stillGood()).ok;
      return drafts.disclosure(clearance.value, mayGoOn);
    }
    case "written":
      return drafts.written(await clearedWrite(outcome.write, outcome.gate, outcome.origin));
    case "bundle": {
      const { kind, parts, result, doneText } = outcome.bundle;
      if ("reason" in result) return drafts.bundle(kind, parts, result);
      const answers = await clearEntries(result, outcome.gate);
      const all = [...parts, ...result.flatMap((entry) => entry.parts)];
      const text =
        doneText === undefined
          ? bundleText(kind, answers, requestId)
          : joinBytes([utf8(JSON.stringify(doneOutcome(requestId, doneText)))]);
      return drafts.bundle(kind, all, text);
    }
  }
}

/**
 * A refusal that rows decided discloses these rows: it pays for the names of their patients like an answer.
 */
async function clearedRefusal(
  refusal: GatewayRefusal,
  { origin, gate }: RequestFacts,
  drafts: Drafts,
): Promise<AnswerDraft> {
  // The first request with the proof has the record. A replay is refused whatever it asks.
  if (refusal.reason === "proof_replayed" || origin === undefined) return drafts.refusal(refusal);
  const { concerned } = origin.names;
  const paid = concerned.due() === 0 ? undefined : await gate?.spendNames(concerned);
  return paid?.ok === false ? drafts.refusal(paid.error) : drafts.refusal(refusal, concerned.alone());
}

/**
 * The write is done whatever happens here. A client who may no longer be answered, or who cannot be
 * answered, learns only its status, and the record says why.
 */
async function clearedWrite(
  write: WriteOutcome,
  gate: ReleaseGate,
  { names: { concerned } }: OriginSession,
): Promise<WriteOutcome> {
  const { disclosure, ...done } = write;
  if (write.refusal !== undefined) return done;
  try {
    if (disclosure === undefined) {
      const still = await gate.stillGood();
      return still.ok ? done : statusAlone(done, still.error.reason);
    }
    const clearance = await gate.clear({ disclosure, concerned });
    return clearance.ok
      ? { ...done, disclosure: clearance.value }
      : statusAlone(done, clearance.error.reason);
  } catch {
    return statusAlone(done, "answer_unavailable" satisfies RecordedOnly);
  }
}

// Each says that the resource cannot be shown now, and nothing against the client.
const notOfClient: ReadonlySet<string> = new Set<GatewayRefusal["reason"]>([
  "answer_too_large",
  "consent_changed",
  "record_quota_exhausted",
]);

/** A created resource has its address all the same (FHIR R4 http §3.1.0.8): its id reveals nothing new to its creator. */
const statusAlone = ({ location, ...done }: WriteOutcome, reason: string): WriteOutcome => ({
  ...done,
  reason,
  ...(done.status === 201 && notOfClient.has(reason) && { location }),
});
