import type { Facts } from "#fhir/json/facts";
import { property, textAt } from "#fhir/json/json";
import type { FhirQuestion } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import { isRowOf, type CompiledPolicy, type CompiledRule } from "./compile.ts";
import { factListsOf, testedMembers } from "./facts.ts";
import type { Expectation, Grant, GrantedInclude, PolicyRefusal } from "./grant.ts";
import {
  canCover,
  canCoverSome,
  rowAccessOf,
  coversRow,
  coversRowOrShared,
  coversNested,
  coversNamedPatient,
  isByTargets,
  isOpen,
  patientsToRelate,
  type Access,
  type RowAccess,
} from "./row-access.ts";
import { soughtBy } from "./consent/asked-facts.ts";
import type { Statement } from "./consent/consent.ts";
import { isInDataPeriod } from "./consent/data-period.ts";
import { hasContext } from "./labels.ts";
import { joinNeeds, needsOf, relationNeeds } from "./row-needs.ts";
import {
  isOfOtherData,
  needsOfShown,
  needsWhole,
  scopeOfPart2,
  weighElement,
  weighRow,
  whyWithheld,
} from "./row-weight.ts";

/** The rules that grant the interaction with a type, and the row access of the scopes. */
export function grantingRules(
  policy: CompiledPolicy,
  access: Access,
  type: string,
  interaction: "read" | "search", // a right to read a resource includes its versions
): Result<{ readonly rules: readonly CompiledRule[]; readonly rowAccess: RowAccess }, PolicyRefusal> {
  const rules = policy.rulesTo(type, interaction);
  if (rules.length === 0) return err({ reason: "rule_missing", type, interaction });
  const rowAccess = rowAccessOf(access, type, interaction === "read" ? "r" : "s");
  return rowAccess === undefined
    ? err({ reason: "scope_insufficient", type, interaction })
    : ok({ rules, rowAccess });
}

/** Answers whether a rule opens a row to which these references, as `Type:parameter`, lead. */
export const isReferredBy =
  (names: ReadonlySet<string>) =>
  ({ openedBy, isDirectory }: CompiledRule): boolean =>
    isDirectory || [...names].some((name) => openedBy.has(name));

/** No reference leads to the row. */
export const noReferrers: ReadonlySet<string> = new Set();
const noReferrer = () => noReferrers;

/** The basis of a grant of rows. */
export interface GrantBasis {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  readonly type: string;
  readonly rules: readonly CompiledRule[];
  readonly rowAccess: RowAccess;
  readonly elements: ReadonlySet<string> | undefined;
  /** The `securityContext` of the Binary was read before and is visible. */
  readonly contextIsSeen?: boolean;
  /** The references, as `Type:parameter`, by which visible rows lead to a row that no patient owns. */
  readonly by?: (row: Facts) => ReadonlySet<string>;
}

/** @param searchRules the rules of `basis` by which a row may be found; at a read, all of them. */
export function granted(
  basis: GrantBasis,
  searchRules: readonly CompiledRule[],
  ask: FhirQuestion,
  expects: Expectation,
  clientParameters: readonly SearchParameter[] = [],
  includes: readonly GrantedInclude[] = [],
): Grant {
  const { policy, access, type, rowAccess, elements } = basis;
  const lists = factListsOf(policy, access, type, {
    parameters: clientParameters.map(({ definition }) => definition),
    joins: expects.kind === "search" ? expects.joins : [],
    links: includes,
    isOpened: expects.kind === "search" && !canCoverSome(rowAccess, type),
  });
  return {
    ...lists,
    ...requestedRows(basis, searchRules, expects.kind === "search"),
    ...furtherResources(basis),
    policyDigest: policy.digest,
    ask,
    expects,
    clientParameters,
    includes,
    elements,
    withheldPaths: policy.withheldBy(type, searchRules),
    mayShowLabelled: (row, base, labels) => weighElement(policy, access, row, base, labels),
    isTested: (tested, member) => testedMembers(policy, access, tested).has(member),
    mayNeed: () =>
      (access.usersPatients !== undefined && isOpen(access.usersPatients)) ||
      policy.labels.throughReferences ||
      (typeof access.consents === "object" && access.consents.isNeeded) ||
      type === "Provenance" ||
      includes.some(({ source, targets }) => source === "Provenance" || targets.has("Provenance")),
    judgesNested: typeof access.consents === "object",
    sought: () =>
      typeof access.consents === "object"
        ? access.consents.sought(policy.labels.fromCodes || policy.labels.generalOpens !== undefined)
        : withoutConsents(policy.labels.fromCodes),
    needsWhole: (row, base) => needsWhole(policy, access, row, base),
    timesAsked: (row, base) => {
      const { consents } = access;
      const isAsked = typeof consents === "object" && consents.lacking(row, base).length === 0;
      return isAsked ? consents.of(row, base).times : undefined;
    },
    statementsOn: (row, base) => statementsOn(policy, access, row, base),
    part2Scope: policy.labels.part2 ? (row, base) => scopeOfPart2(policy, access, row, base) : undefined,
  };
}

