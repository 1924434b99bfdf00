import type { bodyOutcome } from "#fhir/outcome";
import type { Part } from "#gateway/record/parts";
import type { EntryOutcome } from "./entry-outcome.ts";
import type { SendRefusal } from "./send.ts";

export type TransactionRefusal =
  /** A reference by search finds no visible resource, or several (FHIR R4 http §3.1.0.11.2). */
  | { readonly reason: "reference_unresolved" | "too_many_references" }
  /**
   * The registry says neither that this origin does all of a transaction or nothing, nor that its operator
   * accepts a part.
   */
  | { readonly reason: "transaction_not_atomic" }
  /** The origin did a part of the transaction: the end of each entry. */
  | { readonly reason: "transaction_incomplete"; readonly issues: readonly EntryIssue[] };

export type EntryIssue = Parameters<typeof bodyOutcome>[0][number];

/** The end of a batch or a transaction, for the record and for the answer. */
export interface BundleOutcome {
  readonly kind: "batch" | "transaction";
  /** The answer of an operation that is done as a transaction: this text in an OperationOutcome, and no Bundle. */
  readonly doneText?: string;
  /** Goes on record before the parts of the entries. */
  readonly parts: readonly Part[];
  /** Judges the reads of the bundle again. A write that was done shows nothing then. */
  readonly readAgain?: () => Promise<BundleOutcome>;
  /** The end of each entry; or why a transaction was not done, or not done in full. */
  readonly result: readonly EntryOutcome[] | SendRefusal | TransactionRefusal;
}
