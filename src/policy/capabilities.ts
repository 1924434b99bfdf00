import { type ResourceType, isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import { isSupported } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import { operationsOn, type Operation } from "#fhir/operations";
import type { ServedType } from "#fhir/ports";
import { servedBy, type TypeCapability, type TypeInteraction } from "#fhir/type-capability";
import { usCoreProfiles } from "#fhir/us-core";
import { mayChooseId } from "./chosen-id.ts";
import type { CompiledPolicy } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import { mayBeMasked } from "#policy/search/evaluate-search";
import { evaluateAccounting } from "./evaluate-accounting.ts";
import { evaluateListing } from "./evaluate-listing.ts";
import { evaluateWrite } from "./evaluate-write.ts";
import type { Access } from "./row-access.ts";
import { searchableByRule } from "./relations.ts";

/** What the origin adds to the decision. */
export interface ServingOrigin {
  /** The gateway can delete safely at this origin. If it cannot, it refuses each delete. */
  readonly mayDelete: boolean;
  /** The types of the origin and what it does with them; `undefined`: unknown. */
  readonly types?: ReadonlyMap<string, ServedType> | undefined;
}

/**
 * The interactions that policy ∩ scopes permit this client now and that the origin can do, for each type. The
 * decisions are the same as for its requests; a type without such an interaction is left out.
 */
export function capabilitiesOf(
  policy: CompiledPolicy,
  access: Access,
  { mayDelete, types }: ServingOrigin,
): readonly TypeCapability[] {
  const permitted = r4ResourceTypes
    .filter(isResourceType)
    .map((type) => capabilityOf(policy, access, type, mayDelete));
  const capabilities = types === undefined ? permitted : servedBy(types, permitted);
  const references = capabilities.flatMap(({ type, includes }) => includes.map((name) => ({ name, type })));
  return capabilities
    .filter(({ interactions }) => interactions.length > 0)
    .map(({ type, interactions, parameters, includes, operations, updateCreate = false }) => {
      const revincludes = interactions.includes("search-type") ? leadingTo(type, references) : [];
      return { type, interactions, parameters, includes, revincludes, operations, updateCreate };
    });
}

/**
 * The profiles of US Core that a client is served, by type: of each type that it may read and search, and of
 * which every rule shows all elements. A cut resource may lack an element that a profile must support.
 */
export function usCoreServed(
  policy: CompiledPolicy,
  types: readonly TypeCapability[],
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    types.flatMap(({ type, interactions }): [string, readonly string[]][] => {
      const profiles = usCoreProfiles(type);
      const isServed =
        interactions.includes("read") &&
        interactions.includes("search-type") &&
        policy.rulesTo(type, "read").every((rule) => policy.viewOf(type, [rule]).object.everything);
      return profiles.length > 0 && isServed ? [[type, profiles]] : [];
    }),
  );
}

function leadingTo(
  type: string,
  references: readonly { readonly name: string; readonly type: string }[],
): readonly string[] {
  return references.flatMap(({ name, type: source }) => {
    const definition = searchParametersOf(source).get(name.slice(source.length + 1));
    return definition?.targets?.has(type) === true ? [name] : [];
  });
}

function capabilityOf(
  policy: CompiledPolicy,
  access: Access,
  type: ResourceType,
  mayDelete: boolean,
): TypeCapability {
  const id = "any"; // type and policy alone decide
  const search = evaluate(policy, access, { kind: "search", ...searchOf(type), includes: [] });
  const withIncludes = evaluate(policy, access, {
    kind: "search",
    ...searchOf(type),
    includes: [{ direction: "include", iterate: false, source: type, parameter: "*", target: undefined }],
  });
  const history = { kind: "history", type, since: undefined, at: undefined, count: undefined } as const;
  const writes = mayDelete ? (["update", "patch", "delete"] as const) : (["update", "patch"] as const);
  const may: readonly (readonly [TypeInteraction, boolean])[] = [
    ["read", evaluate(policy, access, { kind: "read", type, id }).ok],
    ["vread", evaluate(policy, access, { kind: "vread", type, id, version: id }).ok],
    ["history-instance", evaluateListing(policy, access, { ...history, id }).ok],
    ["history-type", evaluateListing(policy, access, { ...history, id: undefined }).ok],
    ["search-type", search.ok],
    ["create", evaluateWrite(policy, access, { kind: "create", type }).ok],
    ...writes.map((kind) => [kind, evaluateWrite(policy, access, { kind, type, id }).ok] as const),
  ];
  // A form answers no version and no history.
  const isInForm = (name: TypeInteraction) =>
    policy.form === undefined || /^(?:read|search-type)$/u.test(name);
  const interactions = may.flatMap(([name, isGranted]) => (isGranted && isInForm(name) ? [name] : []));
  const isUsable = interactions.length > 0;
  return {
    type,
    interactions,
    parameters: search.ok ? parametersOf(policy, access, type) : [],
    includes: withIncludes.ok ? [...new Set(withIncludes.value.includes.map(({ name }) => name))] : [],
    revincludes: [], // the includes of further types that lead back; known when all types are
    operations: isUsable ? operationsOf(policy, access, type) : [],
    ...(interactions.includes("create") &&
      mayChooseId(policy, access, type, access.idPrefix ?? "") && { updateCreate: true }),
  };
}

const searchOf = (type: ResourceType) => ({
  type,
  parameters: [],
  joins: [],
  sort: [],
  count: undefined,
  posted: false,
});

function parametersOf(policy: CompiledPolicy, access: Access, type: string): TypeCapability["parameters"] {
  const rules = policy.rulesTo(type, "search");
  const known = [...searchParametersOf(type).values()].filter(
    (definition) => isSupported(definition) && !mayBeMasked(access, type, definition),
  );
  return known.flatMap((definition): TypeCapability["parameters"] => {
    const kinds = rules.map((rule) => searchableByRule(policy, type, rule, definition).kind);
    if (kinds.includes("free")) return [{ definition, named: false }];
    return kinds.includes("named") ? [{ definition, named: true }] : [];
  });
}

function operationsOf(policy: CompiledPolicy, access: Access, type: string): readonly Operation[] {
  const everything = {
    kind: "everything",
    within: "operation",
    type: "Patient",
    id: "any",
    types: undefined,
    since: undefined,
    start: undefined,
    end: undefined,
    count: undefined,
  } as const;
  const isAllowed: Readonly<Record<Operation, () => boolean>> = {
    everything: () => evaluateListing(policy, access, everything).ok,
    lastn: () =>
      evaluateListing(policy, access, { kind: "lastn", ...searchOf("Observation"), includes: [], max: 1 }).ok,
    validate: () => policy.operations.has("validate"),
    fileConsent: () =>
      policy.operations.has("fileConsent") &&
      evaluateWrite(policy, access, { kind: "create", type: "Consent" }).ok,
    revokeConsent: () =>
      policy.operations.has("revokeConsent") &&
      evaluateWrite(policy, access, { kind: "patch", type: "Consent", id: "any" }).ok,
    disclosures: () =>
      ["PATRQT", "HOPERAT"].some(
        (purpose) => evaluateAccounting(policy, access, { purpose, asked: { id: "any" } }).ok,
      ),
  };
  return operationsOn(type).filter((name) => isAllowed[name]());
}
