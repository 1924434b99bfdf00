import { err, ok, type Result } from "#kernel/result";
import { isCompartmentPath } from "#fhir/r4/compartment-tables";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import type { QueryPair } from "./query.ts";
import { searchParametersOf, type SearchParameterDefinition } from "./parameters.ts";
import {
  besideElement,
  canonicalParameter,
  isElementModifier,
  type ElementModifier,
} from "./element-modifier.ts";
import { isForeignUrl, readTyped, readValue, splitValues, type SearchValue } from "./value.ts";

/** A search parameter. Repeated parameters stay repeated, in order: all must hold (FHIR R4 §3.1.1.4.3). */
export interface SearchParameter {
  readonly definition: SearchParameterDefinition;
  readonly modifier?: Modifier;
  /** Any of them may match. */
  readonly values: readonly SearchValue[];
}

/**
 * The supported modifiers of FHIR R4 §3.1.1.4.5. For a reference, the modifier's type is part of the value.
 */
export type Modifier = "exact" | "contains" | "not" | "missing" | "above" | "below" | ElementModifier;

/** Conditions on resources of a type: all must hold. */
export interface Criteria {
  readonly type: ResourceType;
  readonly parameters: readonly SearchParameter[];
  readonly joins: readonly Join[];
}

/** A condition on a joined resource, with a single parameter or a further join. */
export interface Join {
  /**
   * `chain`: the row refers through `by` to a resource that meets any of `of` (chained parameter, FHIR R4
   * §3.1.1.4.14). `has`: a resource that meets `of` refers to the row through its own parameter `by` (`_has`,
   * §3.1.1.4.15).
   */
  readonly kind: "chain" | "has";
  readonly by: SearchParameterDefinition;
  /** A chain that names no type has criteria for each type of R4 with the parameter. */
  readonly of: readonly [Criteria, ...Criteria[]];
}

/**
 * `parameter` is a name of the FHIR specification or has the form of a name; a value is never repeated.
 */
export type ConditionRefusal =
  | { readonly reason: "parameter_malformed" }
  | { readonly reason: "parameter_unknown"; readonly parameter: string }
  /**
   * Defined in R4, not supported by this version: special parameters, parameters that read extensions, and the
   * parameters for text and filters.
   */
  | { readonly reason: "parameter_not_supported"; readonly parameter: string }
  | { readonly reason: "modifier_not_supported"; readonly parameter: string }
  /** The chained reference may have several types: `subject:Patient.name`. */
  | { readonly reason: "chain_needs_type"; readonly parameter: string }
  | { readonly reason: "chain_too_long"; readonly parameter: string }
  | { readonly reason: "too_many_values"; readonly parameter: string }
  /** The reference may name a patient, and the value is a URL of another server. */
  | { readonly reason: "reference_to_other_server"; readonly parameter: string }
  | { readonly reason: "parameter_value_malformed"; readonly parameter: string };

const valuesMax = 100;
// The limit for a parameter: each hop is a separate search at the origin.
const hopsMax = 3;

const nameGrammar =
  /^(?<code>_?[A-Za-z][A-Za-z0-9-]{0,63})(?::(?<suffix>[A-Za-z-]{1,64}))?(?:\.(?<rest>[A-Za-z_][A-Za-z0-9.:_-]{0,300}))?$/u;
const hasGrammar =
  /^_has:(?<from>[A-Za-z]{1,64}):(?<by>[A-Za-z_][A-Za-z0-9-]{0,63}):(?<rest>[A-Za-z_][A-Za-z0-9.:_-]{0,300})$/u;

/**
 * Reads a condition on `type`: a parameter, or a join. `base`: the FHIR base that the client calls, for
 * references below it.
 */
export function readCondition(
  type: ResourceType,
  { name, value }: QueryPair,
  base: string | undefined,
  hops = 0,
  isOfAnyType = false,
): Result<SearchParameter | Join, ConditionRefusal> {
  if (name.startsWith("_has:")) return readHas(type, { name, value }, base, hops);
  const { code: parameter, suffix, rest } = nameGrammar.exec(name)?.groups ?? {};
  if (parameter === undefined) return err({ reason: "parameter_malformed" });
  const definition = searchParametersOf(type).get(parameter);
  if (definition === undefined) return err({ reason: "parameter_unknown", parameter });
  if (definition.paths === undefined) return err({ reason: "parameter_not_supported", parameter });
  if (rest === undefined) return readParameter(type, definition, suffix, value, base);

  if (definition.type !== "reference") return err({ reason: "parameter_unknown", parameter });
  if (hops === hopsMax) return err({ reason: "chain_too_long", parameter });
  const targets = targetsOf(definition, suffix, rest);
  if (!targets.ok) return targets;
  const isOfSeveral = targets.value.length > 1;
  // The types of two such hops would multiply.
  if (isOfSeveral && isOfAnyType) return err({ reason: "chain_needs_type", parameter });
  const inner = (target: ResourceType) =>
    readCondition(target, { name: rest, value }, base, hops + 1, isOfSeveral);
  return joined("chain", definition, targets.value, inner);
}

