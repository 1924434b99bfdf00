import { r4Owners, r4Participants } from "#fhir/r4-compartment.gen";
import { localParts, targetOf } from "./match/reference.ts";
import type { Stored } from "./shelf.ts";
import { field, items } from "./values.ts";

/** The patients in whose compartment a resource is (R4 CompartmentDefinition/patient), each once; a Patient is in its own. */
export function patientsOf(resource: Stored, base: string): ReadonlySet<string> {
  if (resource.resourceType === "Patient") return new Set([resource.id]);
  const paths = [r4Owners, r4Participants].flatMap((table) => table[resource.resourceType]?.split(" ") ?? []);
  const references = paths.flatMap((path) =>
    path.split(".").reduce<unknown[]>((nodes, key) => nodes.flatMap((node) => items(field(node, key))), [resource]),
  );
  return new Set(
    references.flatMap((value) => {
      const parts = localParts(targetOf({ type: "Reference", value }, base) ?? "");
      return parts?.type === "Patient" ? [parts.id] : [];
    }),
  );
}
