import type { ConsentApi } from "#policy/consent/consent";
import type { Operation } from "#fhir/operations";
import { Facts } from "#fhir/json/facts";
import { memo } from "#kernel/memo";
import { workOf } from "#fhir/search/row-work";
import { isArray, isObject, property, textAt, valuesAt, type Json } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { CodeList, possibleCodes, type PossibleCodes } from "#policy/view/code-list";
import { codesOf } from "#policy/view/coding";
import { hiddenPaths } from "#policy/view/hidden";
import { readPath, type PathStep } from "#policy/view/element-path";
import { resolvePath } from "#policy/view/resolve";
import { defaultBase } from "./consent/consent-book.ts";
import type { ConsentPolicy } from "./consent/decide-by-consents.ts";
import { compileLabels, type CompiledLabels } from "./labels.ts";
import type {
  PolicyConsent,
  PolicyDataPeriod,
  PolicyDocument,
  PolicyForm,
  PolicyRule,
  RowCondition,
  RuleInteraction,
  UserRelation,
} from "./schema.ts";
import { showsAll, shownBy, union, type Shown } from "#policy/view/shown";
import { compileView, type ExtensionList, type ObjectView } from "#policy/view/view";

/** A policy ready for use: compiled once for each digest, then shared by every request. */
export interface CompiledPolicy {
  readonly digest: string;
  readonly purposes: readonly string[];
  /** The relations by which `user/` scopes cover a patient's records. */
  readonly users: ReadonlySet<UserRelation>;
  readonly operations: ReadonlySet<Operation>;
  /** A Consent that the client writes may permit. */
  readonly isConsentRegistrar: boolean;
  /** A Provenance that the client writes may record an amendment. */
  readonly isAmendmentRegistrar: boolean;
  /** The API of a payer that the policy serves. */
  readonly consentApi?: ConsentApi | undefined;
  readonly labels: CompiledLabels;
  /** The service dates of the rows that leave; undefined: all. */
  readonly dataPeriod?: PolicyDataPeriod | undefined;
  /** The form of 45 CFR 164.514 in which the rows leave; undefined: as the view shows them. */
  readonly form?: PolicyForm | undefined;
  /** The number of patients beyond the access of its author that a write may newly name. */
  readonly namesBeyondAccess: number;
  /** How Consents decide about the rows of a rule; without a rule, about labels. */
  readonly consentFor: (purpose: string | undefined, rule?: CompiledRule) => ConsentPolicy;
  /** The rules for a type, in the document's order. */
  readonly rulesFor: (type: string) => readonly CompiledRule[];
  /** The rules for a type that grant an interaction: the same list for the same question. */
  readonly rulesTo: (type: string, interaction: RuleInteraction) => readonly CompiledRule[];
  /** The combined view of these rules, each of which covers the row: the same view for the same rules. */
  readonly viewOf: (type: string, rules: readonly CompiledRule[]) => ResourceView;
  /** The element paths that any of these rules hides. */
  readonly withheldBy: (type: string, rules: readonly CompiledRule[]) => readonly string[];
}

export interface CompiledRule {
  /** Its place in the document (RFC 6901). */
  readonly place: string;
  readonly interactions: ReadonlySet<RuleInteraction>;
  readonly conditions: readonly CompiledCondition[];
  readonly shown: Shown;
  readonly extensions: ExtensionList;
  /** The search parameters of the view that the policy leaves; `undefined`: all. */
  readonly search: ReadonlySet<string> | undefined;
  /**
   * The references, as `Type:parameter`, by which a visible row opens resources that no patient owns; also the
   * references by which such a resource refers to a visible resource ({@link backwards}).
   */
  readonly referredBy: ReadonlySet<string>;
  /** These references, and the references of the same elements by a further name (`Appointment:practitioner`). */
  readonly openedBy: ReadonlySet<string>;
  /** The rule opens such resources without a reference (`referredBy: ["*"]`). */
  readonly isDirectory: boolean;
  readonly consent: PolicyConsent | undefined;
}

/** The name of a reference that opens the resource that has it, and not the resource that it leads to. */
export const backwards = (name: string): string => `refersTo ${name}`;

/** The further references of a type that read no element beyond those of this reference. */
function namesOfSame(name: string): readonly string[] {
  const [source = "", code = ""] = name.split(":");
  const parameters = searchParametersOf(source);
  const all = new Set(parameters.get(code)?.paths?.map((path) => path.join(".")));
  return [...parameters.values()].flatMap(({ type, code: other, paths }) =>
    type === "reference" && paths?.length && paths.every((path) => all.has(path.join(".")))
      ? [`${source}:${other}`]
      : [],
  );
}

