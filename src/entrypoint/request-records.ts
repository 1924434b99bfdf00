import type { AuditEvent } from "#audit/event";
import type { Counted, ProofSink, ProofUse, Recorded, Replayed } from "#audit/ports";
import type { Home } from "#kernel/region";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";

/** Result of an append. `replayed`: a further request used the proof before. */
export type Appended = Recorded | Counted | Replayed;

/** The ledger for the records of a single request. An append that fails throws: then nothing may leave. */
export class RequestRecords {
  readonly #ledger: ProofSink;
  /** The first record used the request's proof up, or a further request did so before. */
  #isProofSpent = false;

  constructor(ledger: ProofSink) {
    this.#ledger = ledger;
  }

  /**
   * Appends, and uses the proof up with the first append of a request that has a proof: only a single
   * request with a proof gets past here (RFC 9449 §11.1).
   */
  async first(events: readonly AuditEvent[], sender: Sender, proof: ProofUse | undefined): Promise<Appended> {
    if (proof === undefined || this.#isProofSpent) return this.further(events, sender);
    this.#isProofSpent = true;
    return this.#ledger.recordOnce(events, proof);
  }

  /** Appends and leaves the proof as it is. */
  further(events: readonly AuditEvent[], sender: Sender): Promise<Recorded | Counted> {
    return this.#ledger.record(events, sender);
  }
}

/** The parts of a request by which its log is chosen. */
interface Sending {
  readonly id: string;
  readonly address: string;
  readonly continent?: string | undefined;
  /** The id of the request with which the isolate's turn began; without it the request is a turn of its own. */
  readonly turn?: string | undefined;
}

/** The sender of a request's records. An anonymous request stays with its address. */
export function senderOf(
  { id, address, continent, turn = id }: Sending,
  /** Each client has a name of its own here, and so has each operator. */
  client: { readonly id: string; readonly home?: Home | undefined } | undefined,
  jkt: string | undefined,
  /** The number of logs over which the records of a client are spread. */
  spread: number,
): Sender {
  const home = client?.home?.region;
  if (jkt !== undefined) return { kind: "key", jkt, client: client?.id, home };
  return client === undefined
    ? { kind: "address", address, continent }
    : { kind: "client", client: client.id, turn, spread, home, continent };
}

/** A proof with the client whose key it is, and its home: there is the log that takes the proof once. */
export const proofAtHome = (
  proof: ProofUse | undefined,
  client: { readonly id: string; readonly home?: Home | undefined } | undefined,
): ProofUse | undefined => proof && { ...proof, client: client?.id, home: client?.home };

/**
 * `Phylax-Receipt` of an answer: the place of its first record. A refusal that was only counted has no
 * receipt.
 *
 * @param proof C2SP tlog-proof of the leaf.
 */
export const receiptHeader = (
  recorded: Recorded | Counted,
  proof?: Uint8Array,
): Readonly<Record<string, string>> =>
  recorded === "counted" ? {} : { "phylax-receipt": formatReceipt({ ...recorded, proof }) };
