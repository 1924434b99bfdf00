import { r4Owners, r4Participants } from "#fhir/r4/compartment-tables";
import { localParts, targetOf } from "./match/reference.ts";
import type { Stored } from "./stored.ts";
import { field, items } from "./values.ts";

/**
 * The patients whose compartments contain a resource (R4 CompartmentDefinition/patient), each once. A Patient
 * is in its own compartment, and in the compartments of the patients that it links to.
 */
export function patientsOf(resource: Stored, base: string): ReadonlySet<string> {
  const itself = resource.resourceType === "Patient";
  const paths = itself
    ? ["link.other"]
    : [r4Owners, r4Participants].flatMap((table) => table[resource.resourceType]?.split(" ") ?? []);
  const references = paths.flatMap((path) =>
    path
      .split(".")
      .reduce<unknown[]>((nodes, key) => nodes.flatMap((node) => items(field(node, key))), [resource]),
  );
  const named = references.flatMap((value) => {
    const parts = localParts(targetOf({ type: "Reference", value }, base) ?? "");
    return parts?.type === "Patient" ? [parts.id] : [];
  });
  return new Set(itself ? [resource.id, ...named] : named);
}
