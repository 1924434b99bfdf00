import type { RecordedOnly } from "#entrypoint/client-refusals";
import { proofAtHome, RequestRecords, senderOf, type Appended } from "#entrypoint/request-records";
import type { AccountingCaller } from "#audit/accounting/disclosures";
import { consentSetDigest } from "#audit/consent-set";
import { inAppends, withFittingPaths } from "#audit/append-size";
import type { AuditEvent, EventKind } from "#audit/event";
import type { Counted, ProofSink, Recorded } from "#audit/ports";
import type { Interaction } from "#fhir/interaction";
import { err, ok } from "#kernel/result";
import type { PolicyForm } from "#policy/schema";
import type { Sender } from "#ledger/shard-choice";
import type { DisclosedWindow, Disclosure } from "#phi/disclosure";
import type { CallerFacts } from "#gateway/admission/caller";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { ArrivedRequest, RecordedCall } from "#gateway/question";
import { recordedGrant } from "./measuring.ts";
import { onRecord } from "./on-record.ts";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginSession } from "#gateway/origin/origin-session";
import { tracedLedger } from "#gateway/trace/traced-ports";
import type { RecordedRefusal } from "./refusal-decision.ts";
import {
  decidedParts,
  disclosedParts,
  firstPaths,
  nobody,
  refusalNames,
  repeatedPart,
  windowNames,
  writeParts,
  type Intended,
  type Part,
} from "./parts.ts";
import { withPermits } from "./permits.ts";
import { withStates } from "#gateway/origin/with-states";

export interface RecorderPorts {
  readonly ledger: ProofSink;
  /** The number of logs over which the records of a client are spread. */
  readonly ledgerSpread: number;
}

/** Facts about a request, collected from its stages. */
export interface RequestFacts extends CallerFacts {
  readonly call?: RecordedCall;
  /** Knows the client's budgets. */
  readonly gate?: ReleaseGate;
  /** Ends the request's turn on the isolate's thread. */
  readonly leaveThread?: () => void;
  readonly interaction?: Interaction;
  /** The review that a declared emergency opened. */
  readonly review?: string;
  readonly policyDigest?: string;
  /** The form in which the rows of the policy leave. */
  readonly form?: PolicyForm | undefined;
  /** The grant may carry records of 42 CFR Part 2. */
  readonly mayCarryPart2?: boolean;
  /**
   * Knows the states of patients, the patients whom the question names, and the rows that decided the
   * answer.
   */
  readonly origin?: OriginSession;
}

/** The end of a write, as its record has it. */
interface RecordedWrite extends Pick<NonNullable<AuditEvent["what"]>, "id"> {
  readonly type: string;
  readonly status: number;
  /** The request was done before: this is a repeat under its key, and nothing was sent. */
  readonly isRepeat?: boolean;
  readonly reason?: string | undefined;
  readonly disclosure?: Disclosure | undefined;
  readonly concerned: ConcernedBy;
}

/** The form of an answer, with its data set and an expert's method. */
const formOnRecord = (form: PolicyForm): NonNullable<AuditEvent["form"]> => ({
  kind: form.kind,
  dataSet: form.dataSet,
  ...(form.kind === "expert" && { method: form.method }),
});

/** Why an answer broke off. A client that left is known only by not reading. */
export type BreakReason = Extract<RecordedOnly, "lease_lost" | "window_not_recorded" | "client_disconnected">;

/**
 * Puts a request on record: makes its events, and uses its proof up with the first append. It throws when an
 * append fails.
 */
export class Recorder {
  readonly #request: ArrivedRequest;
  readonly #records: RequestRecords;
  readonly #spread: number;
  readonly #facts: RequestFacts = {};
  /** The first record of a write that was sent, for its receipt. */
  #intended: Recorded | Counted | undefined;
  /** The number of recorded events of writes and of parts of a bundle: each has a step of its own. */
  #stepsTaken = 0;
  #noConsents: string | undefined;
  /** An append of this request is on record. */
  #isOnRecord = false;
  #appendFault: unknown;

