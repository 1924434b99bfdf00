import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { isPrimitive, typesAt } from "#fhir/r4/elements";
import { impliedSystems } from "#fhir/r4/implied-systems";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { isPlainToken, systemsOfCodes } from "./plain-token.ts";
import type { Search, SearchParameter } from "./search.ts";
import type { SearchValue } from "./value.ts";

/**
 * The name of the first criterion of a conditional form that {@link meets} cannot decide: a match that only
 * the origin can check could write to a different row. Supported are tokens and references to resources of
 * this origin, as written.
 */
export function undecidable({ type, parameters, joins, includes }: Search): string | undefined {
  if (joins.length > 0) return joins[0]?.by.code;
  if (includes.length > 0) return `_${includes[0]?.direction}`;
  return parameters.find((parameter) => !isDecidable(type, parameter))?.definition.code;
}

function isDecidable(type: string, { definition, modifier, values }: SearchParameter): boolean {
  const { paths } = definition;
  if (modifier !== undefined || paths === undefined) return false;
  if (paths.some((path) => path.some((step) => step.endsWith("[x]")))) return false;
  // No row states the system of a plain code, and R4 does not define the system of each.
  const isKnown = paths.every(
    (path) =>
      typesAt(type, path).every((one) => !isPrimitive(one)) || impliedSystems(type, path) !== undefined,
  );
  return values.every((value) =>
    value.kind === "token" ? isKnown || !value.system : value.kind === "reference",
  );
}

/** True if a row meets all these parameters, each by any of its values (FHIR R4 §3.1.1.4.3). */
export const meets = (row: JsonObject, parameters: readonly SearchParameter[], base: FhirBase): boolean =>
  parameters.every(({ definition, values }) => {
    const { components } = definition;
    if (components !== undefined)
      return values.some(
        (value) => value.kind === "composite" && meetsTokens(row, components, value.parts, base),
      );
    const found =
      definition.code === "_id"
        ? [property(row, "id") ?? null]
        : (definition.paths ?? []).flatMap((path) => valuesAt(row, path));
    const systems = () => systemsOfCodes(textAt(row, "resourceType") ?? "", definition.paths);
    return values.some((value) => found.some((element) => isFoundBy(element, value, base, systems)));
  });

/** Answers whether a row has the tokens of a composite value; its further parts are left to the origin. */
const meetsTokens = (
  row: JsonObject,
  components: NonNullable<SearchParameter["definition"]["components"]>,
  parts: Extract<SearchValue, { kind: "composite" }>["parts"],
  base: FhirBase,
): boolean =>
  components.every((definition, index) => {
    const part = parts[index];
    if (part === undefined) return false;
    return definition.type !== "token" || meets(row, [{ definition, values: [part] }], base);
  });

function isFoundBy(
  found: Json,
  value: SearchValue,
  base: FhirBase,
  systems: () => ReadonlySet<string> | undefined,
): boolean {
  switch (value.kind) {
    case "token":
      return typeof found === "string" || typeof found === "boolean"
        ? isPlainToken(found, value, systems())
        : isToken(found, value);
    case "reference": {
      const reference = parseReference(isObject(found) ? (textAt(found, "reference") ?? "") : "", base);
      return (
        reference.kind === "local" &&
        reference.id === value.id &&
        (value.type === undefined || value.type === reference.type)
      );
    }
    case "foreign":
      return isForeignReference(found, value, base);
    case "composite":
    case "other":
      return false;
  }
}

/** Literally, and never a reference of this server, by whatever name of its base. */
export function isForeignReference(
  found: Json,
  { url }: Extract<SearchValue, { kind: "foreign" }>,
  base: FhirBase,
): boolean {
  const text = isObject(found) ? textAt(found, "reference") : undefined;
  return text === url && parseReference(text, base).kind === "foreign";
}

/** FHIR R4 §3.1.1.4.10: for a coding its system and code, for an identifier its system and value. */
function isToken(found: Json, { system, code }: Extract<SearchValue, { kind: "token" }>): boolean {
  if (!isObject(found)) return false;
  const coding = property(found, "coding");
  if (isArray(coding)) return coding.some((each) => isToken(each, { kind: "token", text: "", system, code }));
  const isOfSystem = system === undefined || (textAt(found, "system") ?? "") === system;
  const value = textAt(found, "code") ?? textAt(found, "value");
  return isOfSystem && (code === "" ? value !== undefined : value === code);
}
