import type { Instant } from "#kernel/clock";
import type { Counts, AuditEvent } from "#audit/event";
import type { ExcludedAgreements } from "./exclusions.ts";
import type { LinePlace } from "./line-place.ts";

/** The caller who requests a patient's accounting, in the form of its record. */
export type AccountingCaller = Pick<AuditEvent, "id" | "at" | "who" | "from" | "why" | "traceId">;

/** The lines that an accounting lists. */
export interface LineFilter {
  /** Both included. */
  readonly from: Instant;
  readonly to: Instant;
  /**
   * Omits the lines that 45 CFR 164.528(a)(1) excludes, judged with these agreements; undefined: omits no
   * line for that reason.
   */
  readonly excluded?: ExcludedAgreements | undefined;
  /** Client id. */
  readonly recipient?: string | undefined;
  /** A v3 ActReason code. */
  readonly purpose?: string | undefined;
}

export interface LinesRequest extends LineFilter {
  /** As `<origin>/Patient/<id>`: a single individual, under each id that the origin united. */
  readonly patients: readonly string[];
  /**
   * For the individual, a line is withheld while an official's statement suspends it (45 CFR 164.528(a)(2)).
   */
  readonly toldTo: "individual" | "officer";
  readonly caller: AccountingCaller;
  /** The place where the previous page ended; undefined for the first page. */
  readonly after?: LinePlace | undefined;
  /** The most entries of the page. */
  readonly count: number;
  /**
   * Disclosures to the same recipient for the same purpose are a single entry (45 CFR 164.528(b)(3)), without
   * proofs.
   */
  readonly summed?: boolean | undefined;
}

/** A line and its proof: docs/ledger-format.md §5. */
export interface FoundLine extends LinePlace {
  readonly patient: string;
  readonly lines: number; // of the leaf
  readonly content: Uint8Array;
  readonly salt: Uint8Array;
  readonly path: readonly Uint8Array[]; // to the leaf's lines_root
  /**
   * The leaf, and a tlog-proof of it; undefined while no checkpoint covers the leaf, if its log is
   * unavailable, or if the page is summed.
   */
  readonly proven: { readonly leaf: Uint8Array; readonly note: Uint8Array } | undefined;
  /**
   * For the individual: the Consents beside the line (audit/accounting/line-consents), which no proof covers.
   */
  readonly consents?: Uint8Array | undefined;
  /**
   * For an officer: the end (ms since 1970) of the official's statement that suspends the line for the
   * individual.
   */
  readonly heldUntil?: number | undefined;
  /** On a summed page, if the entry stands for several disclosures: the line is the first of them. */
  readonly sum?: LineSum | undefined;
}

/**
 * Several disclosures to the same recipient for the same purpose, as 45 CFR 164.528(b)(3) requires them in
 * addition to the first.
 */
export interface LineSum {
  readonly number: number;
  readonly last: LinePlace & { readonly at: number };
  /** Sums over all disclosures of the entry. */
  readonly counts: Counts;
}

/** A page of an accounting. */
export interface LinesPage {
  /** Oldest first within the page; pages follow the order of places (audit/accounting/line-place). */
  readonly lines: readonly FoundLine[];
  /** The client ids to which the lines were disclosed. */
  readonly recipients: ReadonlySet<string>;
  /** The place where the page ended, if more lines may follow. */
  readonly next: LinePlace | undefined;
}

/**
 * The accounting lines of patients. Each call is on record before it answers; it throws if any part of the
 * lines is unavailable.
 */
export interface Disclosures {
  linesOf(asked: LinesRequest): Promise<LinesPage>;
}
