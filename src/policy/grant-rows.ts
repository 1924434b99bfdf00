import type { Facts } from "#fhir/json/facts";
import { property } from "#fhir/json/json";
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
  type Access,
  type RowAccess,
} from "./row-access.ts";
import { hasContext } from "./labels.ts";
import { needsWhole, scopeOfPart2, weighElement, weighRow, whyWithheld } from "./row-weight.ts";

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
  ({ referredBy }: CompiledRule): boolean =>
    [...names].some((name) => referredBy.has(name));

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
    judgesNested: typeof access.consents === "object",
    readsCodes: () =>
      policy.labels.fromCodes || (typeof access.consents === "object" && access.consents.readsCodes),
    needsWhole: (row, base) => needsWhole(policy, access, row, base),
    part2Scope: policy.labels.part2 ? (row, base) => scopeOfPart2(policy, access, row, base) : undefined,
  };
}

/** The decisions about the rows of the requested type. */
function requestedRows(
  { policy, access, type, rules, rowAccess, contextIsSeen = false, by = noReferrer }: GrantBasis,
  searchRules: readonly CompiledRule[],
  isSearch: boolean,
): Pick<Grant, "viewOf" | "whyHidden"> {
  return {
    viewOf: (resource, base, ...versions) => {
      const all = [resource, ...versions];
      if (!all.every((version) => coversRowOrShared(rowAccess, version, type, base))) return undefined;
      if (!contextIsSeen && all.some(hasContext)) return undefined;
      const permits = all.map((version) => weighRow(policy, access, version, base));
      // A row of a type that patients may own is its owner's, or opened by a referrer as a shared row is. The
      // rules to read a shared row are those that its referrers open.
      const isShared = !canCoverSome(rowAccess, type);
      const isOpen =
        canCover(rowAccess, type) ||
        (isShared ? !isSearch : all.every((version) => coversRow(rowAccess, version, base)))
          ? () => true
          : isReferredBy(by(resource));
      const covers = (rule: CompiledRule) =>
        isOpen(rule) &&
        all.every((version, index) => isRowOf(rule, version) && permits[index]?.(rule) === true);
      const covering = rules.filter(covers); // `searchRules` is a part of `rules`
      return covering.some((rule) => searchRules.includes(rule)) ? policy.viewOf(type, covering) : undefined;
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
}: GrantBasis): Pick<Grant, "viewInside" | "viewIncluded" | "mayLinkTo"> {
  const readAccess = new Map<string, RowAccess | undefined>(); // cached: each nested resource needs it
  const accessToRead = (type: string) => {
    if (!readAccess.has(type)) readAccess.set(type, rowAccessOf(access, type, "r"));
    return readAccess.get(type);
  };
  const readableBy = (
    resource: Facts,
    type: string,
    base: FhirBase,
    may: (rule: CompiledRule) => boolean = () => true,
  ) => {
    if (hasContext(resource)) return undefined;
    const permits = weighRow(policy, access, resource, base);
    if (permits === undefined) return undefined;
    const readable = policy
      .rulesTo(type, "read")
      .filter((rule) => may(rule) && isRowOf(rule, resource) && permits(rule));
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
