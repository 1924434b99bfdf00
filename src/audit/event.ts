import type { Instant } from "#kernel/clock";
import type { PatientsConsent } from "./accounting/line-consents.ts";

/**
 * The kinds of event that this version writes, and whether each is a disclosure: a disclosure makes a line in
 * the accounting of every patient it names (45 CFR 164.528). New kinds are added here; readers keep kinds
 * that they do not know.
 */
export const eventKinds = {
  disclosure: { discloses: true },
  /**
   * A long answer is about to leave in windows, each a separate `disclosure`; or a write is about to be sent,
   * with the patients it concerns.
   */
  intent: { discloses: false },
  /**
   * The outcome of a write: after its intent, or alone if nothing had to be sent. The content of its answer
   * is a separate `disclosure`.
   */
  write: { discloses: false },
  /** An answer broke off: the windows on record may have left, nothing more. */
  aborted: { discloses: false },
  /**
   * An answer without data of the origin: the client's capabilities, or faults in the structure of a
   * submitted resource.
   */
  notice: { discloses: false },
  refusal: { discloses: false },
  token: { discloses: false },
  /**
   * A client asked about its own token, or revoked it: step 0 of a completed `revocation` has no outcome,
   * step 1 has.
   */
  introspection: { discloses: false },
  revocation: { discloses: false },
  /**
   * An operator's action. Before it step 0, with the digest of the document as `what.id`; after it the last
   * step, with its outcome. A change of the registry has its documents (`document`).
   */
  administration: { discloses: false },
  /**
   * The configuration of a started worker: recorded before any disclosure, write or change of the registry
   * under it, and again if it changes (audit/configuration).
   */
  configuration: { discloses: false },
  /**
   * A look-up of a patient's accounting lines, with caller and purpose: on record before the lines are handed
   * out.
   */
  accounting: { discloses: false },
  /** The elements that left under a grant on a day, by path: no event of a request. See `measured`. */
  measurement: { discloses: false },
  /** Anonymous refusals without their own record, counted exactly since the last such event: see `tally`. */
  refusals: { discloses: false },
} as const;
export type EventKind = keyof typeof eventKinds;
/** The kind of the records that have definitions. They are no events: no surface sends this kind. */
export const definitionKind = "definition";

/** Numbers by name: resources by type, `{ Observation: 12 }`. */
export type Counts = Readonly<Record<string, number>>;

export interface PatientCounts {
  readonly patient: string; // `<origin>/Patient/<id>`
  readonly counts: Counts;
  /**
   * State of residence, if a body that was read for the request states it: a USPS code, `outside US`, or the
   * body's text (residence/residence).
   */
  readonly state?: string | undefined;
}

/**
 * An event at a public surface. Plain data: it travels by RPC and is sealed whole, so patient data is allowed
 * in every field.
 */
export interface AuditEvent {
  readonly id: string; // the request id, 32 lower-case hex digits
  /**
   * Counts the records of a request (intent, windows, outcome …) from 0; (id, step) identifies an append for
   * good. Default 0.
   */
  readonly step?: number | undefined;
  readonly at: Instant;
  readonly kind: string; // one of EventKind when written; read back it may be newer than this code
  readonly who?: Who | undefined;
  readonly from?: From | undefined;
  readonly what?: What | undefined;
  readonly why?: Why | undefined;
  readonly outcome?: EventOutcome | undefined;
  readonly patients: readonly PatientCounts[]; // each patient once
  readonly unnamed: readonly string[]; // disclosed resources whose owner names no patient, as references
  readonly counts: Counts; // all disclosed resources by type
  readonly withheld?: WithheldCounts | undefined;
  /** For a disclosure that is part of a long answer. */
  readonly window?: EventWindow | undefined;
  readonly traceId?: string | undefined;
  /**
   * Patients that the question names outside the caller's access, as `<origin>/Patient/<id>`: in no answer,
   * and in no accounting.
   */
  readonly asked?: readonly string[] | undefined;
  /** Only on the way to the record; it decides the record's length. */
  readonly reserve?: Reserve | undefined;
  /**
   * The digest of the set of Consents that let something through, and of the statements in force about patients of the
   * event (audit/consent-set), 64 lower-case hex digits; of no meaning if there was none. In each record of a request
   * whose origin has Consents on file.
   */
  readonly consents?: string | undefined;
  /** Only on the way to the accounting lines of a disclosure, which show them beside the line; no record has them. */
  readonly permits?: readonly PatientsConsent[] | undefined;
  /**
   * Rows of the request that could not be judged, up to this event: each is hidden. In each event of a request that
   * asked an origin; rows decide it.
   */
  readonly unjudged?: number | undefined;
  /** The cause of a refusal, if a policy, a label or a Consent decided it. */
  readonly decision?: DecidedBy | undefined;
  /** The form of 45 CFR 164.514 in which rows leave under the policy. */
  readonly form?: RecordedForm | undefined;
  /** Id of the stored authority under which a job acted, 32 lower-case hex digits. */
  readonly authority?: string | undefined;
  /** Only for a purpose of break-glass. */
  readonly emergency?: Emergency | undefined;
  /** The number of refusals by reason; only of kind `refusals`. */
  readonly tally?: Counts | undefined;
  /** Only of kind `configuration`. */
  readonly configuration?: Configuration | undefined;
  /** Of a change of the registry: the submitted document, and after it the entries that changed. */
  readonly document?: EventDocument | undefined;
  /** Of an administration that a second person approved. */
  readonly approval?: Approval | undefined;
  /** Only of kind `measurement`. */
  readonly measured?: Measured | undefined;
  /** Only of kind `definition`, which the ledger alone writes (audit/definition). */
  readonly definition?: DefinitionChunk | undefined;
}

