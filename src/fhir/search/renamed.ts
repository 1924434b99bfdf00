import type { ResourceType } from "#fhir/r4/elements";
import type { Criteria, SearchParameter } from "./condition.ts";
import type { SearchParameterDefinition } from "./parameters.ts";
import type { Search } from "./search.ts";
import type { SearchValue } from "./value.ts";

/**
 * The row that a text of a question means. `types`: the types that it may have; undefined: any. A row without a type is
 * named by its id alone.
 */
export type Rename = (
  text: string,
  types: ReadonlySet<string> | undefined,
) => { readonly type?: ResourceType | undefined; readonly id: string };

/** The members of a search that name rows. */
export type NamingPart = Pick<Search, "type" | "parameters" | "joins" | "compartment">;

/** A search whose ids and references, in chains too, mean other rows than they say. `asked` is as it was. */
export function renamedSearch<S extends NamingPart>(search: S, rename: Rename): S {
  const { type, parameters, joins, compartment } = search;
  const criteria = renamedCriteria({ type, parameters, joins }, rename);
  const by = compartment && criteria.parameters[parameters.indexOf(compartment.by)];
  return {
    ...search,
    ...criteria,
    ...(compartment !== undefined &&
      by !== undefined && {
        compartment: { patient: rename(compartment.patient, new Set(["Patient"])).id, by },
      }),
    asked: { parameters, joins, compartment },
  };
}

const renamedCriteria = ({ type, parameters, joins }: Criteria, rename: Rename): Criteria => ({
  type,
  parameters: parameters.map((parameter) => renamedParameter(type, parameter, rename)),
  joins: joins.map(({ kind, by, of: [first, ...others] }) => ({
    kind,
    by,
    of: [renamedCriteria(first, rename), ...others.map((one) => renamedCriteria(one, rename))],
  })),
});

export function renamedParameter(type: string, parameter: SearchParameter, rename: Rename): SearchParameter {
  const { definition, values } = parameter;
  return { ...parameter, values: values.map((value) => renamedValue(type, definition, value, rename)) };
}

function renamedValue(
  type: string,
  definition: SearchParameterDefinition,
  value: SearchValue,
  rename: Rename,
): SearchValue {
  switch (value.kind) {
    case "token": {
      if (definition.code !== "_id") return value;
      const { id } = rename(value.code, new Set([type]));
      return { ...value, text: id, code: id };
    }
    case "reference":
      return named(rename(value.id, value.type === undefined ? definition.targets : new Set([value.type])));
    // a server may write the references to its own rows as URLs
    case "foreign":
      return named(rename(value.url, definition.targets));
    case "composite": {
      const { components = [] } = definition;
      const parts = value.parts.map((part, index) => {
        const component = components[index];
        return component === undefined ? part : renamedValue(type, component, part, rename);
      });
      return { ...value, parts, text: parts.map(({ text }) => text).join("$") };
    }
    case "other":
      return value;
  }
}

const named = ({ type, id }: ReturnType<Rename>): SearchValue => ({
  kind: "reference",
  text: type === undefined ? id : `${type}/${id}`,
  type,
  id,
});
