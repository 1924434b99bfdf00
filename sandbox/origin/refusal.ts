import type { OperationOutcome, OperationOutcomeIssue } from "@medplum/fhirtypes";
import { normalizeOperationOutcome, OperationOutcomeError } from "@medplum/core";

/** Why a request is not carried out. Thrown anywhere below the router, so that a transaction is undone by the first; answered with its status. */
export class OriginRefusal extends Error {
  readonly status: number;
  readonly outcome: OperationOutcome;

  constructor(status: number, code: OperationOutcomeIssue["code"], text: string) {
    super(text);
    this.status = status;
    this.outcome = {
      resourceType: "OperationOutcome",
      issue: [{ severity: "error", code, details: { text } }],
    };
  }
}

export const badRequest = (text: string): OriginRefusal => new OriginRefusal(400, "invalid", text);
export const notFound = (): OriginRefusal => new OriginRefusal(404, "not-found", "Not found.");

/** What a fault below the router says to the client: medplum's validation is one of those. Rethrows what is no refusal. */
export function refusalOf(fault: unknown): { readonly status: number; readonly outcome: OperationOutcome } {
  if (fault instanceof OriginRefusal) return fault;
  if (fault instanceof OperationOutcomeError)
    return { status: 400, outcome: normalizeOperationOutcome(fault) };
  throw fault;
}
