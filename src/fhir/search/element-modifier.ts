import { typesAt } from "#fhir/r4/elements";
import type { SearchParameterDefinition } from "./parameters.ts";

/**
 * The modifiers that search by an element next to the parameter's own (FHIR R4 §3.1.1.4.5): the identifier of a
 * reference, the text of a code, or the type of an identifier.
 */
export type ElementModifier = "identifier" | "text" | "of-type";

export const isElementModifier = (suffix: string | undefined): suffix is ElementModifier =>
  suffix === "identifier" || suffix === "text" || suffix === "of-type";

// At most four for each parameter of R4.
const known = new Map<string, SearchParameterDefinition | undefined>();

function remembered(
  name: string,
  read: () => SearchParameterDefinition | undefined,
): SearchParameterDefinition | undefined {
  if (!known.has(name)) known.set(name, read());
  return known.get(name);
}

/**
 * The parameter with such a modifier, as a parameter that reads that element: a view that hides the element
 * then refuses the search, and each row is compared by it. `undefined`: R4 has no such modifier for the type.
 */
export const besideElement = (
  type: string,
  definition: SearchParameterDefinition,
  modifier: ElementModifier,
): SearchParameterDefinition | undefined =>
  remembered(`${type}:${definition.code}:${modifier}`, () => read(type, definition, modifier));

function read(
  type: string,
  { code, type: kind, paths }: SearchParameterDefinition,
  modifier: ElementModifier,
): SearchParameterDefinition | undefined {
  if (paths === undefined || code.startsWith("_")) return undefined;
  const targets = undefined;
  if (modifier === "identifier")
    return kind === "reference"
      ? { code, type: "token", paths: paths.map((path) => path.concat("identifier")), targets }
      : undefined;
  if (modifier === "of-type")
    return paths.every((path) => typesAt(type, path).every(isIdentifier))
      ? typedIdentifier(code, paths)
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

/** The type and the value of an Identifier as the components of a composite: a view has to show both. */
function typedIdentifier(
  code: string,
  paths: readonly (readonly string[])[],
): SearchParameterDefinition | undefined {
  const tokenAt = (part: string) =>
    ({ code, type: "token", paths: paths.map((path) => path.concat(part)), targets: undefined }) as const;
  const [kind, value] = [tokenAt("type"), tokenAt("value")];
  return { ...kind, type: "composite", paths: [...kind.paths, ...value.paths], components: [kind, value] };
}

const isIdentifier = (type: string): boolean => type === "Identifier";

/**
 * A reference parameter that reads canonical URLs, as a parameter of such URLs (FHIR R4 §3.1.1.4.11). `undefined`:
 * the parameter reads other elements.
 */
export const canonicalParameter = (
  type: string,
  { code, type: kind, paths }: SearchParameterDefinition,
): SearchParameterDefinition | undefined =>
  kind === "reference"
    ? remembered(`${type}:${code}`, () => {
        const types = paths?.flatMap((path) => typesAt(type, path)) ?? [];
        return types.length > 0 && types.every((one) => one === "canonical")
          ? { code, type: "uri", paths, targets: undefined }
          : undefined;
      })
    : undefined;

/** The texts of a code, by its type: `CodeableConcept.text`, `Coding.display` and `Identifier.type.text`. */
const textsOf: ReadonlyMap<string, readonly (readonly string[])[]> = new Map([
  ["CodeableConcept", [["text"], ["coding", "display"]]],
  ["Coding", [["display"]]],
  ["Identifier", [["type", "text"]]],
]);
