import { jsonNumber, property, type Json, type JsonObject } from "#fhir/json/json";

const references = [
  "#p1",
  "#p1",
  "#m1",
  "#o1",
  "#b1",
  "#none",
  "#",
  "Patient/1",
  "Patient/2",
  "Practitioner/1",
];

/** A resource with contained resources at a random place, to which some of its references lead. */
export function containing(resource: JsonObject, roll: () => number): JsonObject {
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(roll() * list.length)];
  const reference = () => ({ reference: pick(references) ?? "#" });
  const inside = (): Json =>
    pick<Json>([
      { resourceType: "Patient", id: "p1", name: [{ family: "Inside" }], managingOrganization: reference() },
      { resourceType: "Patient", id: "p2", link: [{ other: reference(), type: "seealso" }] },
      { resourceType: "Medication", id: "m1", code: { text: "a \u00e9" }, manufacturer: reference() },
      {
        resourceType: "Organization",
        id: "o1",
        name: "http://origin.internal:8080/fhir",
        partOf: reference(),
      },
      { resourceType: "Observation", id: "v1", status: "final", code: { text: "x" }, subject: reference() },
      { resourceType: "Practitioner", id: "p1", implicitRules: "urn:x" },
      { resourceType: "Medication", amount: jsonNumber("5") },
      { resourceType: "Coverage", id: "c1", beneficiary: reference(), payor: [reference(), reference()] },
      {
        resourceType: "Bundle",
        id: "b1",
        type: "collection",
        entry: [{ resource: { resourceType: "Patient", id: "9", gender: "male" } }],
      },
      "no resource",
    ]) ?? null;
  const contained = Array.from({ length: Math.floor(roll() * 4) }, inside);
  const members = Object.entries(referring(resource, reference, roll)).filter(
    ([name]) => name !== "contained",
  );
  // mostly behind `resourceType`, before all references
  const at = roll() < 0.7 ? 1 : Math.floor(roll() * (members.length + 1));
  return Object.fromEntries([
    ...members.slice(0, at),
    ["contained", contained] as const,
    ...members.slice(at),
  ]);
}

/** A copy in which some references lead elsewhere, or are added. */
function referring(resource: JsonObject, reference: () => JsonObject, roll: () => number): JsonObject {
  const changed = (value: Json): Json => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(changed);
    const members = value as JsonObject;
    if (typeof property(members, "reference") === "string" && roll() < 0.5)
      return { ...members, ...reference() };
    if (typeof property(members, "rawJSON") === "string") return members;
    return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, changed(member)]));
  };
  return changed(resource) as JsonObject;
}