/** See `Grant.statementsOn`. */
function statementsOn(
  policy: CompiledPolicy,
  access: Access,
  row: Facts,
  base: FhirBase,
): readonly Statement[] {
  // A form leaves out the messages, and the mark of a dispute.
  if (typeof access.consents !== "object" || policy.form !== undefined) return noStatements;
  const { statements } = access.consents.of(row, base);
  if (statements.length === 0 || grantingRules(policy, access, "Communication", "read").ok) return statements;
  return statements.map((each) => Object.assign({}, each, { messages: [] }));
}
const noStatements: readonly Statement[] = [];

const labelsAlone = soughtBy([], true);
const withoutConsents = (labels: boolean) => (labels ? labelsAlone : undefined);

/** The decisions about the rows of the requested type. */
function requestedRows(
  { policy, access, type, rules, rowAccess, contextIsSeen = false, by = noReferrer }: GrantBasis,
  searchRules: readonly CompiledRule[],
  isSearch: boolean,
): Pick<Grant, "viewOf" | "viewOfId" | "needsOf" | "whyHidden"> {
  // The rules that show a row as far as the row alone says; none, if no rule by which it may be found does.
  const opening = (all: readonly [Facts, ...Facts[]], base: FhirBase, atBest = false) => {
    if (!all.every((version) => coversRowOrShared(rowAccess, version, type, base, atBest))) return [];
    if (!contextIsSeen && all.some(hasContext)) return [];
    if (!all.every((version) => isInDataPeriod(policy.dataPeriod, version, access.at))) return [];
    // A row of a type that patients may own is its owner's, or opened by a referrer as a shared row is. The
    // rules to read a shared row are those that its referrers open.
    const isShared = !canCoverSome(rowAccess, type);
    const isOpen =
      canCover(rowAccess, type) ||
      (isShared ? !isSearch : all.every((version) => coversRow(rowAccess, version, base, atBest)))
        ? () => true
        : isReferredBy(by(all[0]));
    const covering = rules.filter((rule) => isOpen(rule) && all.every((version) => isRowOf(rule, version)));
    return covering.some((rule) => searchRules.includes(rule)) ? covering : []; // a part of `rules`
  };
  const isFollowed = isByTargets(rowAccess);
  const viewOfId = (resource: Facts, base: FhirBase) => {
    // No condition of a scope or a rule: that such a row leaves would tell what the condition reads.
    const isCovered = rowAccess.some(
      ({ owners, filters }) =>
        filters.length === 0 && (owners === undefined || owners.has(textAt(resource, "id") ?? "")),
    );
    const isShown = (rule: CompiledRule) =>
      rule.conditions.length + rule.referredBy.size === 0 &&
      isOfOtherData(policy, access, resource, base, rule);
    return isCovered && rules.some(isShown) ? policy.viewOf(type, []) : undefined;
  };
  return {
    viewOf: (resource, base, ...versions) => {
      const all = [resource, ...versions] as const;
      const open = opening(all, base);
      if (open.length === 0) return undefined;
      const permits = all.map((version) => weighRow(policy, access, version, base));
      const covering = open.filter((rule) => permits.every((permit) => permit?.(rule) === true));
      return covering.some((rule) => searchRules.includes(rule)) ? policy.viewOf(type, covering) : undefined;
    },
    ...(type === "Patient" && { viewOfId }),
    needsOf: (resource, base, ...versions) => {
      const all = [resource, ...versions] as const;
      const needs = joinNeeds(
        all.flatMap(
          (version) =>
            relationNeeds(patientsToRelate(rowAccess, version, type, base)) ??
            needsOf(policy, access, version, base, isFollowed) ??
            [],
        ),
      );
      const rules = needs === undefined ? [] : opening(all, base, true);
      return needsOfShown(policy, access, needs, [all, base], rules);
    },
    whyHidden: (resource, base) => {
      if (!coversRowOrShared(rowAccess, resource, type, base)) return { by: "scope" };
      if (!contextIsSeen && hasContext(resource)) return { by: "scope", place: "securityContext" };
      return whyWithheld(policy, access, resource, base, searchRules);
    },
  };
}

