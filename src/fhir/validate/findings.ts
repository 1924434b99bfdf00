import type { IssueType } from "#fhir/outcome";

/** One thing that R4 says is wrong with a body. */
export interface StructureIssue {
  readonly severity: "error";
  readonly code: IssueType & ("structure" | "required" | "value" | "code-invalid" | "invariant");
  /** Where, in R4's simple FHIRPath (OperationOutcome.issue.expression): `Patient.name[0].given[1]`. A choice stands without its type. */
  readonly expression: string;
  /** A sentence that quotes no value of the body: names of R4's elements, types and value sets at most. */
  readonly text: string;
}

/** A place in a body. A chain, so that nothing is written out until something is wrong there. */
export interface Position {
  readonly parent: Position | undefined;
  readonly step: string;
  readonly index: number | undefined;
}

export const below = (parent: Position, step: string, index?: number): Position => ({ parent, step, index });

// 20: enough to mend a body by, and an answer of a few kilobytes whatever was sent.
const issuesMax = 20;

/** What was found so far. */
export class Findings {
  readonly issues: StructureIssue[] = [];

  /** Whether to stop looking. */
  get full(): boolean {
    return this.issues.length >= issuesMax;
  }

  add(code: StructureIssue["code"], at: Position, text: string): void {
    if (!this.full) this.issues.push({ severity: "error", code, expression: written(at), text });
  }
}

function written({ parent, step, index }: Position): string {
  const own = index === undefined ? step : `${step}[${index}]`;
  return parent === undefined ? own : `${written(parent)}.${own}`;
}
