import type { Returned } from "#fhir/preconditions";
import type { Disclosure } from "#phi/disclosure";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { SendRefusal } from "./write-send.ts";

/** How a write ended, for the record and for the answer. */
export interface WriteOutcome {
  readonly status: number;
  /** It was not done, or nobody knows. */
  readonly refusal?: SendRefusal | undefined;
  /** For the record: of the refusal, or why a write that was done is answered with its status alone. */
  readonly reason?: string | undefined;
  readonly type: string;
  readonly id?: string | undefined;
  /** Below the gateway's FHIR base. */
  readonly location?: string | undefined;
  readonly returns?: Returned | undefined;
  readonly disclosure?: Disclosure | undefined;
  readonly concerned: ConcernedBy;
}
