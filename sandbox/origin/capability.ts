import type { CapabilityStatement, CapabilityStatementRestResource } from "@medplum/fhirtypes";
import { resourceTypes, searchParametersOf } from "./search-parameters.ts";

/** What this origin does, per type the parameters that it searches by (R4 §5.1). */
export function capabilityStatement(base: string, date: string): CapabilityStatement {
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date,
    kind: "instance",
    software: { name: "Phylax sandbox origin" },
    implementation: { description: "Synthetic data, for development only", url: base },
    fhirVersion: "4.0.1",
    format: ["application/fhir+json"],
    rest: [{ mode: "server", resource: [...resourceTypes].map(ofType), interaction: [{ code: "batch" }, { code: "transaction" }] }],
  };
}

const interactions = ["read", "vread", "update", "patch", "delete", "history-instance", "create", "search-type"] as const;
const everything = { name: "everything", definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything" };

function ofType(type: string): CapabilityStatementRestResource {
  return {
    type: type as NonNullable<CapabilityStatementRestResource["type"]>, // R4's types are among medplum's
    interaction: interactions.map((code) => ({ code })),
    versioning: "versioned",
    readHistory: true,
    updateCreate: true,
    conditionalCreate: true,
    conditionalUpdate: true,
    searchParam: [...searchParametersOf(type)].map(([name, parameter]) => ({ name, type: parameter.type })),
    ...(type === "Patient" && { operation: [everything] }),
  };
}