  constructor(request: ArrivedRequest, { ledger, ledgerSpread }: RecorderPorts) {
    this.#request = request;
    this.#records = new RequestRecords(
      request.trace === undefined ? ledger : tracedLedger(ledger, request.trace),
    );
    this.#spread = ledgerSpread;
  }

  get request(): ArrivedRequest {
    return this.#request;
  }

  get facts(): RequestFacts {
    return this.#facts;
  }

  learn(facts: RequestFacts): void {
    Object.assign(this.#facts, facts);
  }

  /** The caller, for the events that the ledger itself records. */
  get caller(): AccountingCaller {
    const { id, at, who, from, why, traceId } = this.#event("notice", undefined);
    return { id, at, who, from, why, traceId };
  }

  /**
   * Answers whether a fault that ended the request needs a record and may have one. A record that the ledger refused
   * as faulty is none; after any other fault of an append the ledger is not asked again.
   */
  mayRecord(fault: unknown): boolean {
    if (this.#facts.principal === undefined || this.#isOnRecord) return false;
    return fault !== this.#appendFault || fault instanceof TypeError;
  }

  /** @param decidedBy the rows that the refusal discloses; they are recorded in the same append. */
  refusal(
    status: number,
    { reason, decision }: RecordedRefusal,
    decidedBy: readonly DisclosedWindow[],
  ): Promise<Appended> {
    const event = this.#event("refusal", { status, reason });
    const refusal = { ...event, decision, ...refusalNames(this.#facts.origin) };
    const first = this.#intended === undefined ? refusal : this.#nextStep(refusal); // an intent is step 0
    const { step = 0 } = first;
    return this.#all([
      first,
      ...decidedBy.map((window, at) => ({ ...this.#disclosed(window, [], status), step: step + 1 + at })),
    ]);
  }

  /** An answer without any resource of the origin. */
  notice(status: number): Promise<Appended> {
    return this.#first([this.#event("notice", { status })]);
  }

  /** An answer of a single window. */
  disclosure(
    window: DisclosedWindow,
    { withheldPaths }: Pick<Disclosure, "withheldPaths">,
    status: number,
  ): Promise<Appended> {
    return this.#first([this.#disclosed(window, withheldPaths, status)]);
  }

  /** The intent of an answer in windows, and its first window. */
  firstWindow(disclosure: Disclosure, status: number): Promise<Appended> {
    const [first] = disclosure.windows;
    if (first === undefined) throw new Error("a disclosure of nothing");
    const withheld = { paths: firstPaths(disclosure.withheldPaths) };
    return this.#all([
      { ...this.#event("intent", { status }), withheld },
      this.#numbered(first, 1, disclosure, status),
    ]);
  }

  /** A further window. */
  async window(
    window: DisclosedWindow,
    number: number,
    disclosure: Disclosure,
    status: number,
  ): Promise<void> {
    await this.#append([this.#numbered(window, number, disclosure, status)]);
  }

  /**
   * An answer in windows broke off. The step follows all possible windows: a window whose append got no answer may be
   * on record under its own step.
   */
  async aborted(reason: BreakReason, step: number): Promise<void> {
    await this.#append([{ ...this.#event("aborted", { reason }), step }]);
  }

  /**
   * The end of a write, with the disclosures of its answer: the cleared rows that it shows, else the rows that
   * decided it. Without an intent nothing was sent. The receipt is the receipt of the intent.
   */
  async written(write: RecordedWrite): Promise<Appended> {
    const { status, type, id, reason, disclosure, concerned, isRepeat = false } = write;
    const { origin } = this.#facts;
    if (origin === undefined) throw new Error("a write without an origin");
    const what = { type, id };
    const ends = isRepeat
      ? [repeatedPart(what, status, origin, reason)]
      : writeParts("write", what, concerned, { origin, outcome: { status, reason } });
    const shown =
      disclosure === undefined
        ? decidedParts(what, status, origin)
        : disclosedParts(what, status, disclosure, origin);
    return this.#last([...ends, ...shown]);
  }

  /** The writes that are about to be sent, with the patients whom they concern. */
  async intendParts(parts: readonly Part[]): Promise<Intended> {
    const recorded = await this.#parts(parts);
    if (recorded === "replayed") return err({ reason: "proof_replayed" });
    this.#intended = recorded;
    return ok(undefined);
  }

  /** The ends of the writes of a batch or a transaction. */
  async noteParts(parts: readonly Part[]): Promise<void> {
    await this.#parts(parts); // after the intent, which used the proof up
  }

  /**
   * All remaining events of a batch or a transaction, and at least a notice. The receipt is the receipt of
   * the first record.
   */
  async lastParts(kind: "batch" | "transaction", parts: readonly Part[]): Promise<Appended> {
    const empty: Part = { kind: "notice", what: { interaction: kind }, outcome: { status: 200 }, ...nobody };
    const last = parts.length === 0 ? [empty] : parts;
    return parts.length === 0 && this.#intended !== undefined ? this.#intended : this.#last(last);
  }

  async #last(parts: readonly Part[]): Promise<Appended> {
    const recorded = await this.#parts(parts);
    return recorded === "replayed" ? recorded : (this.#intended ?? recorded);
  }

  #parts(parts: readonly Part[]): Promise<Appended> {
    return this.#all(parts.map((part) => this.#partEvent(part)));
  }

  #partEvent({ kind, what, outcome, ...about }: Part): AuditEvent {
    const event = this.#event(kind, outcome);
    return this.#nextStep({ ...event, ...about, what: { ...event.what, ...what } });
  }

  #nextStep(event: AuditEvent): AuditEvent {
    const step = this.#stepsTaken;
    this.#stepsTaken += 1;
    return { ...event, step };
  }

  /**
   * Appends events, in as many appends as they need: the record of an answer is complete before the answer leaves.
   *
   * @returns the place of the first append.
   */
  async #all(events: readonly AuditEvent[]): Promise<Appended> {
    let first: Recorded | Counted | undefined;
    for (const append of inAppends(this.#located(events))) {
      const recorded = await this.#send(append);
      if (recorded === "replayed") return recorded;
      first ??= recorded;
    }
    if (first === undefined) throw new Error("an answer without a record");
    return first;
  }

  #first(events: readonly AuditEvent[]): Promise<Appended> {
    return this.#send(this.#located(events));
  }

  /** The first append uses the proof up: only a single request with a proof gets past here. */
  #send(located: readonly AuditEvent[]): Promise<Appended> {
    const { proof, client } = this.#facts.principal ?? {};
    return this.#noted(this.#records.first(located, this.#sender, proofAtHome(proof, client)));
  }

  #append(events: readonly AuditEvent[]): Promise<Recorded | Counted> {
    return this.#noted(this.#records.further(this.#located(events), this.#sender));
  }

  async #noted<T extends Appended>(append: Promise<T>): Promise<T> {
    try {
      const appended = await append;
      this.#isOnRecord ||= appended !== "replayed";
      return appended;
    } catch (fault) {
      this.#appendFault = fault;
      throw fault;
    }
  }

  #located(events: readonly AuditEvent[]): readonly AuditEvent[] {
    const { origin } = this.#facts;
    if (origin === undefined) return events;
    return withPermits(events, origin).map((event) =>
      withFittingPaths(
        withStates(Object.assign({}, event, this.#consentsOf(event)), origin.names.residences),
      ),
    );
  }

  #numbered(
    window: DisclosedWindow,
    number: number,
    { windows, withheldPaths }: Disclosure,
    status: number,
  ): AuditEvent {
    return {
      ...this.#disclosed(window, withheldPaths, status),
      step: number, // the intent is step 0
      window: { number, complete: number === windows.length, ...window.mark },
      ...(number > 1 && { asked: [] }), // the first window says it
    };
  }

  #disclosed(window: DisclosedWindow, withheldPaths: readonly string[], status: number): AuditEvent {
    return Object.assign(this.#event("disclosure", { status }), windowNames(window, withheldPaths));
  }

  #event(kind: EventKind, outcome: AuditEvent["outcome"]): AuditEvent {
    const { call, certificate, principal, signedBy, interaction, policyDigest, form } = this.#facts;
    return {
      id: this.#request.id,
      at: this.#request.at,
      kind,
      who: {
        client: principal?.client.id,
        certificate: principal?.certificate ?? certificate,
        jkt: principal?.proof?.jkt,
        issuer: principal?.issuer,
        tokenId: principal?.tokenId,
        // the built-in issuer's subject is the client itself
        subject: principal?.client.external && principal.subject,
        user: principal?.user,
        patient: principal?.patient,
        unbound: principal?.unbound === true ? true : undefined,
        signedBy,
      },
      from: { address: this.#request.address },
      what: {
        ...onRecord(interaction),
        method: this.#request.method,
        origin: call?.origin,
        path: call?.segments.join("/"),
      },
      why: principal && {
        purposes: [principal.purpose],
        agreement: principal.agreement,
        policy: policyDigest,
        grant: recordedGrant(principal),
      },
      authority: principal?.authority,
      form: form && formOnRecord(form),
      emergency: principal?.emergency && {
        justification: principal.emergency.justification,
        review: this.#facts.review,
        personnel: principal.emergency.personName, // the word of 42 CFR 2.51(c)(1)
        facility: principal.client.entity?.name,
      },
      outcome,
      ...nobody,
      // The gateway reads no row for an unknown caller.
      reserve: principal === undefined ? undefined : nobody.reserve,
      asked: this.#facts.origin?.names.asked,
      unjudged: this.#facts.origin?.barrier.unjudged,
      traceId: call?.traceId,
    };
  }

  /**
   * A random value if no Consent let anything through and no statement follows a patient of the event: the length of a
   * record reveals nothing of it. An auditor learns of no statement about a patient whom the record does not name.
   */
  #consentsOf({ patients }: AuditEvent): Pick<AuditEvent, "consents"> {
    const facts = this.#facts.origin?.facts;
    const permitting = facts?.permitting;
    if (facts === undefined || permitting === undefined) return {};
    this.#noConsents ??= crypto.getRandomValues(Buffer.alloc(32)).toString("hex");
    const idOf = (patient: string) => patient.slice(patient.lastIndexOf("/") + 1);
    const stating = patients.flatMap(({ patient }) => facts.statingOf(idOf(patient)));
    const consents = consentSetDigest(this.#request.id, [...permitting, ...stating]) ?? this.#noConsents;
    return { consents };
  }

  /** An anonymous refusal stays with its address, so that a flood meets one log and its cap. */
  get #sender(): Sender {
    const { principal } = this.#facts;
    return senderOf(this.#request, principal?.client, principal?.proof?.jkt, this.#spread);
  }
}
