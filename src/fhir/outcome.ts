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
  /** A fixed sentence: no patient data, no origin's words. */
  readonly text: string;
  readonly requestId: string;
}

/** An OperationOutcome with one issue (FHIR R4 §2.31), naming the request under which the ledger knows more. */
export function operationOutcome({ severity, code, text, requestId }: Issue) {
  return {
    resourceType: "OperationOutcome",
    issue: [{ severity, code, details: { text }, diagnostics: `Request ${requestId}` }],
  };
}

/** An OperationOutcome that says what is wrong with a body, and where: the same fixed sentences, one issue for each. */
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
