import type { Instant } from "#kernel/clock";

/** What a write says of a case of an amendment (45 CFR 164.526). */
export interface CaseNote {
  /** `Patient/1`. Undefined: the write links an amendment to its request. */
  readonly patient?: string | undefined;
  /** The messages of a request that the write names, as `Communication/1`. */
  readonly of: readonly string[];
  /** The rows that a request disputes, or that an amendment touches, as `Observation/1`. */
  readonly rows: readonly string[];
  /** The individual disagrees with a denial: the message is noted in the case that it names. */
  readonly isDisagreement?: boolean;
}

/** A write that says something of a case. */
export interface CaseWrite extends CaseNote {
  /** The place of the write in its request, which names the case of a new row. */
  readonly index: number;
  readonly type: string;
  /** Undefined: the origin assigns the id. */
  readonly id?: string | undefined;
}

export interface EndedCaseWrite extends CaseWrite {
  readonly end: "stored" | "unknown" | "not stored";
  /** The id of the stored row, if the origin said it. */
  readonly storedId?: string | undefined;
}

/** The request by which a case begins: the ledger's records of it prove the receipt. */
export interface CaseRequest {
  readonly requestId: string;
  readonly at: Instant;
  readonly client: string;
  readonly origin: string;
}

/** The cases at `control`. Each method throws when `control` cannot. */
export interface CaseReceiver {
  /**
   * Opens a case for each request, or none at all. A repeated call changes nothing. `too_many`: the client has as many
   * open cases of a patient as it may.
   */
  open(request: CaseRequest, writes: readonly CaseWrite[]): Promise<"too_many" | undefined>;
  /** Says how the writes ended. Without this call a case stays, and names no stored request. */
  settle(request: CaseRequest, writes: readonly EndedCaseWrite[]): Promise<void>;
}
