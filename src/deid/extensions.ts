import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { codedExtensions, codingExtensions } from "#policy/form/extension-fates";
import { isKnownCode } from "./known-codes.ts";

/**
 * An extension that the table names, with its codes alone. Undefined: the table does not name the extension or its
 * code.
 */
export function namedExtension(extension: JsonObject): JsonObject | undefined {
  const url = textAt(extension, "url") ?? "";
  if (Object.hasOwn(codedExtensions, url)) {
    const valueCode = textAt(extension, "valueCode") ?? "";
    return codedExtensions[url]?.split(" ").includes(valueCode) === true ? { url, valueCode } : undefined;
  }
  const parts = property(extension, "extension");
  if (!Object.hasOwn(codingExtensions, url) || !isArray(parts)) return undefined;
  const left = parts.flatMap((part) =>
    isObject(part) ? (partLeft(part, codingExtensions[url] ?? []) ?? []) : [],
  );
  return left.length === 0 ? undefined : { url, extension: left };
}

function partLeft(part: JsonObject, names: readonly string[]): JsonObject | undefined {
  const [url, value] = [textAt(part, "url") ?? "", property(part, "valueCoding")];
  if (!names.includes(url) || !isObject(value)) return undefined;
  const [system, code] = [textAt(value, "system") ?? "", textAt(value, "code") ?? ""];
  return isKnownCode(system, code) ? { url, valueCoding: { system, code } } : undefined;
}
