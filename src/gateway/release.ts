import type { Counted, Recorded } from "#audit/ports";
import type { RecordedOnly } from "#entrypoint/client-refusals";
import { faceOf } from "#entrypoint/gateway-face";
import type { Appended } from "#entrypoint/request-records";
import { utf8 } from "#kernel/encoded";
import type { Principal } from "#identity/principal";
import type { Budget } from "#limits/ports";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import { part2Notice } from "#policy/part2-notice";
import { bytesOf, type ReleaseGate } from "#gateway/admission/release-gate";
import { clearEntries, type EntryAnswer } from "#gateway/change/entry-outcome";
import type { OriginSession } from "#gateway/origin/origin-session";
import { BodyValidators } from "#gateway/read/etag";
import { LedgerBusy } from "#gateway/record/ledger-queue";
import { recordedGrant } from "#gateway/record/measuring";
import { recordedWindows } from "#gateway/record/recorded-windows";
import type { Recorder } from "#gateway/record/recorder";
import { onRefusal } from "#gateway/record/refusal-decision";
import type { WriteOutcome } from "#gateway/change/write-outcome";
import { JudgedAgain } from "./judged-again.ts";
import { refused, type GatewayRefusal, type Outcome } from "./outcome.ts";
import type { GatewayPorts } from "./ports.ts";
import type { Validators } from "./question.ts";

/** An answer that is on record, and may leave. A door writes it in its tongue. */
export interface ReleasedAnswer {
  readonly outcome: ReleasedOutcome;
  /** The place of its first record. */
  readonly recorded: Recorded | Counted;
  /** The caller, if proven. */
  readonly who: Principal | undefined;
  /** The rest of each quota from which the request spent; undefined: it came to no quota. */
  readonly budgets: readonly Budget[] | undefined;
  /** The notice of 42 CFR 2.32(a), if the grant may carry records of 42 CFR Part 2: the grant decides, never a row. */
  readonly notice: string | undefined;
}

export type ReleasedOutcome =
  | { readonly kind: "refused"; readonly refusal: GatewayRefusal }
  /** A resource that is answered without any resource of the origin, as JSON. */
  | { readonly kind: "local"; readonly text: string }
  | ShownOutcome
  /** A written resource that is shown has validators. */
  | { readonly kind: "written"; readonly write: WriteOutcome; readonly validators: Validators | undefined }
  /** `doneText`: the operation was done as this transaction, and its answer is the text. */
  | {
      readonly kind: "batch" | "transaction";
      readonly entries: readonly EntryAnswer[];
      readonly doneText: string | undefined;
    };

interface ShownOutcome {
  readonly kind: "shown";
  /** 304: the asker has the representation already. */
  readonly status: 200 | 206 | 304;
  /** A long body comes in windows: at each the gate is asked again, and it is on record before it is given out. */
  readonly body: Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array> | undefined;
  /** The whole body, for the digest of a signature alone. */
  readonly pieces: () => readonly Uint8Array[];
  readonly validators: Validators | undefined;
  /** For an answer that is not FHIR: its media type and its protective headers. */
  readonly headers: Disclosure["headers"];
}

type ReleasePorts = Pick<GatewayPorts, "ledgerQueue" | "elements" | "keepAlive">;

/** An outcome that may leave once it is on record. */
interface Cleared {
  /**
   * Size of an answer that may still be given up before its record. Undefined where something was done
   * already, which must go on record.
   */
  readonly bytes?: number;
  readonly record: () => Promise<Appended>;
  readonly outcome: () => ReleasedOutcome | Promise<ReleasedOutcome>;
  /** The parts of the body whose elements are counted. */
  readonly left?: readonly Uint8Array[] | undefined;
  /** The outcome does not leave. */
  readonly drop?: () => Promise<void>;
}

/**
 * The only way out (P1, P4). An answer with patient data leaves in this order: the client's lease is renewed
 * with the denials that go with it, the registry's data is asked again (ten seconds old at most), the record
 * credits are spent, the answer goes on record, and then it is released. A refusal and an answer without
 * patient data skip the first steps, never the record. When a step throws, nothing leaves:
 * also when too many answers wait for the ledger already. A Consent that changed meanwhile leads back to the
 * judgement.
 */
export async function release(
  outcome: Outcome,
  recorder: Recorder,
  ports: ReleasePorts,
  again = new JudgedAgain(),
): Promise<ReleasedAnswer> {
  recorder.request.trace?.stage("release");
  return recordAndRelease(await cleared(outcome, recorder, ports, again), recorder, ports);
}

