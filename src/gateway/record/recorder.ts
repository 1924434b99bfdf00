import type { RecordedOnly } from "#entrypoint/refusal-reasons";
import type { AccountingCaller } from "#audit/accounting/disclosures";
import type { AuditEvent, EventKind } from "#audit/event";
import type { Counted, ProofSink, Recorded, Replayed } from "#audit/ports";
import type { Interaction } from "#fhir/interaction";
import type { Principal } from "#identity/principal";
import { err, ok } from "#kernel/result";
import type { Sender } from "#ledger/shard-choice";
import type { DisclosedWindow, Disclosure } from "#phi/disclosure";
import type { Arrival, Call } from "#gateway/admission/admit";
import type { CallerFacts } from "#gateway/admission/authenticate-caller";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { Intended } from "#gateway/write/after-intent";
import { onRecord } from "./on-record.ts";
import type { OriginSession } from "#gateway/origin/origin-session";
import {
  inAppends,
  nobody,
  refusalNames,
  windowNames,
  withheldPathsMax,
  writeNames,
  type Named,
  type Part,
} from "./parts.ts";
import { withStates } from "#gateway/origin/with-states";
import type { WriteOutcome } from "#gateway/write/write-outcome";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";

export interface RecorderPorts {
  readonly ledger: ProofSink;
  /** Over how many logs one client's records are spread. */
  readonly ledgerSpread: number;
}

/** Facts about a request, as its stages find them out. */
export interface RequestFacts extends CallerFacts {
  readonly call?: Call;
  /** Knows the client's budgets. */
  readonly gate?: ReleaseGate;
  readonly interaction?: Interaction;
  readonly policyDigest?: string;
  /** Knows where the patients of a record live, whom the question names, and which rows decided the answer. */
  readonly origin?: OriginSession;
}

/** What an answer broke off at. Of a client that left nothing more is known than that it does not take what is written. */
export type BreakReason = Extract<RecordedOnly, "lease_lost" | "window_not_recorded" | "client_disconnected">;

/** What an append of a request came to: `replayed` when another request used its proof before. */
export type Appended = Recorded | Counted | Replayed;

/** Puts on record what happens to one request: makes the events of it, uses its proof up with the first append. Throws when an append fails. */
export class Recorder {
  readonly #arrival: Arrival;
  readonly #ports: RecorderPorts;
  #facts: RequestFacts = {};
  /** The request's proof was used up by its first record, or by another request before it. */
  #proofSpent = false;
  /** The first record of a write that was sent: its receipt. */
  #intended: Recorded | Counted | undefined;
  /** Of the parts of a batch: each event has a step of its own. */
  #partsRecorded = 0;

  constructor(arrival: Arrival, ports: RecorderPorts) {
    this.#arrival = arrival;
    this.#ports = ports;
  }

  get facts(): RequestFacts {
    return this.#facts;
  }

  learn(facts: RequestFacts): void {
    this.#facts = { ...this.#facts, ...facts };
  }

  /** Who asks, for what the ledger records of it itself. */
  get caller(): AccountingCaller {
    const { id, at, who, from, why, traceId } = this.#event("notice", undefined);
    return { id, at, who, from, why, traceId };
  }

  /** @param decidedBy beside it, what the refusal tells of rows. */
  refusal(status: number, reason: string, decidedBy: DisclosedWindow | undefined): Promise<Appended> {
    const refusal = { ...this.#event("refusal", { status, reason }), ...refusalNames(this.#facts.origin) };
    return this.#first(
      decidedBy === undefined ? [refusal] : [refusal, { ...this.#disclosed(decidedBy, [], status), step: 1 }],
    );
  }

  /** An answer with nothing of the origin's in it. */
  notice(status: number): Promise<Appended> {
    return this.#first([this.#event("notice", { status })]);
  }

  /** An answer that is one window. */
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
    const withheld = { paths: disclosure.withheldPaths.slice(0, withheldPathsMax) };
    return this.#first([
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

  /** An answer in windows broke off. */
  async aborted(reason: BreakReason, { windows }: Disclosure): Promise<void> {
    // After every window there could be: one whose record got no answer may be on record all the same, under its own step.
    await this.#append([{ ...this.#event("aborted", { reason }), step: windows.length + 1 }]);
  }

  /** A write is about to be sent, with whom it is about. */
  async intend(concerned: ConcernedBy): Promise<Intended> {
    const recorded = await this.#first([
      { ...this.#event("intent", {}), ...this.#written(concerned, onRecord(this.#facts.interaction)) },
    ]);
    return this.#keepIntent(recorded);
  }

  #keepIntent(recorded: Appended): Intended {
    if (recorded === "replayed") return err({ reason: "proof_replayed" });
    this.#intended = recorded;
    return ok(undefined);
  }

