import { r4Owners, r4Participants } from "#fhir/r4/compartment.gen";
import { localParts, targetOf } from "./match/reference.ts";
import type { Stored } from "./stored.ts";
import { field, items } from "./values.ts";

/**
 * The patients in whose compartment a resource is (R4 CompartmentDefinition/patient), each once; a Patient is in its own, and in those of
 * the patients that it links to.
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