/** The decisions about resources inside a row, included with a row, or linked to a row. */
function furtherResources({
  policy,
  access,
  type,
  rowAccess,
}: GrantBasis): Pick<Grant, "viewInside" | "viewIncluded" | "needsIncluded" | "mayLinkTo"> {
  const readAccess = new Map<string, RowAccess | undefined>(); // cached: each nested resource needs it
  const accessToRead = (type: string) => {
    if (!readAccess.has(type)) readAccess.set(type, rowAccessOf(access, type, "r"));
    return readAccess.get(type);
  };
  const open = (resource: Facts, type: string, may: (rule: CompiledRule) => boolean = () => true) =>
    hasContext(resource) || !isInDataPeriod(policy.dataPeriod, resource, access.at)
      ? []
      : policy.rulesTo(type, "read").filter((rule) => may(rule) && isRowOf(rule, resource));
  const readableBy = (
    resource: Facts,
    type: string,
    base: FhirBase,
    may?: (rule: CompiledRule) => boolean,
  ) => {
    const rules = open(resource, type, may);
    const permits = rules.length === 0 ? undefined : weighRow(policy, access, resource, base);
    const readable = permits === undefined ? [] : rules.filter(permits);
    return readable.length === 0 ? undefined : policy.viewOf(type, readable);
  };
  return {
    viewInside: (resource, base, nesting, included) => {
      const nestedType = property(resource, "resourceType");
      const nestedAccess = typeof nestedType === "string" ? accessToRead(nestedType) : undefined;
      // The row access of the included type may be wider than the row access of the searched type.
      const container = included === undefined ? rowAccess : accessToRead(included);
      // If no patient owns the container, the owner of a nested resource is unknown.
      if (
        typeof nestedType !== "string" ||
        nestedAccess === undefined ||
        container === undefined ||
        !canCover(container, included ?? type)
      )
        return undefined;
      return coversNested(nestedAccess, container, resource, base, nesting)
        ? readableBy(resource, nestedType, base)
        : undefined;
    },
    mayLinkTo: (other, base) => {
      const patients = accessToRead("Patient");
      return patients !== undefined && coversNamedPatient(patients, other, base);
    },
    needsIncluded: (resource, base) => {
      const type = textAt(resource, "resourceType") ?? "";
      const included = accessToRead(type);
      if (included === undefined) return undefined;
      const needs =
        relationNeeds(patientsToRelate(included, resource, type, base)) ??
        needsOf(policy, access, resource, base, isByTargets(included));
      if (needs === undefined || !coversRowOrShared(included, resource, type, base, true)) return undefined;
      return needsOfShown(policy, access, needs, [[resource], base], open(resource, type));
    },
    viewIncluded: (resource, base, through) => {
      const includedType = property(resource, "resourceType");
      const includedAccess = typeof includedType === "string" ? accessToRead(includedType) : undefined;
      if (
        typeof includedType !== "string" ||
        includedAccess === undefined ||
        !coversRowOrShared(includedAccess, resource, includedType, base)
      )
        return undefined;
      const isOwn =
        canCover(includedAccess, includedType) ||
        (canCoverSome(includedAccess, includedType) && coversRow(includedAccess, resource, base));
      return isOwn
        ? readableBy(resource, includedType, base)
        : readableBy(resource, includedType, base, isReferredBy(through));
    },
  };
}
