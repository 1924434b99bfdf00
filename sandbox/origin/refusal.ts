import type { OperationOutcome, OperationOutcomeIssue } from "@medplum/fhirtypes";
import { normalizeOperationOutcome, OperationOutcomeError } from "@medplum/core";

/**
 * The reason why a request is refused. It is thrown anywhere below the router, so the first refusal undoes a
 * transaction. It becomes the answer's status.
 */
export class ServerRefusal extends Error {
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

export const badRequest = (text: string): ServerRefusal => new ServerRefusal(400, "invalid", text);
export const notFound = (): ServerRefusal => new ServerRefusal(404, "not-found", "Not found.");

/**
 * The status and outcome for a fault below the router, medplum's validation errors included. Rethrows every
 * error that is not a refusal.
 */
export function serverRefusalOf(fault: unknown): {
  readonly status: number;
  readonly outcome: OperationOutcome;
} {
  if (fault instanceof ServerRefusal) return fault;
  if (fault instanceof OperationOutcomeError)
    return { status: 400, outcome: normalizeOperationOutcome(fault) };
  throw fault;
}
