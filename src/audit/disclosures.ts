import type { Instant } from "#kernel/clock";
import type { AuditEvent } from "./event.ts";

/** Who asks for a patient's accounting, as it goes on record. */
export type AccountingCaller = Pick<AuditEvent, "id" | "at" | "who" | "from" | "why" | "traceId">;

export interface LinesAsked {
  /** As `<origin>/Patient/<id>`: one individual, under each id that the origin united. */
  readonly patients: readonly string[];
  /** Both included. */
  readonly from: Instant;
  readonly to: Instant;
  /** To an individual a line is withheld while an official's statement suspends it (45 CFR 164.528(a)(2)). */
  readonly toldTo: "individual" | "officer";
  readonly caller: AccountingCaller;
}

/** A line and what proves it: docs/ledger-format.md §5. */
export interface FoundLine {
  readonly patient: string;
  readonly log: string;
  readonly index: number; // of the leaf
  readonly line: number;
  readonly lines: number; // of the leaf
  readonly content: Uint8Array;
  readonly salt: Uint8Array;
  readonly path: readonly Uint8Array[]; // to the leaf's lines_root
  /** The leaf, and a tlog-proof of it; undefined while no checkpoint reaches it, or its log cannot be asked. */
  readonly proven: { readonly leaf: Uint8Array; readonly note: Uint8Array } | undefined;
  /** To an officer: until when (ms since 1970) an official's statement keeps the individual from being told of it. */
  readonly heldUntil?: number | undefined;
}

/** The accounting lines of patients. Each call is on record before it answers; it throws when any part of them cannot be had. */
export interface Disclosures {
  /** Oldest first; "too_many" when there are more than one answer holds. */
  linesOf(asked: LinesAsked): Promise<readonly FoundLine[] | "too_many">;
}
