import { r4ResourceTypes } from "#fhir/r4/elements";
import { err, ok, type Result } from "#kernel/result";
import { compilePolicy, type CompiledPolicy, type CompiledRule } from "#policy/compile";
import { rowKinds, type RowKind } from "./row-kinds.ts";
import { ruleInteractions, type PolicyDocument, type RuleInteraction } from "#policy/schema";
import { conditionsBeyond, includesBeyond, referencesOf, searchesBeyond } from "./search-diff.ts";
import { diffTerms, type TermsDifference } from "./terms-diff.ts";
import { diffViews, shownPaths } from "#policy/view/view-diff";

/** A permission that the second of two policies grants beyond the first (`more`), or no longer (`less`). */
export interface PolicyDifference {
  readonly change: "more" | "less";
  /** `undefined`: a difference of the policy as a whole. */
  readonly type: string | undefined;
  /** The interactions concerned, in the order of {@link ruleInteractions}. */
  readonly interactions: readonly RuleInteraction[];
  readonly what:
    | "purpose"
    | "user relation"
    | "operation"
    | "data period"
    | "interaction"
    | "element"
    | "parameter"
    | "include"
    | "referred by"
    | "old version"
    | "time of history"
    | "condition of a scope"
    | TermsDifference["what"];
  /** An element path, a parameter, a reference, a code … For an interaction: the elements that it shows. */
  readonly name: string;
  /** The rows concerned; `undefined`: all granted rows. */
  readonly rows: string | undefined;
}

/** Thrown if a type has too many kinds of rows to compare. */
class TooManyKinds extends Error {}

/** The differences, or why the two policies cannot be compared. */
export function comparePolicies(
  before: PolicyDocument,
  after: PolicyDocument,
): Result<readonly PolicyDifference[], string> {
  try {
    return ok(diffPolicies(before, after));
  } catch (fault) {
    if (fault instanceof TooManyKinds) return err(fault.message);
    throw fault;
  }
}

/** True if the second policy is known to permit no more than the first. */
export function permitsNoMore(before: PolicyDocument, after: PolicyDocument): boolean {
  const compared = comparePolicies(before, after);
  return compared.ok && compared.value.every((difference) => difference.change === "less");
}

/**
 * The differences between the grants of two policies. It compares the engine's decisions, not the words: two
 * documents with equal grants have no differences. It compares rows by their kinds, elements by the
 * compiled views, and the terms of consent and labels by their fields. A field that it does not know differs as
 * a permission beyond the first policy.
 */
export function diffPolicies(before: PolicyDocument, after: PolicyDocument): readonly PolicyDifference[] {
  const [a, b] = [compilePolicy(before, "a"), compilePolicy(after, "b")];
  const whole = (what: PolicyDifference["what"], left: Iterable<string>, right: Iterable<string>) =>
    change(undefined, [], what, undefined, beyond(right, left), beyond(left, right));
  return [
    ...whole("purpose", before.purposes, after.purposes),
    ...whole("user relation", a.users, b.users),
    ...whole("operation", a.operations, b.operations),
    ...whole("data period", periodOf(before), periodOf(after)),
    ...diffTerms(before, after),
    ...r4ResourceTypes.flatMap((type) => gathered(diffType(type, a, b))),
  ];
}

function periodOf({ dataPeriod }: PolicyDocument): readonly string[] {
  if (dataPeriod === undefined) return ["rows of every date"];
  return [
    "since" in dataPeriod ? `rows since ${dataPeriod.since}` : `rows of the last ${dataPeriod.years} years`,
  ];
}

const beyond = (all: Iterable<string>, known: Iterable<string>): readonly string[] => {
  const knownNames = new Set(known);
  return [...new Set(all)].filter((name) => !knownNames.has(name));
};

function change(
  type: string | undefined,
  interactions: readonly RuleInteraction[],
  what: PolicyDifference["what"],
  rows: string | undefined,
  more: readonly string[],
  less: readonly string[],
): readonly PolicyDifference[] {
  const each = (change: "more" | "less", names: readonly string[]) =>
    names.map((name): PolicyDifference => ({ change, type, interactions, what, name, rows }));
  return [...each("more", more), ...each("less", less)];
}

