import type { Instant } from "#kernel/clock";

/**
 * The kinds of event that this version writes, and whether each disclosed something: a disclosure makes one
 * line in the accounting of every patient it names (45 CFR 164.528). Kinds are added here; readers keep kinds
 * that they do not know.
 */
export const eventKinds = {
  disclosure: { discloses: true },
  /**
   * A long answer is about to leave in windows, each a `disclosure` of its own; or a write is about to be
   * sent, about whom it names.
   */
  intent: { discloses: false },
  /**
   * How a write ended: after its intent, or alone when nothing had to be sent. What its answer shows is a
   * `disclosure` of its own.
   */
  write: { discloses: false },
  /** It broke off: what the windows on record say may have left, nothing else. */
  aborted: { discloses: false },
  /**
   * An answer with nothing of the origin's in it: what a client may do, what is wrong with the structure of
   * what it sent.
   */
  notice: { discloses: false },
  refusal: { discloses: false },
  token: { discloses: false },
  /**
   * A client asked about a token of its own, or wanted it ended: step 0 of a `revocation` that was done has
   * no outcome, step 1 has.
   */
  introspection: { discloses: false },
  revocation: { discloses: false },
  /**
   * An operator's change of the registry: step 0 before it, with the digest of the document as `what.id`;
   * step 1 with its outcome.
   */
  administration: { discloses: false },
  /**
   * What a worker started with: before anything is disclosed, written or administered under it, and again
   * when it changes (audit/configuration).
   */
  configuration: { discloses: false },
  /** A patient's accounting lines were looked up, by whom and why: on record before they are handed out. */
  accounting: { discloses: false },
  /**
   * Refusals of nobody in particular that got no record of their own, counted exactly since the last such
   * event: see `tally`.
   */
  refusals: { discloses: false },
} as const;
export type EventKind = keyof typeof eventKinds;

/** How many of each: resources by type, `{ Observation: 12 }`. */
export type Counts = Readonly<Record<string, number>>;

export interface PatientCounts {
  readonly patient: string; // `<origin>/Patient/<id>`
  readonly counts: Counts;
  /**
   * Of residence, when a body that was read for the request said it: a USPS code, `outside US`, or what the
   * body says (fhir/residence).
   */
  readonly state?: string | undefined;
}

/**
 * One thing that happened at a door. Plain data: it travels by RPC and is sealed whole, so patient data is
 * allowed anywhere in it.
 */
export interface AuditEvent {
  readonly id: string; // the request id, 32 lower-case hex digits
  /**
   * Counts the records of one request (intent, windows, outcome …) from 0; (id, step) names one append for
   * good. Default 0.
   */
  readonly step?: number | undefined;
  readonly at: Instant;
  readonly kind: string; // one of EventKind when written; read back it may be newer than this code
  readonly who?: Who | undefined;
  readonly from?: From | undefined;
  readonly what?: What | undefined;
  readonly why?: Why | undefined;
  readonly outcome?: Outcome | undefined;
  readonly patients: readonly PatientCounts[]; // each patient once
  readonly unnamed: readonly string[]; // disclosed resources whose owner names no patient, as references
  readonly counts: Counts; // all disclosed resources by type
  readonly withheld?: WithheldCounts | undefined;
  /** Of a disclosure that is part of a long answer. */
  readonly window?: EventWindow | undefined;
  readonly traceId?: string | undefined;
  /**
   * Patients whom the question names beyond the reach of whoever asked, as `<origin>/Patient/<id>`: told to
   * nobody, and in no accounting.
   */
  readonly asked?: readonly string[] | undefined;
  /** Only on the way to the record, whose length it decides. */
  readonly reserve?: Reserve | undefined;
  /** How many refusals of each reason; only of kind `refusals`. */
  readonly tally?: Counts | undefined;
  /** Only of kind `configuration`. */
  readonly configuration?: Configuration | undefined;
}

/**
 * What rows decide of an event, so that its records are as long whatever they decide (audit/worst-case): what
 * the asker knows counts as it is, the rest at its longest.
 */
export interface Reserve {
  /** Room for so many names of patients whom only hidden elements name. */
  readonly names: number;
  /** The patients of the event who take of that room. */
  readonly unseen: readonly string[];
  /** The largest counts of such a patient. */
  readonly counts: Counts;
  /** References for which `unnamed` has room. */
  readonly unnamed: readonly string[];
}

/**
 * A worker's variables as they are, and of its secrets what shows that one was changed and tells nothing
 * else.
 */
export interface Configuration {
  readonly worker: string; // gateway, ops, ledger
  readonly digest: string; // over the other two (audit/configuration), 64 lower-case hex digits
  readonly settings: readonly (readonly [name: string, value: string])[]; // in order of their names
}

export interface Who {
  readonly client?: string | undefined;
  readonly certificate?: string | undefined; // x5t#S256
  readonly issuer?: string | undefined;
  readonly tokenId?: string | undefined; // jti
  readonly keyId?: string | undefined; // kid
  readonly subject?: string | undefined; // sub, as an external issuer names it
  readonly user?: string | undefined; // fhirUser
  readonly patient?: string | undefined; // FHIR id of the token's patient context
  readonly jkt?: string | undefined; // thumbprint of the key of a DPoP proof
  readonly operator?: string | undefined; // who administers; never beside a client
  // the token was bound to nothing: a dated exception of the registry let it pass
  readonly unbound?: true | undefined;
  readonly signedBy?: string | undefined; // kid of the key that signed the request (RFC 9421)
}

export interface From {
  readonly address?: string | undefined;
  readonly country?: string | undefined;
}

export interface What {
  readonly interaction?: string | undefined; // read, search-type, … as FHIR names them
  readonly origin?: string | undefined;
  readonly type?: string | undefined;
  readonly id?: string | undefined;
  readonly parameters?: readonly (readonly [name: string, value: string])[] | undefined;
  readonly method?: string | undefined;
  /** Below the FHIR base, as it was asked: also of a request that named no interaction. */
  readonly path?: string | undefined;
}

export interface Why {
  readonly purposes?: readonly string[] | undefined; // v3 ActReason codes
  readonly agreement?: string | undefined;
  readonly policy?: string | undefined; // digest
  readonly grant?: string | undefined;
}

export interface Outcome {
  readonly status?: number | undefined; // HTTP
  readonly reason?: string | undefined; // of a refusal, as the room that refused names it
}

export interface WithheldCounts {
  readonly paths?: readonly string[] | undefined; // element paths that the view removes
  readonly resources?: number | undefined; // withheld whole
}

/**
 * A part of an answer that was recorded before its bytes left. Without a complete one the recorded windows
 * count as disclosed.
 */
export interface EventWindow {
  readonly number?: number | undefined; // from 1
  readonly complete?: boolean | undefined; // it is the last
}
