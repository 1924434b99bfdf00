import { r4Search, r4SearchTargets } from "#fhir/r4/search.gen";
import { r4ResourceTypes } from "#fhir/r4/elements";

export type SearchParameterType =
  | "number"
  | "date"
  | "string"
  | "token"
  | "reference"
  | "composite"
  | "quantity"
  | "uri"
  | "special";

/** A search parameter of R4 or US Core for a type. */
export interface SearchParameterDefinition {
  readonly code: string;
  readonly type: SearchParameterType;
  /** The JSON element paths that it reads; undefined if its expression is more than paths. */
  readonly paths: readonly (readonly string[])[] | undefined;
  /** Types that a reference may have; `undefined` for any. */
  readonly targets: ReadonlySet<string> | undefined;
  /** The parameters that a composite joins, in order (FHIR R4 §3.1.1.4.13); it reads all of their paths. */
  readonly components?: readonly SearchParameterDefinition[];
}

/**
 * Parameters that US Core and CARIN Blue Button add to R4's and that read no extension
 * (http://hl7.org/fhir/us/core/STU6.1/search-parameters.html, http://hl7.org/fhir/us/carin-bb/STU2.1/artifacts.html),
 * in the form of `r4Search`.
 */
const addedSearch: Readonly<Record<string, string>> = {
  CareTeam: "role=participant.",
  Encounter: "discharge-disposition=hospitalization.",
  ExplanationOfBenefit:
    "type service-date=billablePeriod,item.serviced[x]@ billable-period-start=billablePeriod.start@ insurer>|Organization|",
  Goal: "description",
};

const known = new Map<string, ReadonlyMap<string, SearchParameterDefinition>>();

/** By type: the parameters' words. */
let tables: ReadonlyMap<string, readonly string[]> | undefined;

function readTables(): ReadonlyMap<string, readonly string[]> {
  const [resource = "", ...lines] = r4Search.split("\n");
  const words = (line: string | undefined) => (line === undefined || line === "" ? [] : line.split(" "));
  return new Map([
    ["Resource", words(resource)],
    ...r4ResourceTypes.map(
      (type, place) => [type, [resource, lines[place], addedSearch[type]].flatMap(words)] as const,
    ),
  ]);
}

/**
 * The search parameters of a resource type by code, including the parameters of every Resource (`_id` …). The
 * text of a row that names no type has those of Resource.
 */
export function searchParametersOf(type: string): ReadonlyMap<string, SearchParameterDefinition> {
  const settled = known.get(type);
  if (settled !== undefined) return settled;
  tables ??= readTables();
  const words = tables.get(type);
  if (words === undefined) return searchParametersOf("Resource"); // a row may have any text there
  const parameters = new Map<string, SearchParameterDefinition>();
  const composites: (readonly [code: string, codes: readonly string[]])[] = [];
  for (const word of words) {
    const { code, paths, kind, targets } = partsOf(word);
    parameters.set(code, {
      code,
      type: kind,
      paths:
        paths === "-" || kind === "composite"
          ? undefined
          : paths.split(",").map((path) => longPath(code, path).split(".")),
      targets: kind === "reference" ? targetsOf(targets) : undefined,
    });
    if (kind === "composite" && paths !== "-") composites.push([code, paths.split("&")]);
  }
  for (const [code, codes] of composites) parameters.set(code, readComposite(code, codes, parameters));
  known.set(type, parameters);
  return parameters;
}

const kinds = {
  "": "token",
  ">": "reference",
  "@": "date",
  $: "string",
  "%": "uri",
  "#": "quantity",
  "+": "number",
  "&": "composite",
  "!": "special",
} as const satisfies Readonly<Record<string, SearchParameterType>>;

const isMark = (text: string): text is keyof typeof kinds => Object.hasOwn(kinds, text);

const wordForm =
  /^(?<code>[\w-]+)(?:=(?<paths>[\w.,[\]*&-]+?))?(?:(?<mark>[@$%#+&!])|(?<reference>>)(?<targets>[\w|*]*))?$/u;

/** The parts of a parameter's word. Throws for a word that the table cannot have. */
function partsOf(word: string): {
  readonly code: string;
  readonly paths: string;
  readonly kind: SearchParameterType;
  readonly targets: string;
} {
  const { code, paths = "", mark = "", reference = mark, targets = "" } = wordForm.exec(word)?.groups ?? {};
  if (code === undefined || !isMark(reference)) throw new Error(`no search parameter: ${word}`);
  return { code, paths, kind: kinds[reference], targets };
}

function longPath(code: string, path: string): string {
  const name = code.replaceAll(/-(?<letter>[a-z])/gu, (_all, letter: string) => letter.toUpperCase());
  if (path === "*") return `${name}[x]`;
  return path === "" || path.endsWith(".") ? path + name : path;
}

/** Undefined for any type. Names stand between bars, letters outside of them. */
function targetsOf(text: string): ReadonlySet<string> | undefined {
  if (text === "*") return undefined;
  const typeAt = (letters: string, place: number) => r4SearchTargets[letters.charCodeAt(place) - 65] ?? "";
  return new Set(
    text
      .split("|")
      .flatMap((part, place) =>
        place % 2 === 1 ? [part] : Array.from({ length: part.length }, (_, each) => typeAt(part, each)),
      ),
  );
}

function readComposite(
  code: string,
  codes: readonly string[],
  parameters: ReadonlyMap<string, SearchParameterDefinition>,
): SearchParameterDefinition {
  const components = codes.flatMap((one) => parameters.get(one) ?? []);
  const isKnown = components.length === codes.length && components.every(({ paths }) => paths !== undefined);
  const paths = isKnown ? components.flatMap((component) => component.paths ?? []) : undefined;
  return { code, type: "composite", paths, targets: undefined, components };
}
