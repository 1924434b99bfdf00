import type { IssueType } from "#fhir/outcome";

/** A fault in a body by the rules of R4. */
export interface StructureIssue {
  readonly severity: "error";
  readonly code: IssueType & ("structure" | "required" | "value" | "code-invalid" | "invariant");
  /**
   * The place in R4's simple FHIRPath (OperationOutcome.issue.expression): `Patient.name[0].given[1]`. A
   * choice appears without its type.
   */
  readonly expression: string;
  /** A sentence that quotes no value of the body: at most names of R4's elements, types and value sets. */
  readonly text: string;
}

/** A place in a body. It is a chain, so that no text is built until a fault is found there. */
export interface Position {
  readonly parent: Position | undefined;
  readonly step: string;
  readonly index: number | undefined;
}

export const below = (parent: Position, step: string, index?: number): Position => ({ parent, step, index });

// 20: enough to correct a body, and an answer of a few kilobytes for any body.
export const issuesMax = 20;

/** The faults found so far. */
export class Findings {
  readonly issues: StructureIssue[] = [];

  /** True if the check should stop. */
  get full(): boolean {
    return this.issues.length >= issuesMax;
  }

  add(code: StructureIssue["code"], at: Position, text: string): void {
    if (!this.full) this.issues.push({ severity: "error", code, expression: written(at), text });
  }
}

function written({ parent, step, index }: Position): string {
  const name = index === undefined ? step : `${step}[${index}]`;
  return parent === undefined ? name : `${written(parent)}.${name}`;
}