function readHas(
  type: ResourceType,
  { name, value }: QueryPair,
  base: string | undefined,
  hops: number,
): Result<Join, ConditionRefusal> {
  const { from = "", by = "", rest = "" } = hasGrammar.exec(name)?.groups ?? {};
  if (rest === "" || !isResourceType(from)) return err({ reason: "parameter_malformed" });
  if (hops === hopsMax) return err({ reason: "chain_too_long", parameter: "_has" });
  const definition = searchParametersOf(from).get(by);
  if (definition?.type !== "reference" || definition.targets?.has(type) === false)
    return err({ reason: "parameter_unknown", parameter: by });
  if (definition.paths === undefined) return err({ reason: "parameter_not_supported", parameter: by });
  return joined("has", definition, [from], () => readCondition(from, { name: rest, value }, base, hops + 1));
}

/** For these reasons a type has no resource that meets the condition; for any other reason it may have one. */
const unmetReasons: ReadonlySet<ConditionRefusal["reason"]> = new Set([
  "parameter_unknown",
  "modifier_not_supported",
  "parameter_value_malformed",
]);

/** A chain whose types are not all understood is refused: it would lose rows in silence. */
function joined(
  kind: Join["kind"],
  by: SearchParameterDefinition,
  types: readonly ResourceType[],
  inner: (type: ResourceType) => Result<SearchParameter | Join, ConditionRefusal>,
): Result<Join, ConditionRefusal> {
  const all: Criteria[] = [];
  let refused: ConditionRefusal = { reason: "parameter_unknown", parameter: by.code };
  for (const type of types) {
    const read = inner(type);
    if (!read.ok && !unmetReasons.has(read.error.reason)) return read;
    if (!read.ok) refused = read.error;
    else if (isJoin(read.value)) all.push({ type, parameters: [], joins: [read.value] });
    else all.push({ type, parameters: [read.value], joins: [] });
  }
  const [first, ...others] = all;
  return first === undefined ? err(refused) : ok({ kind, by, of: [first, ...others] });
}

export const isJoin = (condition: SearchParameter | Join): condition is Join => "kind" in condition;

/** The types that a chain goes through: the stated type, or the types that have the next parameter. */
function targetsOf(
  { code: parameter, targets }: SearchParameterDefinition,
  suffix: string | undefined,
  rest: string,
): Result<readonly ResourceType[], ConditionRefusal> {
  if (suffix !== undefined) {
    const named = isResourceType(suffix) && targets?.has(suffix) !== false ? suffix : undefined;
    return named === undefined ? err({ reason: "modifier_not_supported", parameter }) : ok([named]);
  }
  if (targets === undefined) return err({ reason: "chain_needs_type", parameter });
  const next = /^[A-Za-z0-9_-]+/u.exec(rest)?.[0] ?? "";
  const all = [...targets].filter((type) => isResourceType(type));
  // `patient` means a Patient, `encounter` an Encounter: R4 defines these parameters for several types at
  // once, with more targets than each has.
  const namesake = all.find((type) => type.toLowerCase() === parameter);
  if (namesake !== undefined) return ok([namesake]);
  const having = all.filter((type) => next === "_has" || searchParametersOf(type).has(next));
  return having.length === 0 ? err({ reason: "parameter_unknown", parameter }) : ok(having);
}

