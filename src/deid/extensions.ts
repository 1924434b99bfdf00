import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { isKnownCode } from "./known-codes.ts";

const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";

/** The extensions with a code, and their codes. */
const coded: Readonly<Record<string, string>> = {
  "http://hl7.org/fhir/StructureDefinition/data-absent-reason":
    "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported as-text " +
    "error not-a-number negative-infinity positive-infinity not-performed not-permitted",
  [`${usCore}birthsex`]: "F M UNK OTH ASKU",
};

/** The extensions whose parts have a Coding, and the names of these parts. Their `text` does not leave. */
const withCodings: Readonly<Record<string, readonly string[]>> = {
  [`${usCore}race`]: ["ombCategory", "detailed"],
  [`${usCore}ethnicity`]: ["ombCategory", "detailed"],
};

/**
 * An extension that the table names, with its codes alone. Undefined: the table does not name the extension or its
 * code.
 */
export function namedExtension(extension: JsonObject): JsonObject | undefined {
  const url = textAt(extension, "url") ?? "";
  if (Object.hasOwn(coded, url)) {
    const valueCode = textAt(extension, "valueCode") ?? "";
    return coded[url]?.split(" ").includes(valueCode) === true ? { url, valueCode } : undefined;
  }
  const parts = property(extension, "extension");
  if (!Object.hasOwn(withCodings, url) || !isArray(parts)) return undefined;
  const left = parts.flatMap((part) =>
    isObject(part) ? (partLeft(part, withCodings[url] ?? []) ?? []) : [],
  );
  return left.length === 0 ? undefined : { url, extension: left };
}

function partLeft(part: JsonObject, names: readonly string[]): JsonObject | undefined {
  const [url, value] = [textAt(part, "url") ?? "", property(part, "valueCoding")];
  if (!names.includes(url) || !isObject(value)) return undefined;
  const [system, code] = [textAt(value, "system") ?? "", textAt(value, "code") ?? ""];
  return isKnownCode(system, code) ? { url, valueCoding: { system, code } } : undefined;
}
