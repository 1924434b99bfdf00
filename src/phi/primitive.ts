import { isArray, isObject, type Json } from "#fhir/json/json";

// FHIR R4 json §2.6.2.2: every further primitive is a string.
const jsonTypes: ReadonlyMap<string, "boolean" | "number"> = new Map([
  ["boolean", "boolean"],
  ["decimal", "number"],
  ["integer", "number"],
  ["positiveInt", "number"],
  ["unsignedInt", "number"],
]);

/**
 * Answers whether a value has the JSON type of an R4 primitive type. A value of a different JSON type is not
 * valid for the element.
 */
export function isOfType(value: Json, type: string): boolean {
  const wanted = jsonTypes.get(type) ?? "string";
  if (wanted !== "number") return typeof value === wanted;
  // a number is its own text
  return typeof value === "object" && value !== null && !isArray(value) && !isObject(value);
}

/** Primitive types that hold a single URL. */
export const urlTypes: ReadonlySet<string> = new Set(["uri", "url", "canonical"]);

// Elements of type `uri` whose definition makes them a location. A `uri` that is not listed is compared, not
// followed.
const addressPaths = [
  "Bundle.entry.fullUrl",
  "Bundle.entry.request.url",
  "Bundle.entry.response.location",
  "Bundle.link.url",
  "CoverageEligibilityResponse.insurance.item.authorizationUrl",
  "DetectedIssue.reference",
  "Device.url",
  "DeviceDefinition.onlineInformation",
  "DeviceDefinition.url",
  "DocumentManifest.source",
  "Expression.reference",
  "Immunization.education.reference",
  "Meta.source",
  "MolecularSequence.repository.url",
  "TestReport.participant.uri",
];
const addresses = Map.groupBy(addressPaths, (path) => path.slice(0, path.lastIndexOf(".")));
/** Answers whether an element is a location to follow. */
export const isAddress = (parent: string, name: string, type: string): boolean =>
  type === "url" || (type === "uri" && addresses.get(parent)?.includes(`${parent}.${name}`) === true);