function diffType(type: string, a: CompiledPolicy, b: CompiledPolicy): readonly PolicyDifference[] {
  const all = [...a.rulesFor(type), ...b.rulesFor(type)];
  if (all.length === 0) return [];
  const kinds = rowKinds(type, all);
  if (kinds === undefined)
    throw new TooManyKinds(
      `${type}: the rules distinguish too many kinds of rows to compare; simplify their conditions`,
    );
  const differences = [
    ...ruleInteractions.flatMap((interaction) => diffInteraction({ type, a, b, kinds, interaction })),
    ...diffReferred(type, a, b, kinds),
    ...diffOfType(type, a, b),
  ];
  // A condition that comes or goes with an element or a rule is the same news.
  const conditions = change(
    type,
    [],
    "condition of a scope",
    undefined,
    conditionsBeyond(type, b, a),
    conditionsBeyond(type, a, b),
  ).filter((condition) => !differences.some((known) => known.change === condition.change));
  return [...differences, ...conditions];
}

interface Compared {
  readonly type: string;
  readonly a: CompiledPolicy;
  readonly b: CompiledPolicy;
  readonly kinds: readonly RowKind[];
  readonly interaction: RuleInteraction;
}

function diffInteraction({ type, a, b, kinds, interaction }: Compared): readonly PolicyDifference[] {
  const grants = (policy: CompiledPolicy, { under }: Pick<RowKind, "under">) =>
    policy.rulesFor(type).filter((rule) => under.has(rule) && rule.interactions.has(interaction));
  const granted = kinds.filter((kind) => grants(a, kind).length + grants(b, kind).length > 0);
  const differences = granted.flatMap((kind) => {
    const [grantedBefore, grantedAfter] = [grants(a, kind), grants(b, kind)];
    const rows = granted.length === 1 ? undefined : kind.says;
    const views = diffViewsOf({ type, a, b, interaction }, grantedBefore, grantedAfter, rows);
    if (interaction !== "search" || grantedBefore.length === 0 || grantedAfter.length === 0) return views;
    const found = change(
      type,
      [interaction],
      "parameter",
      rows,
      searchesBeyond(type, [b, grantedAfter], [a, grantedBefore]),
      searchesBeyond(type, [a, grantedBefore], [b, grantedAfter]),
    );
    return [...views, ...found];
  });
  if (interaction !== "read" || differences.length > 0) return joined(differences, granted.length);
  // An old version leaves by the rules that cover both it and the current row: two policies may agree about
  // every current row and still differ about old versions.
  return granted.flatMap((now) =>
    granted.flatMap((old) => {
      const both = { under: new Set([...now.under].filter((rule) => old.under.has(rule))) };
      const views = diffViewsOf({ type, a, b, interaction }, grants(a, both), grants(b, both), undefined);
      const namesOf = (wanted: PolicyDifference["change"]) =>
        views.flatMap((view) => (view.change === wanted ? [view.name] : []));
      return change(
        type,
        [interaction],
        "old version",
        `now ${now.says}; then ${old.says}`,
        namesOf("more"),
        namesOf("less"),
      );
    }),
  );
}

/** A difference that all kinds of rows share is listed once. */
function joined(differences: readonly PolicyDifference[], kinds: number): readonly PolicyDifference[] {
  const alike = Map.groupBy(differences, ({ change, what, name }) => [change, what, name].join("\n"));
  return [...alike.values()].flatMap((same) => {
    const [first] = same;
    return first === undefined || same.length < kinds ? same : Object.assign({}, first, { rows: undefined });
  });
}

function diffViewsOf(
  { type, a, b, interaction }: Omit<Compared, "kinds">,
  grantedBefore: readonly CompiledRule[],
  grantedAfter: readonly CompiledRule[],
  rows: string | undefined,
): readonly PolicyDifference[] {
  const shown = (policy: CompiledPolicy, rules: readonly CompiledRule[]) => [
    shownPaths(policy.viewOf(type, rules).object).join(", "),
  ];
  if (grantedBefore.length === 0 && grantedAfter.length === 0) return [];
  if (grantedBefore.length === 0)
    return change(type, [interaction], "interaction", rows, shown(b, grantedAfter), []);
  if (grantedAfter.length === 0)
    return change(type, [interaction], "interaction", rows, [], shown(a, grantedBefore));
  const { more, less } = diffViews(a.viewOf(type, grantedBefore).object, b.viewOf(type, grantedAfter).object);
  return change(type, [interaction], "element", rows, more, less);
}

