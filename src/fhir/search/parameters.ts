import { isResourceType } from "#fhir/r4/elements";
import { r4Search } from "#fhir/r4/search.gen";

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
 * Parameters that US Core adds to R4's and that read no extension
 * (http://hl7.org/fhir/us/core/STU6.1/search-parameters.html), in the form of `r4Search`.
 */
const usCoreSearch: Readonly<Record<string, string>> = {
  CareTeam: "role:token:participant.role",
  Encounter: "discharge-disposition:token:hospitalization.dischargeDisposition",
  Goal: "description:token",
};

const known = new Map<string, ReadonlyMap<string, SearchParameterDefinition>>();

/**
 * The search parameters of a resource type by code, including the parameters of every Resource (`_id` …).
 */
export function searchParametersOf(type: string): ReadonlyMap<string, SearchParameterDefinition> {
  const settled = known.get(type);
  if (settled !== undefined) return settled;
  const tables: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [r4Search, "Resource"],
    [r4Search, type],
    [usCoreSearch, type],
  ];
  const texts = tables.flatMap(([table, base]) =>
    Object.hasOwn(table, base) ? (table[base] ?? "").split(" ") : [],
  );
  const parameters = new Map(texts.map((text) => [text.slice(0, text.indexOf(":")), readDefinition(text)]));
  for (const text of texts) {
    const [code = "", kind, components = "-"] = text.split(":");
    if (kind === "composite" && components !== "-")
      parameters.set(code, readComposite(code, components.split("&"), parameters));
  }
  if (type === "Resource" || isResourceType(type)) known.set(type, parameters); // a row may have any text there
  return parameters;
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

function readDefinition(text: string): SearchParameterDefinition {
  const [code = "", type = "", path = "", targets = "*"] = text.split(":");
  const paths = path || code.replaceAll(/-[a-z]/gu, (sign) => sign.slice(1).toUpperCase());
  return {
    code,
    // the generator writes SearchParameter.type, which has this union as its value set
    type: type as SearchParameterType,
    paths:
      paths === "-" || type === "composite" ? undefined : paths.split(",").map((path) => path.split(".")),
    targets: targets === "*" ? undefined : new Set(targets.split("|").filter((target) => target !== "")),
  };
}
