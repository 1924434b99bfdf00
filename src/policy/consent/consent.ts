import { systemName } from "#fhir/code-system";
import type { TimeSpan } from "./time-span.ts";

/**
 * A Consent (FHIR R4) as far as decisions need it: ids and codes, no prose. Plain data, so that it can be
 * stored, and compared by its digest.
 */
export interface ConsentRules {
  /** Only an active Consent is in force (FHIR R4 Consent.status); each other status is as if there were none. */
  readonly isActive: boolean;
  /** FHIRPath of the first part that is not understood and may change the meaning of the whole Consent. */
  readonly unclear?: string;
  /** The only API that the Consent concerns, or both APIs; undefined: every disclosure. */
  readonly api?: ConsentApi | "both";
  /** When the Consent was given; undefined if the Consent does not say. */
  readonly given?: TimeSpan;
  /**
   * It stands for Consents of the patient that were not read. Any of them may deny, and may be the newest or the most
   * specific: no other Consent takes precedence over this denial.
   */
  readonly standsForUnread?: true;
  /** Filed beside the Consents of its patient: it decides about no row. */
  readonly statement?: Statement;
  /** How the root may be read: once for a root with a type, twice for a root that is ambiguous without one. */
  readonly readings: readonly RootReading[];
}

/**
 * What follows each later disclosure of information that its patient disputes (45 CFR 164.526(d)(5)): a statement of
 * disagreement, or a request and its denial.
 */
export interface Statement {
  readonly kind: "disagreement" | "request-and-denial";
  /** The disputed rows, as `Observation/1`. */
  readonly rows: readonly string[];
  /** The JSON names of the disputed members; undefined: the rows as a whole. */
  readonly elements?: readonly string[];
  /** An accurate summary by the entity: it leaves with a disputed member alone. */
  readonly summary?: string;
  /** The messages behind it, as `Communication/1`. */
  readonly messages: readonly { readonly role: string; readonly reference: string }[];
}

/** The APIs of payers with a Consent of their own (42 CFR 422.121; PDex `pdex-consent-api-purpose`). */
export type ConsentApi = "payer-to-payer" | "provider-access";

export interface RootReading {
  readonly root: Provision;
  /** Applies in force, and outside of the root's frame. */
  readonly outside: Effect | "silent";
  /**
   * `closed`: a permit with limits on data permits nothing but that (IHE PCF volume 1 §53.4.2); `open`: rows
   * beyond the limits have the effect of `outside`.
   */
  readonly world: "closed" | "open";
}

export type Effect = "permit" | "deny";

/** A part that is not understood: it may apply or not. */
export const unclear = null;
export type Unclear = typeof unclear;

/** A list: a single item suffices. An absent list does not restrict. */
export interface Provision {
  /** FHIRPath from the Consent, `provision.provision[1]`. */
  readonly path: string;
  readonly effect: Effect | Unclear;
  /** The number of kinds of criteria, with the criteria of the provisions around it. */
  readonly specificity: number;
  /** A member of the provision is not understood. */
  readonly isUnclear: boolean;
  readonly frame: ProvisionFrame;
  readonly limits: Limits;
  readonly exceptions: readonly Provision[];
}

/** The requests that a provision concerns. */
export interface ProvisionFrame {
  readonly period?: TimeSpan | Unclear;
  /** Codes of v3-ActReason; `system|code` of a different code system. */
  readonly purposes?: readonly (string | Unclear)[];
  /** `none`: a form that was filed before `collect` was read as a write. */
  readonly actions?: readonly ("read" | "write" | "none" | Unclear)[];
  /** The persons and organizations that ask. */
  readonly recipients?: readonly (Party | Unclear)[];
  /** The organizations that hold the data and disclose it. */
  readonly holders?: readonly (Party | Unclear)[];
  /** Actors in a role that is neither. */
  readonly hasOtherActors?: true;
}

/** The rows that a provision concerns. */
export interface Limits {
  readonly dataPeriod?: TimeSpan | Unclear;
  readonly labels?: readonly (LabelLimit | Unclear)[];
  readonly types?: readonly (ClassLimit | Unclear)[];
  /** By {@link codeName}. */
  readonly codes?: readonly (string | Unclear)[];
  readonly data?: readonly (DataLimit | Unclear)[];
}

export type LabelLimit =
  | { readonly level: number }
  | { readonly sensitivity: string }
  /** `system|code` of a label that is in no table here: a permit means exactly this label. */
  | { readonly label: string };
export type ClassLimit = { readonly type: string } | { readonly profile: string };
export type DataMeaning = "instance" | "related" | "dependents" | "authoredby";
export interface DataLimit {
  readonly meaning: DataMeaning;
  /** `Type/id`. */
  readonly reference: string;
}

/** An actor, by a reference at the origin (`Type/id`) or by an identifier (`system|value`). */
export type Party =
  | {
      readonly reference: string;
      readonly identifier?: string;
      /** Any of them is meant: the names behind the reference, by the origin's resources. Absent: not known. */
      readonly meant?: readonly (ActorName | Unclear)[];
    }
  | { readonly reference?: undefined; readonly identifier: string };

/** A person, an organization or a device: one of its names suffices, or each of the parts (a role of a person). */
export interface ActorName {
  readonly reference?: string;
  readonly identifiers?: readonly string[];
  readonly all?: readonly (ActorName | Unclear)[];
}

/** `system|code` of a Coding by the system's canonical name; `|code` without a system. */
export const codeName = (system: string | undefined, code: string): string =>
  `${system === undefined ? "" : systemName(system)}|${code}`;