/** A condition with its path and its codes prepared. */
export type CompiledCondition = RowCondition & {
  readonly elements: readonly string[];
  readonly steps: readonly PathStep[];
  readonly at: ConditionPath;
  readonly codes: CodeList;
};

/** A path of conditions: one for all conditions with the same path, so that a row's codes at it are read once. */
class ConditionPath {
  readonly elements: readonly string[];
  readonly steps: readonly PathStep[];
  readonly #types = new Map<string, string | undefined>();

  constructor(path: string) {
    this.elements = path.split(".");
    this.steps = readPath(path);
  }

  /** The R4 type at the path in rows of a type. */
  typeIn(type: string): string | undefined {
    if (!this.#types.has(type)) {
      const resolved = resolvePath(type, this.steps);
      const found = resolved.ok ? resolved.value : undefined;
      if (!isResourceType(type)) return found; // an unknown type must not fill the memory
      this.#types.set(type, found);
    }
    return this.#types.get(type);
  }
}

// 512: the schema allows 20 conditions for a rule, and most of them are on a handful of paths.
const pathOf = memo(512, (path) => new ConditionPath(path));

export interface ResourceView {
  readonly object: ObjectView;
  /**
   * Answers whether `meta.tag` says SUBSETTED: every view but `show: everything`, whatever the instance
   * holds.
   */
  readonly subsetted: boolean;
  readonly hidden: readonly string[];
}

/** Each name costs the patient a line in the accounting for each reader of the row. */
export const namesBeyondAccess = 20;

/** Compiles a document that `parsePolicyDocument` accepted. `digest` is its `policyDigest`. */
export function compilePolicy(document: PolicyDocument, digest: string): CompiledPolicy {
  const byType = new Map<string, CompiledRule[]>();
  for (const [index, rule] of document.rules.entries()) {
    const compiled = compileRule(rule, `/rules/${index}`);
    for (const type of rule.types) byType.set(type, [...(byType.get(type) ?? []), compiled]);
  }
  const rulesFor = (type: string) => byType.get(type) ?? none;
  const labels = compileLabels(document.labels);
  const granting = new Map<string, readonly CompiledRule[]>();
  const viewOf = byRules((type, rules) => unionView(type, rules, document.form !== undefined));
  const hiddenBy = (type: string, rules: readonly CompiledRule[]) => [
    ...new Set(rules.flatMap((rule) => viewOf(type, [rule]).hidden)),
  ];
  return {
    digest,
    purposes: document.purposes,
    users: new Set(document.users),
    operations: new Set(document.operations),
    isConsentRegistrar: document.consentRegistrar === true,
    isAmendmentRegistrar: document.amendmentRegistrar === true,
    consentApi: document.consent?.api,
    labels,
    dataPeriod: document.dataPeriod,
    form: document.form,
    namesBeyondAccess: document.namesBeyondAccess ?? namesBeyondAccess,
    consentFor: (purpose, rule) => ({
      base: rule?.consent?.base ?? document.consent?.base ?? defaultBase(purpose),
      combining: rule?.consent?.combining ?? document.consent?.combining ?? "deny-overrides",
      generalOpens: labels.generalOpens,
    }),
    rulesFor,
    rulesTo: (type, interaction) => {
      const all = rulesFor(type);
      if (all.length === 0) return all; // an unknown type must not fill the memory
      const key = `${type} ${interaction}`;
      const rules = granting.get(key) ?? all.filter((rule) => rule.interactions.has(interaction));
      granting.set(key, rules);
      return rules;
    },
    viewOf,
    withheldBy: byRules(hiddenBy),
  };
}

const none: readonly CompiledRule[] = [];

interface Step<Value> {
  readonly next: Map<CompiledRule, Step<Value>>;
  made: { readonly value: Value } | undefined;
}

/** Remembers what follows from rules of one type, by the rules: at most one value for each list of rules. */
function byRules<Value>(
  make: (type: string, rules: readonly CompiledRule[]) => Value,
): (type: string, rules: readonly CompiledRule[]) => Value {
  const types = new Map<string, Step<Value>>();
  return (type, rules) => {
    let step = stepAt(types, type);
    for (const rule of rules) step = stepAt(step.next, rule);
    step.made ??= { value: make(type, rules) };
    return step.made.value;
  };
}

