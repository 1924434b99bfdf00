import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { isPrimitive, typesAt } from "#fhir/r4/elements";
import { impliedSystems } from "./implied-systems.ts";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { workOn } from "#fhir/json/facts";
import { workOf, type RowWork } from "./row-work.ts";
import { tokenKey } from "./found-values.ts";
import type { SearchParameterDefinition } from "./parameters.ts";
import { systemsOfCodes } from "./plain-token.ts";
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
    const work = workOn(row);
    work.spend(values.length * (components?.length ?? 1) * workOf.value);
    if (components !== undefined)
      return values.some((value) => value.kind === "composite" && hasTokens(row, components, value, base));
    const found = keysIn(row, definition, base);
    return values.some((value) => found.has(value));
  });

/** Answers whether a row has the tokens of a composite value; its further parts are left to the origin. */
const hasTokens = (
  row: JsonObject,
  components: readonly SearchParameterDefinition[],
  { parts }: Extract<SearchValue, { kind: "composite" }>,
  base: FhirBase,
): boolean =>
  components.every((definition, index) => {
    const part = parts[index];
    return part !== undefined && (definition.type !== "token" || keysIn(row, definition, base).has(part));
  });

/** By definition: the key under which a row's work has its {@link CriteriaKeys}. */
const keysOf = new WeakMap<SearchParameterDefinition, object>();

function keysIn(row: JsonObject, definition: SearchParameterDefinition, base: FhirBase): CriteriaKeys {
  const key = keysOf.get(definition) ?? {};
  keysOf.set(definition, key);
  const work = workOn(row);
  const known = work.read(key) as CriteriaKeys | undefined;
  return known?.base === base ? known : work.keep(key, new CriteriaKeys(row, definition, base));
}

/** The keys by which criteria find a row. Each value of the row is read once, for all searched values. */
class CriteriaKeys {
  readonly base: FhirBase;
  readonly #row: JsonObject;
  readonly #definition: SearchParameterDefinition;
  readonly #values: readonly Json[];
  #tokens: RowTokens | undefined;
  #references: RowReferences | undefined;

  constructor(row: JsonObject, definition: SearchParameterDefinition, base: FhirBase) {
    this.#row = row;
    this.#definition = definition;
    this.base = base;
    this.#values =
      definition.code === "_id"
        ? [property(row, "id") ?? null]
        : (definition.paths ?? []).flatMap((path) => valuesAt(row, path));
  }

  has(value: SearchValue): boolean {
    switch (value.kind) {
      case "token": {
        this.#tokens ??= tokensOf(this.#values, workOn(this.#row));
        const { keys, plain } = this.#tokens;
        return keys.has(tokenKey(value.system, value.code)) || this.#hasPlain(plain, value);
      }
      case "reference":
      case "foreign": {
        this.#references ??= referencesOf(this.#values, this.base, workOn(this.#row));
        const { names, foreign } = this.#references;
        if (value.kind === "foreign") return foreign.has(value.url);
        return names.has(value.type === undefined ? value.id : `${value.type}/${value.id}`);
      }
      case "composite":
      case "other":
        return false;
    }
  }

  /** No row states the system of a plain code: a stated system is compared with the systems that R4 defines. */
  #hasPlain(plain: ReadonlySet<string>, { system, code }: Extract<SearchValue, { kind: "token" }>): boolean {
    if (code === "" ? plain.size === 0 : !plain.has(code)) return false;
    if (!system) return true;
    const type = textAt(this.#row, "resourceType") ?? "";
    return systemsOfCodes(type, this.#definition.paths)?.has(system) !== false;
  }
}

/** FHIR R4 §3.1.1.4.10: a coding by its system and code, an identifier by its system and value. */
interface RowTokens {
  /** By `tokenKey`. */
  readonly keys: ReadonlySet<string>;
  /** Plain codes and booleans. */
  readonly plain: ReadonlySet<string>;
}

function tokensOf(values: readonly Json[], work: RowWork): RowTokens {
  const [keys, plain] = [new Set<string>(), new Set<string>()];
  const read = (value: Json): void => {
    work.spend(workOf.key);
    if (!isObject(value)) return;
    const coding = property(value, "coding");
    if (isArray(coding)) {
      for (const each of coding) read(each);
      return;
    }
    const code = textAt(value, "code") ?? textAt(value, "value");
    if (code === undefined) return;
    const system = textAt(value, "system") ?? "";
    for (const key of [tokenKey(undefined, ""), tokenKey(system, "")]) keys.add(key);
    for (const key of [tokenKey(undefined, code), tokenKey(system, code)]) keys.add(key);
  };
  for (const value of values)
    if (typeof value === "string" || typeof value === "boolean") {
      work.spend(workOf.key);
      plain.add(String(value));
    } else read(value);
  return { keys, plain };
}

interface RowReferences {
  /** `id` and `Type/id` of each resource of this server. */
  readonly names: ReadonlySet<string>;
  /** Literally, and never a reference of this server, by whatever name of its base. */
  readonly foreign: ReadonlySet<string>;
}

function referencesOf(values: readonly Json[], base: FhirBase, work: RowWork): RowReferences {
  const [names, foreign] = [new Set<string>(), new Set<string>()];
  for (const value of values) {
    work.spend(workOf.reference);
    const text = isObject(value) ? textAt(value, "reference") : undefined;
    if (text === undefined) continue;
    const named = parseReference(text, base);
    if (named.kind === "local") names.add(named.id).add(`${named.type}/${named.id}`);
    if (named.kind === "foreign") foreign.add(text);
  }
  return { names, foreign };
}
