import { readInteraction, isListing, isReading } from "#fhir/interaction";
import { compilePolicy } from "#policy/compile";
import { evaluateListing } from "#policy/evaluate-listing";
import { evaluate } from "#policy/evaluate";
import type { Access } from "#policy/row-access";
import { parsePolicyDocument } from "#policy/document";
import type { PolicyDocument, PolicyExample, PolicyRule, RuleInteraction } from "#policy/schema";
import { proveExamples } from "./prove-examples.ts";
import { permitsNoMore } from "./diff.ts";
import { shownOfLeft } from "./shown-of-left.ts";
import { conditionsBeyond } from "./search-diff.ts";

/** The use that was made of a grant, from records. */
export interface PolicyUse {
  /** The interactions by type. A type of which a row left has `read`; an included type `read` and `search`. */
  readonly types: ReadonlyMap<string, ReadonlySet<RuleInteraction>>;
  /** The operations that were called, without `$`. */
  readonly operations: ReadonlySet<string>;
  /** Each distinct GET below the FHIR base that was answered: `Observation?code=…`. */
  readonly requests: readonly string[];
  /** The element paths of which a value left, as `Type.path`, if nearly all answers were measured. */
  readonly elements?: ReadonlySet<string> | undefined;
}

/** A policy without the permissions that the use does not need. */
export interface NarrowedPolicy {
  readonly policy: PolicyDocument;
  /** The dropped permissions, in words. Empty: the policy has nothing that was not used. */
  readonly dropped: readonly string[];
}

/**
 * The policy without the types, interactions and operations that were not used, and without the elements of which no
 * value left, if the elements were measured. The gateway's decision about each request of the use is made again: a
 * narrower policy that refuses a permitted request keeps the elements of the types that were asked, and then the
 * types that reading needs. A narrower policy also gives no scope back. (A condition of a scope counts only if each rule of the type
 * shows its elements, so a dropped rule may make the condition count.) The result is `undefined` if no narrower
 * policy is known.
 */
export function narrowPolicy(policy: PolicyDocument, use: PolicyUse): NarrowedPolicy | undefined {
  if (use.types.size === 0) return undefined;
  for (const needed of [use, withEachType(policy, use)]) {
    const narrowed = use.elements && withFewerElements(policy, { ...needed, elements: use.elements });
    if (narrowed !== undefined) return narrowed;
    const whole = narrowedTo(policy, { ...needed, elements: undefined });
    if (whole !== undefined && isGood(whole, policy, use)) return whole;
  }
  return undefined;
}

const isGood = ({ policy: narrower }: NarrowedPolicy, policy: PolicyDocument, use: PolicyUse): boolean =>
  !givesScopeBack(policy, narrower) && refusedOf(narrower, policy, use).length === 0;

/** As `narrowPolicy`, with the elements of every type whose requests do not need more. */
function withFewerElements(
  policy: PolicyDocument,
  use: PolicyUse & { readonly elements: ReadonlySet<string> },
): NarrowedPolicy | undefined {
  let elements = use.elements;
  // Each turn keeps the elements of a further type.
  for (let turn = 0; turn < turnsMax; turn++) {
    const narrowed = narrowedTo(policy, { ...use, elements });
    if (narrowed === undefined || givesScopeBack(policy, narrowed.policy)) return undefined;
    const refused = refusedOf(narrowed.policy, policy, use);
    if (refused.length === 0) return permitsNoMore(policy, narrowed.policy) ? narrowed : undefined;
    const types = new Set(refused.map((request) => request.split(/[/?]/u, 1)[0] ?? ""));
    const fewer = new Set([...elements].filter((path) => !types.has(typeOf(path))));
    if (fewer.size === elements.size) return undefined;
    elements = fewer;
  }
  return undefined;
}

const turnsMax = 20;
const typeOf = (path: string): string => path.slice(0, path.indexOf("."));

function givesScopeBack(before: PolicyDocument, after: PolicyDocument): boolean {
  const [wide, narrow] = [compilePolicy(before, ""), compilePolicy(after, "")];
  const types = new Set(after.rules.flatMap((rule) => rule.types));
  return [...types].some((type) => conditionsBeyond(type, narrow, wide).length > 0);
}

/** The requests that the first policy refuses and the second permits. */
export function refusedOf(
  narrower: PolicyDocument,
  policy: PolicyDocument,
  { requests }: Pick<PolicyUse, "requests">,
): readonly string[] {
  const [mayNow, mayBefore] = [permits(narrower), permits(policy)];
  return requests.filter((request) => mayBefore(request) && !mayNow(request));
}

