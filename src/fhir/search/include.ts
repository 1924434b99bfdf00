import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";

/** A request for included resources (FHIR R4 §3.1.1.5.6). */
export interface Include {
  /** `include`: resources that rows refer to. `revinclude`: resources that refer to rows. */
  readonly direction: "include" | "revinclude";
  /** Also applies to included resources. */
  readonly iterate: boolean;
  /** The type that has the parameter; `*`: every type, of a `_revinclude` with the parameter `*`. */
  readonly source: ResourceType | "*";
  /** `*`: every reference parameter of the source. */
  readonly parameter: SearchParameterDefinition | "*";
  /** Only resources of this type. */
  readonly target: ResourceType | undefined;
}

/** True if a query parameter's name is an include, with or without `:iterate`. */
export const isInclude = (name: string): boolean => /^_(?:rev)?include(?::|$)/u.test(name);

/** Reads an include of a search on `type`; `undefined` if it is malformed, or could include nothing. */
export function readInclude(type: ResourceType, name: string, value: string): Include | undefined {
  const { direction, modifier } =
    /^_(?<direction>include|revinclude)(?::(?<modifier>iterate|recurse))?$/u.exec(name)?.groups ?? {};
  if (direction !== "include" && direction !== "revinclude") return undefined;
  const iterate = modifier !== undefined; // `recurse` is its name in STU3
  if (value === "*" || value === "*:*")
    return direction === "include"
      ? { direction, iterate, source: type, parameter: "*", target: undefined }
      : { direction, iterate, source: "*", parameter: "*", target: iterate ? undefined : type };
  const [source = "", code = "", target, ...more] = value.split(":");
  if (!isResourceType(source) || more.length > 0 || (target !== undefined && !isResourceType(target)))
    return undefined;
  if (!iterate && (direction === "include" ? source : (target ?? type)) !== type) return undefined;
  const parameter = code === "*" ? code : referenceOf(source, code);
  if (parameter === undefined) return undefined;
  const meant = direction === "revinclude" && !iterate ? type : target;
  if (parameter !== "*" && meant !== undefined && parameter.targets?.has(meant) === false) return undefined;
  return { direction, iterate, source, parameter, target: meant };
}

function referenceOf(source: ResourceType, code: string): SearchParameterDefinition | undefined {
  const definition = searchParametersOf(source).get(code);
  return definition?.type === "reference" && definition.paths !== undefined ? definition : undefined;
}

/** As an encoded query writes it. */
export function includeText({ direction, iterate, source, parameter, target }: Include): string {
  const code = parameter === "*" ? parameter : parameter.code;
  if (source === "*") return `_${direction}${iterate ? ":iterate" : ""}=*`;
  return `_${direction}${iterate ? ":iterate" : ""}=${source}:${code}${target === undefined ? "" : `:${target}`}`;
}
