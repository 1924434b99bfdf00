import { isObject, type Json, type JsonObject } from "#fhir/json/json";

// A Questionnaire nests its items freely. A longer path counts as its beginning.
const stepsMax = 12;

/**
 * Counts the values in the body of an answer by their element paths: `Patient.name.family`, with the JSON names of
 * R4 (`Observation.valueQuantity.value`). A resource in a resource counts under its own type. The members of a
 * Bundle do not count, nor an OperationOutcome, nor `resourceType`, which no view hides. No value is in the result.
 */
export function elementsLeft(body: Json): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  visit(body, "", 0, counts);
  return counts;
}

function visit(value: Json, path: string, steps: number, counts: Map<string, number>): void {
  if (Array.isArray(value)) for (const item of value as readonly Json[]) visit(item, path, steps, counts);
  else if (isObject(value)) visitObject(value, path, steps, counts);
  else if (value !== null && steps > 0) counts.set(path, (counts.get(path) ?? 0) + 1);
}

function visitObject(value: JsonObject, path: string, steps: number, counts: Map<string, number>): void {
  const type = value["resourceType"];
  const isResource = typeof type === "string";
  if (type === "OperationOutcome") return;
  const [root, from] = isResource ? [type, 0] : [path, steps];
  const isCounted = root !== "" && root !== "Bundle";
  for (const [name, member] of Object.entries(value)) {
    if (isResource && name === "resourceType") continue;
    // `_birthDate` has the extensions of `birthDate`.
    const step = name.startsWith("_") ? name.slice(1) : name;
    if (!isCounted) visit(member, root, 0, counts);
    else if (from < stepsMax) visit(member, `${root}.${step}`, from + 1, counts);
    else visit(member, root, from, counts);
  }
}
