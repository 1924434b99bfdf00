import { typesAt } from "#fhir/r4/elements";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";

/**
 * The modifiers that search by an element next to the parameter's own (FHIR R4 §3.1.1.4.5): the identifier of a
 * reference, or the text of a code.
 */
export type ElementModifier = "identifier" | "text";

export const isElementModifier = (suffix: string | undefined): suffix is ElementModifier =>
  suffix === "identifier" || suffix === "text";

const known = new Map<string, SearchParameterDefinition | undefined>();

/**
 * The parameter with such a modifier, as a parameter that reads that element: a view that hides the element
 * then refuses the search, and each row is compared by it. `undefined`: R4 has no such modifier for the type.
 */
export function besideElement(
  type: string,
  { code }: SearchParameterDefinition,
  modifier: ElementModifier,
): SearchParameterDefinition | undefined {
  const name = `${type}:${code}:${modifier}`; // at most three for each parameter of R4
  if (!known.has(name)) known.set(name, read(type, code, modifier));
  return known.get(name);
}

function read(type: string, code: string, modifier: ElementModifier): SearchParameterDefinition | undefined {
  const { type: kind, paths } = searchParametersOf(type).get(code) ?? {};
  if (paths === undefined || code.startsWith("_")) return undefined;
  const targets = undefined;
  if (modifier === "identifier")
    return kind === "reference"
      ? { code, type: "token", paths: paths.map((path) => path.concat("identifier")), targets }
      : undefined;
  const texts = paths.flatMap((path) => {
    const types = typesAt(type, path);
    return types.map((form) => textsOf.get(form)?.map((below) => path.concat(below)));
  });
  const known = texts.flatMap((each) => each ?? []);
  return kind === "token" && known.length > 0 && !texts.includes(undefined)
    ? { code, type: "string", paths: known, targets }
    : undefined;
}

const canonicals = new Map<string, SearchParameterDefinition | undefined>();

/**
 * A reference parameter that reads canonical URLs, as a parameter of such URLs (FHIR R4 §3.1.1.4.11). `undefined`:
 * the parameter reads other elements.
 */
export function canonicalParameter(
  type: string,
  { code, type: kind }: SearchParameterDefinition,
): SearchParameterDefinition | undefined {
  if (kind !== "reference") return undefined;
  const name = `${type}:${code}`;
  if (!canonicals.has(name)) canonicals.set(name, readCanonical(type, code));
  return canonicals.get(name);
}

function readCanonical(type: string, code: string): SearchParameterDefinition | undefined {
  const { paths } = searchParametersOf(type).get(code) ?? {};
  const types = paths?.flatMap((path) => typesAt(type, path)) ?? [];
  return types.length > 0 && types.every((one) => one === "canonical")
    ? { code, type: "uri", paths, targets: undefined }
    : undefined;
}

/** The texts of a code, by its type: `CodeableConcept.text`, `Coding.display` and `Identifier.type.text`. */
const textsOf: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ["CodeableConcept", [["text"], ["coding", "display"]]],
  ["Coding", [["display"]]],
  ["Identifier", [["type", "text"]]],
]);