  /**
   * How a write ended, in one append with what the answer discloses: the rows that it shows, cleared, else the rows that decided it.
   * Without an intent nothing was sent. The receipt is that of the intent.
   */
  async written({ status, type, id, reason, disclosure, concerned }: WriteOutcome): Promise<Appended> {
    const step = this.#intended === undefined ? 0 : 1;
    const event = this.#event("write", { status, reason });
    const what = { ...event.what, type, id };
    const decided = disclosure === undefined ? this.#facts.origin?.concerned.alone() : undefined;
    const windows = disclosure?.windows ?? (decided === undefined ? [] : [decided]);
    const shown = windows.map((window, index) =>
      Object.assign(this.#disclosed(window, disclosure?.withheldPaths ?? [], status), {
        what,
        step: step + 1 + index,
      }),
    );
    const recorded = await this.#first([
      { ...event, ...this.#written(concerned, what), what, step },
      ...shown,
    ]);
    return recorded === "replayed" ? recorded : (this.#intended ?? recorded);
  }

  /** The writes of a batch or a transaction that are about to be sent. */
  async intendParts(parts: readonly Part[]): Promise<Intended> {
    return this.#keepIntent(await this.#parts(parts));
  }

  /** How the writes of a batch or a transaction ended. */
  async noteParts(parts: readonly Part[]): Promise<void> {
    await this.#parts(parts); // after the intent: a proof is used up by then
  }

  /** All other events of a batch or a transaction, and at least one for the request. The receipt is that of its first record. */
  async lastParts(kind: "batch" | "transaction", parts: readonly Part[]): Promise<Appended> {
    const empty: Part = { kind: "notice", what: { interaction: kind }, outcome: { status: 200 }, ...nobody };
    const last = parts.length === 0 ? [empty] : parts;
    const recorded =
      parts.length === 0 && this.#intended !== undefined ? this.#intended : await this.#parts(last);
    return recorded === "replayed" ? recorded : (this.#intended ?? recorded);
  }

  async #parts(parts: readonly Part[]): Promise<Appended> {
    let first: Recorded | Counted | undefined;
    for (const group of inAppends(parts)) {
      const recorded = await this.#first(group.map((part) => this.#partEvent(part)));
      if (recorded === "replayed") return recorded;
      first ??= recorded;
    }
    if (first === undefined) throw new Error("an answer without a record");
    return first;
  }

  #partEvent({ kind, what, outcome, ...about }: Part): AuditEvent {
    const [event, step] = [this.#event(kind, outcome), this.#partsRecorded];
    this.#partsRecorded += 1;
    return { ...event, ...about, what: { ...event.what, ...what }, step };
  }

  /** The first append of this request uses its proof up: of all requests with one proof, one gets past here. */
  async #first(events: readonly AuditEvent[]): Promise<Appended> {
    const proof = this.#facts.principal?.proof;
    if (proof === undefined || this.#proofSpent) return this.#append(events);
    this.#proofSpent = true;
    return this.#ports.ledger.recordOnce(this.#located(events), proof);
  }

  #append(events: readonly AuditEvent[]): Promise<Recorded | Counted> {
    return this.#ports.ledger.record(this.#located(events), this.#sender(this.#facts.principal));
  }

  #located(events: readonly AuditEvent[]): readonly AuditEvent[] {
    const { origin } = this.#facts;
    return origin === undefined ? events : events.map((event) => withStates(event, origin.residences));
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
      window: { number, complete: number === windows.length },
      ...(number > 1 && { asked: [] }), // said once
    };
  }

  #disclosed(window: DisclosedWindow, withheldPaths: readonly string[], status: number): AuditEvent {
    return { ...this.#event("disclosure", { status }), ...windowNames(window, withheldPaths) };
  }

  #written(concerned: ConcernedBy, what: NonNullable<AuditEvent["what"]>): Named {
    return writeNames(concerned, this.#facts.call?.origin ?? "", what);
  }

  #event(kind: EventKind, outcome: AuditEvent["outcome"]): AuditEvent {
    const { call, certificate, principal, signedBy, interaction, policyDigest } = this.#facts;
    return {
      id: this.#arrival.id,
      at: this.#arrival.at,
      kind,
      who: {
        client: principal?.client.id,
        certificate: principal?.certificate ?? certificate,
        jkt: principal?.proof?.jkt,
        issuer: principal?.issuer,
        tokenId: principal?.tokenId,
        subject: principal?.client.external && principal.subject, // of the built-in issuer the client itself
        user: principal?.user,
        patient: principal?.patient,
        unbound: principal?.unbound === true ? true : undefined,
        signedBy,
      },
      from: { address: this.#address },
      what: {
        ...onRecord(interaction),
        method: this.#arrival.method,
        origin: call?.origin,
        path: call?.segments.join("/"),
      },
      why: principal && {
        purposes: [principal.purpose],
        agreement: principal.agreement,
        policy: policyDigest,
        grant: `${principal.client.id}/${principal.grant.origin}/${principal.grant.purpose}`,
      },
      outcome,
      ...nobody,
      // Of a caller who is not known no row was looked at.
      reserve: principal === undefined ? undefined : nobody.reserve,
      asked: this.#facts.origin?.asked,
      traceId: call?.traceId,
    };
  }

  get #address(): string {
    return this.#arrival.headers.get("cf-connecting-ip") ?? "";
  }

  /** An anonymous refusal stays with its address, so that a flood meets one log and its cap. */
  #sender(principal: Principal | undefined): Sender {
    if (principal === undefined) return { kind: "address", address: this.#address };
    const { client, proof } = principal;
    if (proof !== undefined) return { kind: "key", jkt: proof.jkt };
    return {
      kind: "client",
      client: client.id,
      requestId: this.#arrival.id,
      spread: this.#ports.ledgerSpread,
    };
  }
}
