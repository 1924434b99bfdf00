import type { Returned } from "#fhir/preconditions";
import type { Disclosure } from "#phi/disclosure";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { SendRefusal } from "./send.ts";

/** The end of a write, for the record and for the answer. */
export interface WriteOutcome {
  readonly status: number;
  /** The request was done before: this is a repeat under its key, and nothing was sent. */
  readonly isRepeat?: boolean;
  /** The write was not done, or its outcome is unknown. */
  readonly refusal?: SendRefusal | undefined;
  /** For the record: the reason of the refusal, or why a done write is answered with its status alone. */
  readonly reason?: string | undefined;
  readonly type: string;
  readonly id?: string | undefined;
  /** Below the gateway's FHIR base. */
  readonly location?: string | undefined;
  readonly returns?: Returned | undefined;
  readonly disclosure?: Disclosure | undefined;
  readonly concerned: ConcernedBy;
}