/**
 * Puts the fault of a known caller's request on record, with the interaction as far as it was learned, and releases
 * its refusal. Throws the fault if its record is not made: the caller is unknown, a record of the request says already
 * what was begun, or the ledger is what failed.
 */
export async function releaseFault(
  fault: unknown,
  recorder: Recorder,
  { onFault }: Pick<GatewayPorts, "onFault">,
): Promise<ReleasedAnswer> {
  if (fault instanceof LedgerBusy || !recorder.mayRecord(fault)) throw fault;
  const refusal = { reason: "fault", retryAfterSeconds: 2 } as const;
  // Once: the fault of this append is the ledger's.
  const recorded = await refusalOf(refusal, recorder)
    .record()
    .catch(() => undefined);
  if (recorded === undefined || recorded === "replayed") throw fault;
  onFault({ requestId: recorder.request.id, name: fault instanceof Error ? fault.name : "unknown" });
  return released({ kind: "refused", refusal }, recorded, recorder);
}

/** A proof of possession (DPoP) answers a single request: a further request with it is refused. */
async function recordAndRelease(
  { bytes = 0, record, outcome, left, drop }: Cleared,
  recorder: Recorder,
  ports: ReleasePorts,
): Promise<ReleasedAnswer> {
  const answer = await orDropped(drop, async () => {
    const recorded = await ports.ledgerQueue.holding(bytes, recorder.facts.principal?.client.id, record);
    return recorded === "replayed" ? undefined : released(await outcome(), recorded, recorder);
  });
  if (answer === undefined) {
    await drop?.();
    return recordAndRelease(refusalOf({ reason: "proof_replayed" }, recorder), recorder, ports);
  }
  if (left !== undefined) measure(left, recorder, ports);
  return answer;
}

/** The value of a step. A step that throws drops the outcome. */
async function orDropped<T>(drop: Cleared["drop"], step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (fault) {
    await drop?.();
    throw fault;
  }
}

const released = (
  outcome: ReleasedOutcome,
  recorded: Recorded | Counted,
  { facts: { principal, gate, mayCarryPart2 } }: Recorder,
): ReleasedAnswer => ({
  outcome,
  recorded,
  who: principal,
  budgets: gate?.budgets,
  notice: mayCarryPart2 === true ? part2Notice : undefined,
});

/** Counts the elements of a body that is on record and is sent, if the grant asks for it. */
function measure(
  bodies: readonly Uint8Array[],
  { facts: { principal }, request: { at } }: Recorder,
  { elements }: ReleasePorts,
): void {
  if (principal?.grant.measureElements === true) elements.note(recordedGrant(principal), at, bodies);
}

/**
 * Asks whether an outcome may be shown now: the outcome itself, or the refusal that took its place.
 */
async function cleared(
  outcome: Outcome,
  recorder: Recorder,
  ports: ReleasePorts,
  again: JudgedAgain,
): Promise<Cleared> {
  switch (outcome.kind) {
    case "refused": {
      const later = await again.after(outcome.refusal);
      return later === undefined
        ? clearedRefusal(outcome.refusal, recorder)
        : cleared(later, recorder, ports, again);
    }
    case "local": {
      const text = JSON.stringify(outcome.resource);
      const answer = { kind: "local", text } as const;
      return { bytes: text.length, record: () => recorder.notice(200), outcome: () => answer };
    }
    case "disclosed": {
      const { disclosure, gate, origin } = outcome;
      const drop = async () => disclosure.content?.stop();
      const clearance = await orDropped(drop, () => {
        origin.held.holdAnswer(heldBy(disclosure));
        return gate.clear({ disclosure, concerned: origin.names.concerned });
      });
      if (clearance.ok) return { ...shown(clearance.value, outcome, recorder, ports, again), drop };
      await drop();
      return cleared(refused(clearance.error), recorder, ports, again);
    }
    case "written": {
      const write = await clearedWrite(outcome.write, outcome.gate, outcome.origin);
      const [window] = write.disclosure?.windows ?? [];
      const validators =
        window &&
        new BodyValidators(
          window.body,
          recorder.facts.policyDigest ?? "",
          write.disclosure?.representation?.lastUpdated,
        );
      return {
        record: () => recorder.written(write),
        outcome: () => ({ kind: "written", write, validators }),
        left: window && write.reason === undefined ? [window.body] : undefined,
      };
    }
    case "bundle": {
      const { kind, parts, result, doneText, readAgain } = outcome.bundle;
      const record = (all: typeof parts) => () => recorder.lastParts(kind, all);
      if ("reason" in result)
        return { record: record(parts), outcome: () => ({ kind: "refused", refusal: result }) };
      if (readAgain !== undefined && result.some(({ answer }) => answer?.disclosure !== undefined)) {
        const still = await outcome.gate.stillGood();
        const readings = async () => ({ ...outcome, bundle: await readAgain() });
        const later = still.ok ? undefined : await again.after(still.error, readings);
        if (later !== undefined) return cleared(later, recorder, ports, again);
      }
      const entries = await clearEntries(result, outcome.gate);
      return {
        record: record([...parts, ...result.flatMap((entry) => entry.parts)]),
        outcome: () => ({ kind, entries, doneText }),
        left: doneText === undefined ? leftOf(entries) : undefined,
      };
    }
  }
}

