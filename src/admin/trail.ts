import type { AuditEvent, EventOutcome } from "#audit/event";
import type { ProofSink, Replayed } from "#audit/ports";
import { receiptHeader, RequestRecords, senderOf, type Appended } from "#entrypoint/request-records";
import type { Instant } from "#kernel/clock";
import type { Sender } from "#ledger/shard-choice";
import type { SeenOfOperator } from "./operator.ts";

/** The parts of a request at the operators' door that each of its records has. */
export interface OperatorArrival {
  readonly id: string;
  readonly at: Instant;
  readonly address: string;
}

/**
 * Puts the actions of an operator on record. Each call throws when it cannot: then nothing may be changed or
 * answered.
 */
export class Trail {
  readonly seen: SeenOfOperator = {};
  readonly #arrival: OperatorArrival;
  readonly #records: RequestRecords;
  readonly #what: NonNullable<AuditEvent["what"]>;

  constructor(arrival: OperatorArrival, ledger: ProofSink, what: NonNullable<AuditEvent["what"]>) {
    this.#arrival = arrival;
    this.#records = new RequestRecords(ledger);
    this.#what = what;
  }

  /** Nothing was changed, and nothing will be. */
  async refused(outcome: EventOutcome): Promise<Receipt> {
    const event = this.#event({ kind: "refusal", step: 0, outcome });
    const recorded = await this.#recordFirst(event);
    // refused either way
    return receiptHeader(recorded === "replayed" ? await this.#record(event) : recorded);
  }

  /**
   * The record before the change: after a crash it says that the change may have been made. `replayed`: the
   * change must not be made.
   */
  async intends(documentDigest: string | undefined): Promise<Receipt | Replayed> {
    const recorded = await this.#recordFirst(
      this.#event({
        kind: "administration",
        step: 0,
        what: { ...this.#what, ...(documentDigest !== undefined && { id: documentDigest }) },
      }),
    );
    return recorded === "replayed" ? recorded : receiptHeader(recorded);
  }

  async ended(outcome: EventOutcome): Promise<void> {
    await this.#record(this.#event({ kind: "administration", step: 1, outcome }));
  }

  #recordFirst(event: AuditEvent): Promise<Appended> {
    return this.#records.first([event], this.#sender(), this.seen.proof);
  }

  #record(event: AuditEvent): ReturnType<RequestRecords["further"]> {
    return this.#records.further([event], this.#sender());
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
    const sender = operator === undefined ? undefined : { id: `operator ${operator}` };
    return senderOf(this.#arrival, sender, undefined, 1);
  }
}

type Receipt = ReturnType<typeof receiptHeader>;
