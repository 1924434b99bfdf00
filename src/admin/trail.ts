import { documentParts } from "#audit/definition";
import { aboutNobody, type Approval, type AuditEvent, type EventOutcome } from "#audit/event";
import type { ProofSink, Replayed } from "#audit/ports";
import { receiptHeader, RequestRecords, senderOf, type Appended } from "#entrypoint/request-records";
import type { Instant } from "#kernel/clock";
import type { Sender } from "#ledger/shard-choice";
import type { SeenOfOperator } from "./operator.ts";

// An operator's further try goes to a different log: an operator whose only log is lost could not restore it.
const operatorSpread = 4;

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
  #steps = 0;

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
   * The record before the change, with its document: after a crash it says that the change may have been made.
   * `replayed`: the change must not be made.
   */
  async intends(
    documentDigest: string | undefined,
    document: string | undefined,
  ): Promise<Receipt | Replayed> {
    const what = { ...this.#what, ...(documentDigest !== undefined && { id: documentDigest }) };
    const [first, ...further] = documentsOf("submitted", document);
    const recorded = await this.#recordFirst(this.#administration({ what, document: first }));
    if (recorded === "replayed") return recorded;
    for (const part of further) await this.#record(this.#administration({ what, document: part }));
    return receiptHeader(recorded);
  }

  /** The record after the change, with its effect; the record with the outcome is the last. */
  async ended(outcome: EventOutcome, effect?: string, approval?: Approval): Promise<void> {
    const parts = documentsOf("effect", effect);
    for (const part of parts.slice(0, -1)) await this.#record(this.#administration({ document: part }));
    await this.#record(
      this.#administration({ outcome, document: parts.at(-1), ...(approval && { approval }) }),
    );
  }

  #administration(
    part: Pick<AuditEvent, "outcome" | "document" | "approval"> & Partial<Pick<AuditEvent, "what">>,
  ): AuditEvent {
    return this.#event({ what: this.#what, ...part, kind: "administration", step: this.#steps++ });
  }

  #recordFirst(event: AuditEvent): Promise<Appended> {
    return this.#records.first([event], this.#sender(), this.seen.proof);
  }

  #record(event: AuditEvent): ReturnType<RequestRecords["further"]> {
    return this.#records.further([event], this.#sender());
  }

  #event(part: Pick<AuditEvent, "kind" | "step" | "outcome" | "what" | "document" | "approval">): AuditEvent {
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
      ...aboutNobody,
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
    return senderOf(this.#arrival, sender, undefined, operatorSpread);
  }
}

/** A text as the documents of its records; a single record without a document if there is no text. */
function documentsOf(
  role: "submitted" | "effect",
  text: string | undefined,
): readonly AuditEvent["document"][] {
  if (text === undefined) return [undefined];
  const parts = documentParts(text);
  return parts.map((part, i) => ({ role, text: part, part: i + 1, parts: parts.length }));
}

type Receipt = ReturnType<typeof receiptHeader>;