/** The fields of an event that names no patient and discloses nothing. */
export const aboutNobody = { patients: [], unnamed: [], counts: {} } as const satisfies Pick<
  AuditEvent,
  "patients" | "unnamed" | "counts"
>;

/**
 * The parts of an event that rows decide. They make its records equally long whatever the rows are
 * (audit/worst-case): facts that the caller knows count as they are, the remaining facts at their longest.
 */
export interface Reserve {
  /** Room for this number of patients that only hidden elements name. */
  readonly names: number;
  /** The patients of the event that use this room. */
  readonly unseen: readonly string[];
  /** The largest counts of such a patient. */
  readonly counts: Counts;
  /** References for which `unnamed` has room. */
  readonly unnamed: readonly string[];
}

/** A JSON text, or a part of it if the text is too long for a definition. Each part has a step of its own. */
export interface EventDocument {
  /** For writers and readers. A record has the digest of the definition in its place. */
  readonly text?: string | undefined;
  readonly textDigest?: string | undefined;
  readonly part?: number | undefined; // from 1
  readonly parts?: number | undefined;
  /** The document that an operator sent, or the entries that changed, each with its content before and after. */
  readonly role?: "submitted" | "effect" | undefined;
}

/** The values that left under a grant (`why.grant`) on a day. Each part has a step of its own. */
export interface Measured {
  readonly day: number; // days since 1970-01-01 UTC
  readonly answers: number; // answers with at least one element, of which the values were counted
  readonly elements: Counts; // number of values by element path: `Patient.name.family`
  readonly part: number; // from 1
  readonly parts: number;
  /** Fills the record, so that its length does not show how many elements left. */
  readonly fill: string;
}

/** An operator's proposal that the operator of the record, a different person, approved. */
export interface Approval {
  readonly proposal?: string | undefined; // id of the proposal, 32 lower-case hex digits
  readonly proposedBy?: string | undefined; // operator
  readonly proposerIssuer?: string | undefined; // the issuer and the subject of the proposer's sign-in
  readonly proposerSubject?: string | undefined;
}

/** A piece of a definition's content, at most 60 KiB; the part numbers of the records are its order. */
export interface DefinitionChunk {
  readonly contentDigest: string; // SHA-256 of the whole content, 64 lower-case hex digits
  readonly chunk: Uint8Array;
}

/** A worker's variables, and for each secret a value that changes with it and reveals nothing more. */
export interface Configuration {
  readonly worker: string; // gateway, ops, ledger
  readonly digest: string; // over the two further fields (audit/configuration), 64 lower-case hex digits
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
  readonly operator?: string | undefined; // the operator; never together with a client
  // the token had no binding: a dated exception of the registry permitted it
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
  /** Below the FHIR base, as requested: also for a request without a known interaction. */
  readonly path?: string | undefined;
}

export interface Why {
  readonly purposes?: readonly string[] | undefined; // v3 ActReason codes
  readonly agreement?: string | undefined;
  readonly policy?: string | undefined; // digest
  readonly grant?: string | undefined;
}

export interface RecordedForm {
  readonly kind?: string | undefined; // `safe-harbor`, `limited-data-set`, `expert`
  readonly dataSet?: string | undefined;
  readonly method?: string | undefined; // of the expert
}

/**
 * The cause of a refusal. `by`: `consent`, `label`, `policy` or `scope`; read back it may be a newer word.
 */
export interface DecidedBy {
  readonly by?: string | undefined;
  readonly consentDigest?: string | undefined; // of the Consent's compiled form, 64 lower-case hex digits
  /**
   * The place: a path inside the Consent (`provision.provision[1]`), the label, or a JSON Pointer inside the
   * policy document (`/rules/2`).
   */
  readonly place?: string | undefined;
}

/** Bytes of a place, so that rows decide no length: the path of a provision has a short form of nine bytes. */
export const decisionPlaceMax = { withConsent: 24, alone: 58 } as const;

/** A declared emergency: its nature in the words of the caller, and the review that it opened. */
export interface Emergency {
  readonly justification?: string | undefined;
  readonly review?: string | undefined; // id of the review, 32 lower-case hex digits
  /** The name of the person who declared it, as the token states it (42 CFR 2.51(c)(1)). */
  readonly personnel?: string | undefined;
  /** The name of the entity behind the client, as the registry states it. */
  readonly facility?: string | undefined;
}

export interface EventOutcome {
  readonly status?: number | undefined; // HTTP
  readonly reason?: string | undefined; // of a refusal, as named by the room that refused
}

export interface WithheldCounts {
  readonly paths?: readonly string[] | undefined; // element paths that the view removes
  /** The digest of the definition that has the paths: as sent to the ledger, and in a record, in their place. */
  readonly pathsDigest?: string | undefined;
  readonly resources?: number | undefined; // withheld as a whole
}

/**
 * A part of an answer, recorded before its bytes left. If no window is complete, the recorded windows count
 * as disclosed.
 */
export interface EventWindow {
  readonly number?: number | undefined; // from 1
  readonly complete?: boolean | undefined; // it is the last
  /** In the last window of the content of a Binary: the length and the SHA-256 of all that left, in hex. */
  readonly bytes?: number | undefined;
  readonly contentDigest?: string | undefined;
}
