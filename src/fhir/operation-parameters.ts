import { isArray, isObject, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";

/**
 * The input of an operation as a form, in the words of its GET (http://hl7.org/fhir/R4/operations.html#request):
 * a `Parameters` resource with primitive values. Undefined if the body is anything more.
 */
export function formOfParameters(body: Uint8Array): string | undefined {
  const read = readJson(body);
  if (!read.ok || !isObject(read.value) || textAt(read.value, "resourceType") !== "Parameters")
    return undefined;
  const known = ["resourceType", "id", "meta", "parameter"];
  if (!Object.keys(read.value).every((name) => known.includes(name))) return undefined;
  const list = property(read.value, "parameter") ?? [];
  if (!isArray(list)) return undefined;
  const parts = list.map(partOf);
  return parts.includes(undefined) ? undefined : parts.join("&");
}

const valueTypes: ReadonlySet<string> = new Set(
  "Boolean Code Date DateTime Id Instant Integer PositiveInt String UnsignedInt Uri".split(" "),
);

function partOf(parameter: Json): string | undefined {
  if (!isObject(parameter)) return undefined;
  const [member, ...others] = Object.keys(parameter).filter((name) => name !== "name");
  const name = textAt(parameter, "name");
  const isValue = member?.startsWith("value") === true && valueTypes.has(member.slice("value".length));
  if (name === undefined || !isValue || others.length > 0) return undefined;
  const text = textOf(property(parameter, member));
  return text === undefined ? undefined : `${encodeURIComponent(name)}=${encodeURIComponent(text)}`;
}

/** A primitive as a query has it. */
function textOf(value: Json | JsonObject | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "boolean") return String(value);
  return typeof value === "object" && value !== null && !isArray(value) && !isObject(value)
    ? value.rawJSON
    : undefined;
}
