import type { OriginTraits } from "#fhir/ports";

/** True if the origin, or the operator's acceptance of leases, makes this write safe. */
export function isConditional(
  kind: "update" | "delete",
  traits: Pick<OriginTraits, "honoursIfMatchOnDelete" | "capabilities" | "leasedWrites"> | undefined,
): boolean {
  if (traits?.leasedWrites?.has(kind) === true) return true;
  return kind === "delete"
    ? traits?.honoursIfMatchOnDelete === true
    : traits?.capabilities.honoursIfMatchOnUpdate !== false;
}
