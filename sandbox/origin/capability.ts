import type { CapabilityStatement, CapabilityStatementRestResource } from "@medplum/fhirtypes";
import { typeInteractions } from "#fhir/origin";
import { compositesOf } from "./search/read-composite.ts";
import { servedTypes, servedParametersOf } from "./search-parameters.ts";

/** The origin's capabilities, and for each type its search parameters (R4 §5.1). */
export function originCapability(base: string, date: string): CapabilityStatement {
  return {
    resourceType: "CapabilityStatement",
    status: "active",
    date,
    kind: "instance",
    software: { name: "Phylax sandbox origin" },
    implementation: { description: "Synthetic data, for development only", url: base },
    fhirVersion: "4.0.1",
    format: ["application/fhir+json"],
    rest: [
      {
        mode: "server",
        resource: [...servedTypes].map(ofType),
        interaction: [
          { code: "batch" },
          { code: "transaction" },
          { code: "history-system" },
          { code: "search-system" },
        ],
      },
    ],
  };
}

const operation = (name: string, of: string) => ({
  name,
  definition: `http://hl7.org/fhir/OperationDefinition/${of}-${name}`,
});

function ofType(type: string): CapabilityStatementRestResource {
  const parameters = [...servedParametersOf(type)];
  return {
    type: type as NonNullable<CapabilityStatementRestResource["type"]>, // R4's types are among medplum's
    interaction: typeInteractions.map((code) => ({ code })),
    versioning: "versioned-update",
    readHistory: true,
    updateCreate: true,
    conditionalCreate: true,
    conditionalRead: "full-support",
    conditionalUpdate: true,
    conditionalDelete: "single",
    searchInclude: [
      "*",
      ...parameters.filter(([, { type: kind }]) => kind === "reference").map(([name]) => `${type}:${name}`),
    ],
    searchRevInclude: ["*", ...(referring.get(type) ?? [])],
    searchParam: [
      ...parameters.map(([name, parameter]) => ({ name, type: parameter.type })),
      ...[...compositesOf(type).keys()].map((name) => ({ name, type: "composite" as const })),
    ],
    operation: [
      operation("validate", "Resource"),
      ...(type === "Patient" ? [operation("everything", type)] : []),
      ...(type === "Observation" ? [operation("lastn", type)] : []),
    ],
  };
}

/** By target type: the references to it, in the form of `_revinclude`. */
const referring = new Map<string, string[]>();
for (const source of servedTypes)
  for (const [code, { type, target }] of servedParametersOf(source))
    if (type === "reference")
      for (const to of target ?? []) referring.set(to, [...(referring.get(to) ?? []), `${source}:${code}`]);
