/** Issue types of R4 that Phylax uses (http://hl7.org/fhir/issue-type). */
export type IssueType =
  | "invalid"
  | "structure"
  | "required"
  | "value"
  | "invariant"
  | "code-invalid"
  | "security"
  | "login"
  | "forbidden"
  | "suppressed"
  | "processing"
  | "not-supported"
  | "not-found"
  | "expired"
  | "too-long"
  | "too-costly"
  | "conflict"
  | "exception"
  | "timeout"
  | "throttled"
  | "transient"
  | "incomplete"
  | "informational";

export interface Issue {
  readonly severity: "fatal" | "error" | "warning" | "information";
  readonly code: IssueType;
  /** A fixed sentence: no patient data, no text from the origin. */
  readonly text: string;
  readonly requestId: string;
  /** The exception of 45 CFR part 171 that a refusal rests on: `171.202(b)`. */
  readonly exception?: string | undefined;
}

/** 45 CFR part 171, whose paragraphs are its codes. */
const informationBlocking = "https://www.ecfr.gov/current/title-45/part-171";

/**
 * An OperationOutcome with a single issue (FHIR R4 §2.31). It names the request id, under which the ledger
 * has the details.
 */
export function operationOutcome({ severity, code, text, requestId, exception }: Issue) {
  const coding =
    exception === undefined ? {} : { coding: [{ system: informationBlocking, code: exception }] };
  return {
    resourceType: "OperationOutcome",
    issue: [{ severity, code, details: { ...coding, text }, diagnostics: `Request ${requestId}` }],
  };
}

/** The OperationOutcome of a request that was done: a fixed sentence. */
export const doneOutcome = (requestId: string, text = "Done.") =>
  operationOutcome({ severity: "information", code: "informational", text, requestId });

/**
 * An OperationOutcome that lists the faults of a body and their places: fixed sentences, an issue for each
 * fault.
 */
export function bodyOutcome(
  found: readonly (Omit<Issue, "requestId"> & { readonly expression: string })[],
  requestId: string,
) {
  const issue = found.map(({ severity, code, expression, text }) => ({
    severity,
    code,
    details: { text },
    diagnostics: `Request ${requestId}`,
    expression: [expression],
  }));
  return { resourceType: "OperationOutcome", issue };
}