function readParameter(
  type: ResourceType,
  definition: SearchParameterDefinition,
  suffix: string | undefined,
  value: string,
  base: string | undefined,
): Result<SearchParameter, ConditionRefusal> {
  const { code: parameter } = definition;
  if (isElementModifier(suffix)) {
    const other = besideElement(type, definition, suffix);
    if (other === undefined) return err({ reason: "modifier_not_supported", parameter });
    const read = readValues(other, value, (text) =>
      suffix === "of-type" ? readTyped(text) : readValue(text, other, { base, type: undefined }),
    );
    return read.ok ? ok({ definition: other, modifier: suffix, values: read.value }) : read;
  }
  const ofUrl = suffix === undefined || suffix === "above" || suffix === "below";
  const canonical = ofUrl && value.includes(":") ? canonicalParameter(type, definition) : undefined;
  if (canonical !== undefined) return readParameter(type, canonical, suffix, value, base);
  const named =
    suffix !== undefined && definition.type === "reference" && isResourceType(suffix) ? suffix : undefined;
  const modifier =
    named === undefined && suffix !== undefined ? modifierOf(type, definition, suffix) : undefined;
  if (suffix !== undefined && named === undefined && modifier === undefined)
    return err({ reason: "modifier_not_supported", parameter });
  if (modifier === "missing")
    return value === "true" || value === "false"
      ? ok({ definition, modifier, values: [{ kind: "other", text: value }] })
      : err({ reason: "parameter_value_malformed", parameter });
  const isOpen = !mayNamePatient(type, definition);
  const values = readValues(definition, value, (text) =>
    readValue(parameter === "_id" ? bareId(text, type) : text, definition, { base, type: named, isOpen }),
  );
  if (!values.ok)
    return definition.type === "reference" && splitValues(value).some((text) => isForeignUrl(text, base))
      ? err({ reason: "reference_to_other_server", parameter })
      : values;
  return ok({ definition, ...(modifier !== undefined && { modifier }), values: values.value });
}

/** Servers take `Patient?_id=Patient/1`, and so do HAPI's and Medplum's clients. */
const bareId = (text: string, type: ResourceType): string =>
  text.startsWith(`${type}/`) ? text.slice(type.length + 1) : text;

/**
 * True for a reference that may name a patient, or by which whose rows they are is decided: its value is never a URL
 * that this server cannot judge.
 */
const mayNamePatient = (type: ResourceType, { paths, targets }: SearchParameterDefinition): boolean =>
  targets?.has("Patient") !== false ||
  type === "Provenance" ||
  paths?.some((path) => isCompartmentPath(type, path, "any")) === true;

/** The values between the commas, each in the form that `read` knows. */
function readValues(
  { code: parameter }: SearchParameterDefinition,
  value: string,
  read: (text: string) => SearchValue | undefined,
): Result<readonly SearchValue[], ConditionRefusal> {
  const texts = splitValues(value);
  if (texts.length > valuesMax) return err({ reason: "too_many_values", parameter });
  const values = texts.map(read).filter((one) => one !== undefined);
  return values.length < texts.length ? err({ reason: "parameter_value_malformed", parameter }) : ok(values);
}

/**
 * The modifier, but no modifier may invert a search by owner or by id: `patient:not` and `_id:missing`
 * would widen the narrowed search. Tags narrow nothing, so a client may exclude tags; nor do the profile and the
 * source, which are URLs, nor the absence of an element of `meta`.
 */
function modifierOf(
  type: ResourceType,
  { code, type: kind, paths }: SearchParameterDefinition,
  suffix: string,
): Modifier | undefined {
  const isOf = (part: "owner" | "any") => paths?.some((path) => isCompartmentPath(type, path, part)) === true;
  if ((suffix === "above" || suffix === "below") && kind === "uri") return suffix;
  if (suffix === "missing")
    return isOf("owner") || (code.startsWith("_") && !inMeta.has(code)) ? undefined : suffix;
  if (code === "_tag") return suffix === "not" ? suffix : undefined;
  if (code.startsWith("_") || isOf("any")) return undefined;
  if (suffix === "not" && kind === "token") return suffix;
  return (suffix === "exact" || suffix === "contains") && kind === "string" ? suffix : undefined;
}

const inMeta: ReadonlySet<string> = new Set(["_lastUpdated", "_profile", "_security", "_source", "_tag"]);

/** The conditions as an encoded query writes them, from their parsed parts alone. */
export function conditionTexts({
  parameters,
  joins,
}: Pick<Criteria, "parameters" | "joins">): readonly string[] {
  const texts = parameters.map(
    ({ definition, modifier, values }) =>
      `${definition.code}${modifier === undefined ? "" : `:${modifier}`}=${values.map(({ text }) => encodeURIComponent(text)).join(",")}`,
  );
  return [...texts, ...joins.flatMap(joinTexts)];
}

function joinTexts({ kind, by, of: [of, ...others] }: Join): readonly string[] {
  const through = others.length > 0 ? "" : `:${of.type}`;
  const before = kind === "chain" ? `${by.code}${through}.` : `_has:${of.type}:${by.code}:`;
  return conditionTexts(of).map((text) => before + text);
}
