import type { AuditEvent, Outcome } from "#audit/event";
import type { AuditSink } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";
import type { Seen } from "./operator.ts";

/** A request at the operators' door. */
export interface Arrival {
  readonly id: string;
  readonly at: Instant;
  readonly address: string;
  readonly tlsClientAuth: unknown;
}

/** Puts what an operator does on record. Each call throws when it cannot, and then nothing may be changed or answered. */
export class Trail {
  readonly seen: Seen = {};
  readonly #arrival: Arrival;
  readonly #ledger: AuditSink;
  readonly #what: NonNullable<AuditEvent["what"]>;

  constructor(arrival: Arrival, ledger: AuditSink, what: NonNullable<AuditEvent["what"]>) {
    this.#arrival = arrival;
    this.#ledger = ledger;
    this.#what = what;
  }

  /** Nothing was changed, and nothing will be. */
  refused(outcome: Outcome): Promise<Receipt> {
    return this.#record({ kind: "refusal", step: 0, outcome });
  }

  /** Before the change: a crash after it leaves this record, which says that it may have been made. */
  intends(documentDigest: string): Promise<Receipt> {
    return this.#record({ kind: "administration", step: 0, what: { ...this.#what, id: documentDigest } });
  }

  ended(outcome: Outcome): Promise<Receipt> {
    return this.#record({ kind: "administration", step: 1, outcome });
  }

  async #record(part: Pick<AuditEvent, "kind" | "step" | "outcome" | "what">): Promise<Receipt> {
    const { id, at, address } = this.#arrival;
    const { certificate, operator } = this.seen;
    const event = {
      id,
      at,
      who: { certificate, operator },
      from: { address },
      what: this.#what,
      patients: [],
      unnamed: [],
      counts: {},
      ...part,
    };
    const recorded = await this.#ledger.record([event], this.#sender());
    return recorded === "counted" ? {} : { "phylax-receipt": formatReceipt(recorded) };
  }

  /** Few records: one log for an operator, and a flood without a certificate stays with its address and that log's cap. */
  #sender(): Sender {
    const { operator } = this.seen;
    return operator === undefined
      ? { kind: "address", address: this.#arrival.address }
      : { kind: "client", client: `operator ${operator}`, requestId: this.#arrival.id, spread: 1 };
  }
}

type Receipt = Readonly<Record<string, string>>;
