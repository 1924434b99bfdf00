import { elementsOf, r4ResourceTypes, type ResourceType } from "#fhir/r4/elements";
import { r4Summaries } from "#fhir/r4/summary.gen";

const known = new Map<ResourceType, ReadonlySet<string>>();

/** True if a summary of the type shows its own element `name` (ElementDefinition.isSummary); a choice has `[x]`. */
export function isInSummary(type: ResourceType, name: string): boolean {
  let names = known.get(type);
  if (names === undefined) {
    const bits = BigInt(`0x${r4Summaries.split(" ")[r4ResourceTypes.indexOf(type)]}`);
    const elements = [...elementsOf(type).keys()].filter(
      (element) => !elementsOf("DomainResource").has(element),
    );
    names = new Set(elements.filter((_, index) => ((bits >> BigInt(index)) & 1n) === 1n));
    known.set(type, names);
  }
  return names.has(name);
}