function permits(document: PolicyDocument): (request: string) => boolean {
  const policy = compilePolicy(document, "");
  const access: Access = {
    scopes: [{ context: "system", type: "*", permissions: ["c", "r", "u", "d", "s"], filters: [] }],
    patient: undefined,
    purpose: document.purposes[0] ?? "",
    consents: "given",
  };
  return (request) => {
    const [path = "", query = ""] = request.split("?", 2);
    const interaction = readInteraction("GET", path.split("/"), query);
    if (!interaction.ok) return false;
    if (isListing(interaction.value)) return evaluateListing(policy, access, interaction.value).ok;
    return isReading(interaction.value) && evaluate(policy, access, interaction.value).ok;
  };
}

/** A use that reads and searches each type of the policy: only unused writes and operations are dropped then. */
const withEachType = ({ rules }: PolicyDocument, use: PolicyUse): PolicyUse => ({
  ...use,
  types: new Map(
    rules
      .flatMap(({ types }) => types)
      .map((type) => [type, new Set([...(use.types.get(type) ?? []), "read" as const, "search" as const])]),
  ),
});

function narrowedTo(policy: PolicyDocument, use: PolicyUse): NarrowedPolicy | undefined {
  const dropped = new Set<string>();
  const rules = policy.rules
    .flatMap((rule) => narrowedRules(rule, use, dropped))
    .flatMap((rule) => (use.elements === undefined ? [rule] : fewerShown(rule, use.elements, dropped)));
  const operations = policy.operations?.filter((name) => use.operations.has(name));
  for (const name of policy.operations ?? []) if (!use.operations.has(name)) dropped.add(`operation ${name}`);
  if (rules.length === 0) return undefined;
  const { operations: _all, ...rest } = policy;
  const draft: PolicyDocument = {
    ...rest,
    ...(operations !== undefined && operations.length > 0 && { operations }),
    rules,
  };
  const proven = withTrueExamples(draft);
  return proven === undefined ? undefined : { policy: proven, dropped: [...dropped] };
}

/** A rule for each group of types with the same used interactions. */
function narrowedRules(rule: PolicyRule, use: PolicyUse, dropped: Set<string>): readonly PolicyRule[] {
  const groups = new Map<string, PolicyRule["types"]>();
  for (const type of rule.types) {
    const used = rule.interactions.filter((each) => use.types.get(type)?.has(each));
    if (used.length === 0) dropped.add(type);
    else for (const each of rule.interactions) if (!used.includes(each)) dropped.add(`${type}: ${each}`);
    const key = used.join(" ");
    if (used.length > 0) groups.set(key, [...(groups.get(key) ?? []), type]);
  }
  return [...groups].map(([key, types]) => {
    const interactions = rule.interactions.filter((each) => key.split(" ").includes(each));
    const { deletes, ...rest } = rule;
    const kept = interactions.includes("delete") && deletes !== undefined ? { deletes } : {};
    return Object.assign({}, rest, kept, { types, interactions });
  });
}

/** A rule for each group of types with the same elements left. A rule that writes keeps its elements. */
function fewerShown(
  rule: PolicyRule,
  elements: ReadonlySet<string>,
  dropped: Set<string>,
): readonly PolicyRule[] {
  if (rule.interactions.some((each) => each !== "read" && each !== "search")) return [rule];
  const groups = new Map<
    string,
    { readonly show: PolicyRule["show"]; readonly types: PolicyRule["types"] }
  >();
  for (const type of rule.types) {
    const { show, hidden } = shownOfLeft(type, rule.show, elements);
    for (const each of hidden) dropped.add(`${type}: ${each}`);
    const key = JSON.stringify(show);
    groups.set(key, { show, types: [...(groups.get(key)?.types ?? []), type] });
  }
  return [...groups.values()].map(({ show, types }) => Object.assign({}, rule, { show, types }));
}

/** The document with the examples that hold, and for a rule without such an example a new one. */
function withTrueExamples(draft: PolicyDocument): PolicyDocument | undefined {
  const untrue = new Set(proveExamples(draft).map(({ pointer }) => pointer));
  const document: PolicyDocument = {
    ...draft,
    rules: draft.rules.map((rule, i) => {
      const examples = rule.examples.filter(
        (example, j) => !untrue.has(`/rules/${i}/examples/${j}`) && isOfTypes(example, rule.types),
      );
      return Object.assign({}, rule, { examples: examples.length > 0 ? examples : [exampleOf(rule)] });
    }),
  };
  const read = parsePolicyDocument(JSON.parse(JSON.stringify(document)));
  return read.ok && proveExamples(read.value).length === 0 ? read.value : undefined;
}

function isOfTypes(example: PolicyExample, types: readonly string[]): boolean {
  if (!("request" in example)) return true; // `proveExamples` checks its type
  return types.some((type) => example.request.split(/[/?]/u)[0] === type);
}

function exampleOf({ types: [type], interactions }: PolicyRule): PolicyExample {
  return interactions.includes("read")
    ? {
        says: `The resource ${String(type)} is read by its id.`,
        request: `${String(type)}/example`,
        is: "permitted",
      }
    : {
        says: `The resource ${String(type)} is not read by its id.`,
        request: `${String(type)}/example`,
        is: "refused",
      };
}
