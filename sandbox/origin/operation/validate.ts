import { normalizeOperationOutcome, OperationOutcomeError } from "@medplum/core";
import type { OperationOutcome, OperationOutcomeIssue, Resource } from "@medplum/fhirtypes";
import { resourceOf, type Answer, type OriginCall } from "../call.ts";
import type { Site } from "../site.ts";
import { checkStructure } from "../validate.ts";
import { field, items, text } from "../values.ts";

/**
 * `$validate` of a posted or a stored resource: 200 for every result
 * (http://hl7.org/fhir/R4/resource-operation-validate.html).
 */
export function validateOperation(call: OriginCall, { store }: Site): Answer {
  const { type = "", id } = call.params;
  const subject = call.method === "GET" && id !== undefined ? store.current(type, id) : submitted(call);
  const issue =
    // the validation decides if it is a resource
    text(subject, "resourceType") === type ? issuesOf(subject as Resource) : [problem(`This is no ${type}.`)];
  return {
    status: 200,
    body: {
      resourceType: "OperationOutcome",
      issue: issue.length > 0 ? issue : [fine],
    } satisfies OperationOutcome,
  };
}

/** The resource, alone or in Parameters. */
function submitted(call: OriginCall): unknown {
  const body = resourceOf(call);
  if (body.resourceType !== "Parameters") return body;
  return field(
    items(body["parameter"]).find((parameter) => text(parameter, "name") === "resource"),
    "resource",
  );
}

function issuesOf(resource: Resource): OperationOutcomeIssue[] {
  try {
    return checkStructure(resource);
  } catch (fault) {
    if (fault instanceof OperationOutcomeError) return normalizeOperationOutcome(fault).issue;
    throw fault;
  }
}

const problem = (words: string): OperationOutcomeIssue => ({
  severity: "error",
  code: "invalid",
  details: { text: words },
});
const fine: OperationOutcomeIssue = {
  severity: "information",
  code: "informational",
  details: { text: "All is well." },
};
