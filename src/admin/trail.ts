import type { AuditEvent, Outcome } from "#audit/event";
import type { Counted, ProofSink, Recorded, Replayed } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";
import type { Seen } from "./operator.ts";

/** The parts of a request at the operators' door that each of its records has. */
export interface Arrival {
  readonly id: string;
  readonly at: Instant;
  readonly address: string;
}

/**
 * Puts the actions of an operator on record. Each call throws when it cannot: then nothing may be changed or
 * answered.
 */
export class Trail {
  readonly seen: Seen = {};
  readonly #arrival: Arrival;
  readonly #ledger: ProofSink;
  readonly #what: NonNullable<AuditEvent["what"]>;
  #proofSpent = false;

  constructor(arrival: Arrival, ledger: ProofSink, what: NonNullable<AuditEvent["what"]>) {
    this.#arrival = arrival;
    this.#ledger = ledger;
    this.#what = what;
  }

  /** Nothing was changed, and nothing will be. */
  async refused(outcome: Outcome): Promise<Receipt> {
    const event = this.#event({ kind: "refusal", step: 0, outcome });
    const recorded = await this.#recordFirst(event);
    return receiptOf(recorded === "replayed" ? await this.#record(event) : recorded); // refused either way
  }

  /**
   * The record before the change: after a crash it says that the change may have been made. `replayed`: the
   * change must not be made.
   */
  async intends(documentDigest: string): Promise<Receipt | Replayed> {
    const recorded = await this.#recordFirst(
      this.#event({ kind: "administration", step: 0, what: { ...this.#what, id: documentDigest } }),
    );
    return recorded === "replayed" ? recorded : receiptOf(recorded);
  }

  async ended(outcome: Outcome): Promise<void> {
    await this.#record(this.#event({ kind: "administration", step: 1, outcome }));
  }

  /**
   * Uses the proof up with the first record: only a single request with a proof gets past here (RFC 9449
   * §11.1).
   */
  #recordFirst(event: AuditEvent): Promise<Recorded | Counted | Replayed> {
    const { proof } = this.seen;
    if (proof === undefined || this.#proofSpent) return this.#record(event);
    this.#proofSpent = true;
    return this.#ledger.recordOnce([event], proof);
  }

  #record(event: AuditEvent): Promise<Recorded | Counted> {
    return this.#ledger.record([event], this.#sender());
  }

  #event(part: Pick<AuditEvent, "kind" | "step" | "outcome" | "what">): AuditEvent {
    const { id, at, address } = this.#arrival;
    const { certificate, operator, signIn, proof } = this.seen;
    const { issuer, subject, tokenId, keyId } = signIn ?? {};
    const who = { certificate, operator, issuer, subject, tokenId, keyId, jkt: proof?.jkt };
    return {
      id,
      at,
      who,
      from: { address },
      what: this.#what,
      patients: [],
      unnamed: [],
      counts: {},
      ...part,
    };
  }

  /**
   * Operators make few records, so each has a single log. A flood without a certificate stays with its
   * address and the cap of that log.
   */
  #sender(): Sender {
    const { operator } = this.seen;
    return operator === undefined
      ? { kind: "address", address: this.#arrival.address }
      : { kind: "client", client: `operator ${operator}`, requestId: this.#arrival.id, spread: 1 };
  }
}

type Receipt = Readonly<Record<string, string>>;

const receiptOf = (recorded: Recorded | Counted): Receipt =>
  recorded === "counted" ? {} : { "phylax-receipt": formatReceipt(recorded) };
