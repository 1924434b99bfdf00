import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { isCodedAs, mayBeCodedAs } from "#policy/view/coding";
import { hiddenPaths } from "#policy/view/hidden";
import { readPath, type PathStep } from "#policy/view/element-path";
import { resolvePath } from "#policy/view/resolve";
import type {
  PolicyDocument,
  PolicyOperation,
  PolicyRule,
  RowCondition,
  RuleInteraction,
  UserRelation,
} from "./schema.ts";
import { showsAll, shownBy, union, type Shown } from "#policy/view/shown";
import { compileView, type ExtensionList, type ObjectView } from "#policy/view/view";

/** A policy made ready: once per digest, then shared by every request. */
export interface CompiledPolicy {
  readonly digest: string;
  /** By what a user is to a patient do `user/` scopes reach that patient's records. */
  readonly users: ReadonlySet<UserRelation>;
  readonly operations: ReadonlySet<PolicyOperation>;
  /** The rules for a type, in the document's order. */
  readonly rulesFor: (type: string) => readonly CompiledRule[];
  /** What these rules show together; each granted it for that very row. */
  readonly viewOf: (type: string, rules: readonly CompiledRule[]) => ResourceView;
}

export interface CompiledRule {
  readonly interactions: ReadonlySet<RuleInteraction>;
  readonly conditions: readonly CompiledCondition[];
  readonly shown: Shown;
  readonly extensions: ExtensionList;
  /** Search parameters that the policy leaves of those which the view allows. */
  readonly search: ReadonlySet<string> | undefined;
  /**
   * References, as `Type:parameter`, by which a row that may be seen opens resources that are no patient's.
   */
  readonly referredBy: ReadonlySet<string>;
}

/** A condition and the path it is about, read. */
type CompiledCondition = RowCondition & {
  readonly elements: readonly string[];
  readonly steps: readonly PathStep[];
};

export interface ResourceView {
  readonly object: ObjectView;
  /**
   * Whether `meta.tag` says SUBSETTED: anything but keep-everything, whatever the instance holds (DESIGN §6).
   */
  readonly subsetted: boolean;
  readonly hidden: readonly string[];
}

/** Compiles a document that `parsePolicyDocument` accepted. `digest` is its `policyDigest`. */
export function compilePolicy(document: PolicyDocument, digest: string): CompiledPolicy {
  const byType = new Map<string, CompiledRule[]>();
  for (const rule of document.rules) {
    const compiled = compileRule(rule);
    for (const type of rule.types) byType.set(type, [...(byType.get(type) ?? []), compiled]);
  }
  const rulesFor = (type: string) => byType.get(type) ?? [];
  const views = new Map<string, ResourceView>();
  return {
    digest,
    users: new Set(document.users),
    operations: new Set(document.operations),
    rulesFor,
    viewOf: (type, rules) => {
      const key = [type, ...rules.map((rule) => rulesFor(type).indexOf(rule))].join();
      const view = views.get(key) ?? unionView(type, rules);
      views.set(key, view); // at most one entry a set of rules of one type
      return view;
    },
  };
}

export function compileRule(rule: PolicyRule): CompiledRule {
  return {
    interactions: new Set(rule.interactions),
    conditions: (rule.where ?? []).map(compileCondition),
    shown: rule.show === "everything" ? showsAll : union(...rule.show.map((path) => shownBy(readPath(path)))),
    extensions: { all: rule.show === "everything", urls: new Set(rule.extensions) },
    search: rule.search === undefined ? undefined : new Set(rule.search),
    referredBy: new Set(rule.referredBy),
  };
}

function compileCondition(condition: RowCondition): CompiledCondition {
  return { ...condition, elements: condition.path.split("."), steps: readPath(condition.path) };
}

function unionView(type: string, rules: readonly CompiledRule[]): ResourceView {
  const extensions = {
    all: rules.some((rule) => rule.extensions.all),
    urls: new Set(rules.flatMap((rule) => [...rule.extensions.urls])),
  };
  const object = compileView(type, union(...rules.map((rule) => rule.shown)), extensions);
  return { object, subsetted: !object.everything, hidden: hiddenPaths(object) };
}

/** Whether a row is one that the rule is about. Where nobody can tell, `in` and `notIn` both say no. */
export function isRowOf(rule: CompiledRule, resource: JsonObject): boolean {
  return rule.conditions.every((condition) => {
    if ("in" in condition) return isCodedAs(valuesAt(resource, condition.elements), condition.in);
    const type = resolvePath(textAt(resource, "resourceType") ?? "", condition.steps);
    return (
      type.ok &&
      leavesAt(resource, condition.elements).every(
        (value) => !mayBeCodedAs(value, type.value, condition.notIn),
      )
    );
  });
}

/**
 * As `valuesAt`, and null for what stands where an object or a list of them should: nothing is skipped for
 * its form.
 */
function leavesAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap((item) => leavesAt(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  return isObject(value) ? leavesAt(property(value, first), below) : [null];
}