function stepAt<Key, Value>(steps: Map<Key, Step<Value>>, key: Key): Step<Value> {
  let step = steps.get(key);
  if (step === undefined) {
    step = { next: new Map(), made: undefined };
    steps.set(key, step);
  }
  return step;
}

export function compileRule(rule: PolicyRule, place = "/rules"): CompiledRule {
  const referredBy = new Set([...(rule.referredBy ?? []), ...(rule.refersTo ?? []).map(backwards)]);
  return {
    place,
    interactions: new Set(rule.interactions),
    conditions: (rule.where ?? []).map(compileCondition),
    shown: rule.show === "everything" ? showsAll : union(rule.show.map((path) => shownBy(readPath(path)))),
    extensions: { all: rule.show === "everything", urls: new Set(rule.extensions) },
    search: rule.search === undefined ? undefined : new Set(rule.search),
    referredBy,
    openedBy: new Set([...referredBy, ...[...referredBy].flatMap(namesOfSame)]),
    isDirectory: rule.referredBy?.includes("*") === true,
    consent: rule.consent,
  };
}

function compileCondition(condition: RowCondition): CompiledCondition {
  const at = pathOf(condition.path);
  const codes = new CodeList("in" in condition ? condition.in : condition.notIn);
  return { ...condition, elements: at.elements, steps: at.steps, at, codes };
}

/** @param beforeForm a form would withhold a row with a modifier extension: its view hides the row, as it hides others. */
function unionView(type: string, rules: readonly CompiledRule[], beforeForm: boolean): ResourceView {
  const extensions = {
    all: rules.some((rule) => rule.extensions.all),
    urls: new Set(rules.flatMap((rule) => [...rule.extensions.urls])),
    beforeForm,
  };
  const object = compileView(type, union(rules.map((rule) => rule.shown)), extensions);
  return { object, subsetted: !object.everything, hidden: hiddenPaths(object) };
}

/**
 * Answers whether a rule covers a row. If a code cannot be read with certainty, `in` and `notIn` both say no.
 */
export const isRowOf = ({ conditions }: CompiledRule, resource: Facts): boolean =>
  conditions.every((condition) => meetsCondition(condition, resource));

/** Answers whether a row meets a condition. Its codes are read once for all conditions. */
export function meetsCondition(condition: CompiledCondition, resource: Facts): boolean {
  const { at } = condition;
  const work = Facts.workOn(resource);
  const known = work.read(at) as RowCodes | undefined;
  return (known ?? work.keep(at, new RowCodes(resource, at))).meet(condition);
}

/** The codes of a row at a path, each form read once for all conditions. */
class RowCodes {
  readonly #row: Facts;
  readonly #at: ConditionPath;
  #written: readonly string[] | undefined;
  #possible: PossibleCodes | undefined;

  constructor(row: Facts, at: ConditionPath) {
    this.#row = row;
    this.#at = at;
  }

  /** Costs no units beside the reading of the codes: the policy bounds its conditions, and no row does. */
  meet(condition: CompiledCondition): boolean {
    const { codes } = condition;
    if ("in" in condition) return this.#writtenCodes.some((code) => codes.has(code));
    const possible = this.#possibleCodes;
    return possible !== undefined && !codes.mayHave(possible);
  }

  /** The codes as they are written. */
  get #writtenCodes(): readonly string[] {
    if (this.#written === undefined) {
      this.#written = codesOf(valuesAt(this.#row, this.#at.elements));
      Facts.workOn(this.#row).spend(this.#written.length * workOf.key);
    }
    return this.#written;
  }

  /** The meanings of the codes; undefined: the path leads nowhere in rows of the type. */
  get #possibleCodes(): PossibleCodes | undefined {
    if (this.#possible === undefined) {
      const type = this.#at.typeIn(textAt(this.#row, "resourceType") ?? "");
      if (type === undefined) return undefined;
      this.#possible = possibleCodes(leavesAt(this.#row, this.#at.elements), type);
      const { codings, plain } = this.#possible;
      Facts.workOn(this.#row).spend((codings.length + plain.length) * workOf.key);
    }
    return this.#possible;
  }
}

/**
 * Like `valuesAt`, with null for a value that stands in place of an object or a list: no value is skipped for
 * its form.
 */
function leavesAt(value: Json | undefined, path: readonly string[]): readonly Json[] {
  if (value === undefined) return [];
  if (isArray(value)) return value.flatMap((item) => leavesAt(item, path));
  const [first, ...below] = path;
  if (first === undefined) return [value];
  return isObject(value) ? leavesAt(property(value, first), below) : [null];
}