/** The references that open resources without an owner, and the elements that leave by them. */
function diffReferred(
  type: string,
  a: CompiledPolicy,
  b: CompiledPolicy,
  kinds: readonly RowKind[],
): readonly PolicyDifference[] {
  const names = new Set<string>();
  for (const { referredBy } of [...a.rulesFor(type), ...b.rulesFor(type)])
    for (const name of referredBy) names.add(name);
  return [...names].flatMap((name) => {
    const by = (policy: CompiledPolicy, { under }: RowKind) =>
      policy
        .rulesFor(type)
        .filter((rule) => under.has(rule) && rule.referredBy.has(name) && rule.interactions.has("read"));
    const granted = kinds.filter((kind) => by(a, kind).length + by(b, kind).length > 0);
    return granted.flatMap((kind) => {
      const rows = granted.length === 1 ? undefined : kind.says;
      const views = diffViewsOf({ type, a, b, interaction: "read" }, by(a, kind), by(b, kind), rows);
      return views.flatMap((view) => {
        const entry = view.what === "interaction" ? name : `${name}: ${view.name}`;
        return change(
          type,
          ["read"],
          "referred by",
          rows,
          view.change === "more" ? [entry] : [],
          view.change === "less" ? [entry] : [],
        );
      });
    });
  });
}

/** The differences that the type decides, before any row is examined. */
function diffOfType(type: string, a: CompiledPolicy, b: CompiledPolicy): readonly PolicyDifference[] {
  const to = (policy: CompiledPolicy, interaction: RuleInteraction) =>
    policy.rulesFor(type).filter((rule) => rule.interactions.has(interaction));
  const [readA, readB] = [to(a, "read"), to(b, "read")];
  const searches = [a, b].map((policy) => [policy, to(policy, "search")] as const);
  const [searchBefore, searchAfter] = searches;
  if (searchBefore === undefined || searchAfter === undefined) return [];
  const included =
    searchBefore[1].length === 0 || searchAfter[1].length === 0
      ? []
      : change(
          type,
          ["search"],
          "include",
          undefined,
          includesBeyond(type, searchAfter, searchBefore),
          includesBeyond(type, searchBefore, searchAfter),
        );
  if (readA.length === 0 || readB.length === 0) return included;
  const [refA, refB] = [referencesOf(a, type, readA), referencesOf(b, type, readB)];
  // Every rule has to show the time: a request by time reveals it.
  const timed = (policy: CompiledPolicy, rules: readonly CompiledRule[]) =>
    rules.every((rule) => policy.viewOf(type, [rule]).object.everything || shownTime(policy, type, rule))
      ? ["_since, _at"]
      : [];
  const [timeA, timeB] = [timed(a, readA), timed(b, readB)];
  // A rule without references opens each Binary to a system that knows its id.
  const byId = (rules: readonly CompiledRule[]) =>
    type === "Binary" && rules.some(({ referredBy }) => referredBy.size === 0) ? ["its id alone"] : [];
  const [idA, idB] = [byId(readA), byId(readB)];
  return [
    ...included,
    ...change(type, ["read"], "referred by", undefined, beyond(idB, idA), beyond(idA, idB)),
    ...change(type, ["read"], "include", undefined, beyond(refB, refA), beyond(refA, refB)),
    ...change(type, ["read"], "time of history", undefined, beyond(timeB, timeA), beyond(timeA, timeB)),
  ];
}

const shownTime = (policy: CompiledPolicy, type: string, rule: CompiledRule): boolean => {
  const meta = policy.viewOf(type, [rule]).object.elements.get("meta");
  return meta?.kind === "object" && meta.others?.elements.has("lastUpdated") === true;
};

/** Joins the entries of interactions that have the same difference. */
function gathered(differences: readonly PolicyDifference[]): readonly PolicyDifference[] {
  const alike = Map.groupBy(differences, ({ change, what, name, rows }) =>
    [change, what, name, rows ?? ""].join("\n"),
  );
  return [...alike.values()].flatMap((same) => {
    const [first] = same;
    const concerned = new Set(same.flatMap(({ interactions }) => interactions));
    return first === undefined
      ? []
      : [{ ...first, interactions: ruleInteractions.filter((interaction) => concerned.has(interaction)) }];
  });
}
