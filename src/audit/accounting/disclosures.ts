import type { Instant } from "#kernel/clock";
import type { Counts, AuditEvent } from "#audit/event";
import type { ExcludedAgreements } from "./exclusions.ts";
import type { LinePlace } from "./line-place.ts";

/** Who asks for a patient's accounting, as it goes on record. */
export type AccountingCaller = Pick<AuditEvent, "id" | "at" | "who" | "from" | "why" | "traceId">;

/** Which lines an accounting lists. */
export interface LineFilter {
  /** Both included. */
  readonly from: Instant;
  readonly to: Instant;
  /**
   * Lines that 45 CFR 164.528(a)(1) excludes are left out, with these agreements known; undefined: no line is
   * left out for it.
   */
  readonly excluded?: ExcludedAgreements | undefined;
  /** Client id. */
  readonly recipient?: string | undefined;
  /** A v3 ActReason code. */
  readonly purpose?: string | undefined;
}

export interface LinesRequest extends LineFilter {
  /** As `<origin>/Patient/<id>`: one individual, under each id that the origin united. */
  readonly patients: readonly string[];
  /** To an individual a line is withheld while an official's statement suspends it (45 CFR 164.528(a)(2)). */
  readonly toldTo: "individual" | "officer";
  readonly caller: AccountingCaller;
  /** Where the page before this one ended; undefined for the first page. */
  readonly after?: LinePlace | undefined;
  /** The most entries of the page. */
  readonly count: number;
  /** Disclosures to one recipient for one purpose are one entry (45 CFR 164.528(b)(3)), without proofs. */
  readonly summed?: boolean | undefined;
}

/** A line and what proves it: docs/ledger-format.md §5. */
export interface FoundLine extends LinePlace {
  readonly patient: string;
  readonly lines: number; // of the leaf
  readonly content: Uint8Array;
  readonly salt: Uint8Array;
  readonly path: readonly Uint8Array[]; // to the leaf's lines_root
  /**
   * The leaf, and a tlog-proof of it; undefined while no checkpoint reaches it, its log cannot be asked, or
   * the page is summed.
   */
  readonly proven: { readonly leaf: Uint8Array; readonly note: Uint8Array } | undefined;
  /**
   * To an officer: until when (ms since 1970) an official's statement keeps the individual from being told of
   * it.
   */
  readonly heldUntil?: number | undefined;
  /** Of a summed page, where the entry is more than one disclosure: the line is the first of these. */
  readonly sum?: LineSum | undefined;
}

/**
 * Several disclosures to one recipient for one purpose, as 45 CFR 164.528(b)(3) has them told beside the
 * first.
 */
export interface LineSum {
  readonly number: number;
  readonly last: LinePlace & { readonly at: number };
  /** Of all of them. */
  readonly counts: Counts;
}

/** One page of an accounting. */
export interface LinesPage {
  /** Oldest first in the page; pages follow the order of places (audit/line-place). */
  readonly lines: readonly FoundLine[];
  /** Where the page ended, when more may follow. */
  readonly next: LinePlace | undefined;
}

/**
 * The accounting lines of patients. Each call is on record before it answers; it throws when any part of them
 * cannot be had.
 */
export interface Disclosures {
  linesOf(asked: LinesRequest): Promise<LinesPage>;
}