const heldBy = (disclosure: Disclosure): number => disclosure.content?.held ?? bytesOf(disclosure);

/** The shown resources as an array of JSON. */
const leftOf = (entries: readonly EntryAnswer[]): readonly Uint8Array[] => [
  utf8("[null"),
  ...entries.flatMap(({ disclosure, bodiless }) =>
    disclosure === undefined || bodiless === true
      ? []
      : disclosure.windows.flatMap(({ body }) => [utf8(","), body]),
  ),
  utf8("]"),
];

const refusalOf = (
  refusal: GatewayRefusal,
  recorder: Recorder,
  decidedBy: readonly DisclosedWindow[] = [],
): Cleared => ({
  record: () => recorder.refusal(faceOf(refusal).status, onRefusal(refusal), decidedBy),
  outcome: () => ({ kind: "refused", refusal }),
});

/**
 * A refusal that rows decided discloses these rows: it pays for the names of their patients like an answer.
 */
async function clearedRefusal(refusal: GatewayRefusal, recorder: Recorder): Promise<Cleared> {
  const { origin, gate } = recorder.facts;
  // The first request with the proof has the record. A replay is refused whatever it asks.
  if (refusal.reason === "proof_replayed" || origin === undefined) return refusalOf(refusal, recorder);
  const { concerned } = origin.names;
  const paid = concerned.due() === 0 ? undefined : await gate?.spendNames(concerned);
  return paid?.ok === false
    ? refusalOf(paid.error, recorder)
    : refusalOf(refusal, recorder, concerned.alone());
}

/**
 * An answer without a body, and one that the asker has already, is on record with its whole body: its headers confirm
 * a guess at it. Up to 1 MiB there is a single record before the first byte. A longer answer has an append with the
 * intent and the first window, then an append for each further window before its bytes.
 */
function shown(
  disclosure: Disclosure,
  { question, gate, origin: { held } }: Extract<Outcome, { kind: "disclosed" }>,
  recorder: Recorder,
  ports: ReleasePorts,
  again: JudgedAgain,
): Cleared {
  const { windows, representation, headers, content } = disclosure;
  const [first, ...further] = windows;
  if (first === undefined) throw new Error("a disclosure of nothing");
  const validators =
    representation &&
    new BodyValidators(
      content ? utf8(content.version) : first.body,
      recorder.facts.policyDigest ?? "",
      representation.lastUpdated,
    );
  const status = validators !== undefined && question.isKnown(validators) ? 304 : (content?.status ?? 200);
  const isBodiless = status === 304 || question.isBodiless;
  const isOne =
    content === undefined && further.length === 0 && (isBodiless || first.body.length <= windowBytes);
  let tagged: Promise<void> | undefined;
  return {
    bytes: heldBy(disclosure),
    record: () => {
      const recording = isOne
        ? recorder.disclosure(first, disclosure, status)
        : recorder.firstWindow(disclosure, status);
      tagged = validators?.makeTag(); // while the ledger works
      return recording;
    },
    outcome: async () => {
      if (tagged !== undefined) await tagged;
      if (isBodiless)
        for (const [index, window] of further.entries())
          await recorder.window(window, index + 2, disclosure, status);
      const pieces = () => windows.map(({ body }) => body);
      const sent = () => (content === undefined ? measure(pieces(), recorder, ports) : undefined);
      const mayLeave = (from: number) =>
        // A further judgement has a session of its own. The session of the answer holds until all is sent.
        again.letsLeave(disclosure, from, gate).finally(() => recorder.facts.origin?.held.end());
      const inWindows = () =>
        held.untilSent(recordedWindows(disclosure, mayLeave, recorder, ports.keepAlive, sent));
      const body = isBodiless ? undefined : isOne ? first.body : inWindows();
      return { kind: "shown", status, body, pieces, validators, headers };
    },
    left: isOne && !isBodiless ? [first.body] : undefined,
  };
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
