import type { typeInteractions } from "#fhir/origin";
import { operationsOn, operationTable, type Operation } from "#fhir/operations";
import type { ServedType } from "#fhir/ports";
import { isCompartmentType, mayBeOwned } from "#fhir/r4/compartment-tables";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { isSupported } from "#fhir/search/search";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";

/** The permitted interactions and searches on resources of a type. */
export interface TypeCapability {
  readonly type: string;
  readonly interactions: readonly TypeInteraction[];
  /** `named`: only with a token that names its system. */
  readonly parameters: readonly { readonly definition: SearchParameterDefinition; readonly named: boolean }[];
  /** As `Type:parameter`. */
  readonly includes: readonly string[];
  readonly revincludes: readonly string[];
  readonly operations: readonly Operation[];
  /** An update of an absent row creates it, under the ids that the client may choose. */
  readonly updateCreate?: boolean;
}

/** Codes of http://hl7.org/fhir/restful-interaction. */
export type TypeInteraction = (typeof typeInteractions)[number];

/** Every supported feature, for every type of R4: the union of all clients' permissions. */
export const everyCapability = (): readonly TypeCapability[] =>
  r4ResourceTypes.map((type) => {
    const parameters = [...searchParametersOf(type).values()]
      .filter(isSupported)
      .map((definition) => ({ definition, named: false }));
    const references = parameters.filter(({ definition }) => definition.type === "reference");
    return {
      type,
      interactions: Object.keys(needs) as TypeInteraction[], // in the table's order
      parameters,
      includes: references.map(({ definition: { code } }) => `${type}:${code}`),
      revincludes: isCompartmentType(type) || mayBeOwned(type) ? referencesTo(type) : [],
      operations: operationsOn(type),
    };
  });

/** The interaction of the server that each interaction of the gateway needs: a patch is sent as an update. */
const needs: Readonly<Record<TypeInteraction, readonly string[]>> = {
  read: ["read"],
  vread: ["vread", "read"],
  "history-instance": ["history-instance", "read"],
  "history-type": ["history-type"],
  "search-type": ["search-type"],
  create: ["create"],
  update: ["update", "read"],
  patch: ["update", "read"],
  delete: ["delete", "read"],
};

/** The part of these capabilities that a FHIR server with these types can do. */
export function servedBy(
  types: ReadonlyMap<string, ServedType>,
  capabilities: readonly TypeCapability[],
): readonly TypeCapability[] {
  const evaluates = (name: string) => {
    const [source = "", code = ""] = name.split(":");
    return types.get(source)?.search.has(code) === true;
  };
  return capabilities.flatMap((one) => {
    const served = types.get(one.type);
    if (served === undefined) return [];
    const interactions = one.interactions.filter((name) =>
      needs[name].every((needed) => served.interactions.has(needed)),
    );
    const searches = interactions.includes("search-type");
    return {
      ...one,
      interactions,
      parameters: searches
        ? one.parameters.filter(({ definition }) => served.search.has(definition.code))
        : [],
      includes: searches ? one.includes.filter(evaluates) : [],
      revincludes: searches ? one.revincludes.filter(evaluates) : [],
      operations: one.operations.filter(
        (name) => name === "validate" || name === "disclosures" || served.interactions.has("search-type"),
      ),
    };
  });
}

const referencesTo = (type: string): readonly string[] =>
  r4ResourceTypes.flatMap((source) =>
    [...searchParametersOf(source).values()]
      .filter(
        (definition) =>
          isSupported(definition) &&
          definition.type === "reference" &&
          definition.targets?.has(type) === true,
      )
      .map(({ code }) => `${source}:${code}`),
  );

/**
 * As `CapabilityStatement.rest.resource`. An empty list has no member: an array of FHIR JSON is never
 * empty.
 *
 * @param conditionalRead `not-match` where no time of a change leaves.
 */
export function writtenCapability(
  { type, interactions, parameters, includes, revincludes, operations, updateCreate = false }: TypeCapability,
  conditionalRead: "full-support" | "not-match",
) {
  const may = (interaction: TypeInteraction) => interactions.includes(interaction);
  return {
    type,
    interaction: interactions.map((code) => ({ code })),
    ...(may("history-instance") && { versioning: "versioned", readHistory: true }),
    ...(may("read") && { conditionalRead }),
    ...(may("update") && { updateCreate }),
    ...(may("create") && { conditionalCreate: may("search-type") }),
    ...(may("update") && { conditionalUpdate: may("search-type") }),
    ...(may("delete") && { conditionalDelete: may("search-type") ? "single" : "not-supported" }),
    ...(includes.length > 0 && { searchInclude: includes }),
    ...(revincludes.length > 0 && { searchRevInclude: revincludes }),
    ...(parameters.length > 0 && {
      searchParam: parameters.map(({ definition: { code, type }, named }) => ({
        name: code,
        type,
        ...(named && { documentation: "Only with its system: system|code." }),
      })),
    }),
    ...(operations.length > 0 && {
      operation: operations.map(operationEntry),
    }),
  };
}

function operationEntry(name: Operation) {
  const { definition, documentation } = operationTable[name];
  return { name, definition, ...(documentation === undefined ? {} : { documentation }) };
}
