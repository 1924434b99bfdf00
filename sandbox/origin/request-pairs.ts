import type { FhirRequest } from "@medplum/fhir-router";
import { numberOf } from "./exact-json.ts";
import { field, items, text } from "./values.ts";

export type Pairs = readonly (readonly [string, string])[];

/** All parameters of a request in order: of its URL, then of its form, or of the Parameters that an operation is posted with. */
export function pairsOf({ query, method, body }: FhirRequest): Pairs {
  const posted = method !== "POST" ? [] : field(body, "resourceType") === "Parameters" ? fromParameters(body) : fromNames(body);
  return [...fromNames(query), ...posted];
}

/** Names with one value or several, as the server and medplum's router make them of a form and a query. */
const fromNames = (names: unknown): Pairs =>
  Object.entries(names ?? {}).flatMap(([name, value]) => items(value).map((one): readonly [string, string] => [name, String(one)]));

/** R4 Parameters: one `value[x]` each. */
const fromParameters = (body: unknown): Pairs =>
  items(field(body, "parameter")).map((parameter) => {
    const key = Object.keys(Object(parameter)).find((name) => name.startsWith("value")) ?? "";
    const value = numberOf(field(parameter, key))?.toString() ?? text(parameter, key) ?? ""; // no parameter here takes more than a primitive
    return [text(parameter, "name") ?? "", value];
  });
