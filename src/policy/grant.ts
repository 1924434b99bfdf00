import type { Operation } from "#fhir/operations";
import type { Nesting } from "#fhir/r4/compartment";
import type { FhirBase } from "#fhir/r4/reference";
import type { ResourceType } from "#fhir/r4/elements";
import type { Facts, Sought } from "#fhir/json/facts";
import type { Json, JsonObject } from "#fhir/json/json";
import type { FhirQuestion } from "#fhir/ports";
import type { SearchParameter, SortKey } from "#fhir/search/search";
import type { Result } from "#kernel/result";
import type { ResourceView } from "./compile.ts";
import type { AskedTimes } from "./consent/asked-facts.ts";
import type { Statement } from "./consent/consent.ts";
import type { FactLists } from "./facts.ts";
import type { RowNeeds } from "./row-needs.ts";
import type { WithheldBy } from "./row-weight.ts";
import type { RuleInteraction } from "./schema.ts";

/**
 * A permitted request: the question for the origin, the expected form of the answer, and the parts of the
 * answer that may leave. Its decisions take facts at the paths of {@link FactLists}.
 */
export interface Grant extends FactLists {
  readonly policyDigest: string;
  readonly ask: FhirQuestion;
  readonly expects: Expectation;
  /** The client's search parameters without the narrowing; empty for a read. */
  readonly clientParameters: readonly SearchParameter[];
  /**
   * The client's parameters that the origin does not know: the row alone decides whether it matches.
   */
  readonly decidedHere?: ReadonlySet<SearchParameter>;
  /**
   * The client's parameters that this row must match by its shown elements: the view shows only some systems,
   * and an origin may read `system|code` in its own way. A parameter is exempt if a rule that covers the row
   * shows everything that the parameter reads: that rule alone would let the client find the row.
   */
  readonly mustShow?: (row: Facts) => readonly SearchParameter[];
  /**
   * The element paths that a covering rule hides. They come from the compiled views, so that they say nothing
   * about an instance.
   */
  readonly withheldPaths: readonly string[];
  /**
   * The view by which the id of a Patient leaves whose Consents permit other data alone; `undefined`: the Patient is
   * hidden. For a plain read alone.
   */
  readonly viewOfId?: (row: Facts, base: FhirBase) => ResourceView | undefined;
  /**
   * The view of a requested resource; `undefined`: no rule covers its row, or the row belongs to a different
   * patient. With further versions of the resource: the view by the rules that cover all of the versions.
   * `base`: the origin's.
   */
  readonly viewOf: (
    resource: Facts,
    base: FhirBase,
    ...versions: readonly Facts[]
  ) => ResourceView | undefined;
  /**
   * What has to be known before {@link viewOf} is asked about a row; `undefined`: nothing, or type, owner, scope and
   * conditions hide the row whatever it is.
   */
  readonly needsOf: (resource: Facts, base: FhirBase, ...versions: readonly Facts[]) => RowNeeds | undefined;
  /** False: no resource needs anything, whatever it is. */
  readonly mayNeed: () => boolean;
  /** As {@link needsOf}, for a resource that is included by any reference. */
  readonly needsIncluded: (resource: Facts, base: FhirBase) => RowNeeds | undefined;
  /** The cause that keeps a row back for which {@link viewOf} is undefined, for the record of a refusal. */
  readonly whyHidden: (resource: Facts, base: FhirBase) => WithheldBy;
  /**
   * Answers whether an element with security labels of its own (DS4P inline labels) may leave with its row.
   * `labels`: what stands as labels on the element. Only facts of the whole row decide it.
   */
  readonly mayShowLabelled: (row: Facts, base: FhirBase, labels: readonly Json[]) => boolean;
  /** Answers whether a rule or a scope tests this member of a resource: a part of it is then never cut. */
  readonly isTested: (type: string, member: string) => boolean;
  /**
   * `whole`: the facts at {@link FactLists} are too few to decide about a row, because a Consent in force may ask
   * for any element; {@link viewOf} needs facts of the whole resource. `plain`: only the plain engine decides.
   */
  readonly needsWhole: (row: Facts, base: FhirBase) => "plain" | "whole" | undefined;
  /**
   * The questions of the Consents that judge a row about its time and authors: rows with the same answers and the
   * same deciding facts have the same view. Undefined: there is none.
   */
  readonly timesAsked: (row: Facts, base: FhirBase) => AskedTimes | undefined;
  /** The texts that may decide about a row wherever they stand in it, as far as Consents are known now. */
  readonly sought: () => Sought | undefined;
  /** Consents of patients whom only nested resources name judge a row: it is read whole if it has any. */
  readonly judgesNested: boolean;
  /**
   * The scope of the consent for a row that is a record of 42 CFR Part 2, as its answer states it; undefined for
   * each further row. Undefined as a whole: no such record leaves under this policy.
   */
  readonly part2Scope: ((row: Facts, base: FhirBase) => string | undefined) | undefined;
  /**
   * What follows a row that leaves, since its patient disputes it. Only facts of the whole row decide it. The messages
   * are named to callers who may read messages at all.
   */
  readonly statementsOn: (row: Facts, base: FhirBase) => readonly Statement[];
  /**
   * The view of a resource nested in a row that leaves: by the rules to read its own type. Without `nesting`
   * the resource is contained. `included`: type of the container if the container is an included resource.
   */
  readonly viewInside: (
    resource: Facts,
    base: FhirBase,
    nesting?: Nesting,
    included?: string,
  ) => ResourceView | undefined;
  /**
   * The view of an included resource, by the rules to read its own type. `through`: the references that lead
   * to it, as `Type:parameter`.
   */
  readonly viewIncluded: (
    resource: Facts,
    base: FhirBase,
    through: ReadonlySet<string>,
  ) => ResourceView | undefined;
  /**
   * Answers whether the principal has access to the linked record of a Patient, so that the link may be
   * named. It reads only `reference` of this Reference.
   */
  readonly mayLinkTo: (other: JsonObject, base: FhirBase) => boolean;
  readonly includes: readonly GrantedInclude[];
  /**
   * The JSON names of the members that the client wants of a requested resource (`_elements`, `_summary`);
   * never sent to the origin.
   */
  readonly elements?: ReadonlySet<string> | undefined;
}

export type Expectation =
  | (ReadExpectation & { readonly kind: "read" })
  /** `current`: the question for the resource as it is now, which decides about every version of it. */
  | (ReadExpectation & { readonly kind: "vread"; readonly version: string; readonly current: FhirQuestion })
  | SearchExpectation;

export interface ReadExpectation {
  readonly type: string;
  readonly id: string;
  /** One referrer must be found for a type that no patient owns; empty for a type that patients own. */
  readonly referrers: readonly Referrer[];
  /** Without a referrer the id alone finds nothing. */
  readonly needsReferrer: boolean;
  /** A row of the type may also be a patient's own: it then needs no referrer. */
  readonly mayBeOwned: boolean;
  /**
   * The grant that remains by these references alone, as `Type:parameter`: each rule shows its part only
   * through its own references.
   */
  readonly referredBy: (names: ReadonlySet<string>) => Grant;
  /** For a Binary with a `securityContext`: the grant to read the context resource. */
  readonly behind: (type: ResourceType, id: string) => Result<Grant, PolicyRefusal>;
  /**
   * The grant after the context resource was found to be visible; before that, nothing of a Binary with a
   * `securityContext` is granted.
   */
  readonly whenContextIsSeen: () => Grant;
}

export interface SearchExpectation {
  readonly kind: "search";
  readonly type: string;
  /** The client's address, below the FHIR base. */
  readonly path: string;
  /** The client's question in its own terms: the query that `searchQuery` writes. */
  readonly question: string;
  readonly posted: boolean;
  /** The most entries of one page. */
  readonly count: number;
  /** The joins to resolve before the search itself: `askJoined` takes the results of each. */
  readonly joins: readonly GrantedJoin[];
  /** @param rows the most rows of an origin page; by default as many as the page needs. */
  readonly askJoined: (joined: readonly SearchParameter[], rows?: number) => FhirQuestion;
  readonly sort: readonly SortKey[];
  /** The number of visible matches is asked for, of the rows of these patients alone (ids). */
  readonly total?: { readonly form: "alone" | "included"; readonly patients: ReadonlySet<string> };
  /**
   * The further parts of the search, in order: searches for the rows in which the patients only took part.
   * Each row belongs to one part, and each part shows its own rows alone.
   */
  readonly further: readonly SearchGrant[];
  /** For a type that no patient owns, within a patient's or a user's access. */
  readonly opening?: Opening;
  /** Names in the question that are no parameters of the type: the first page says that they were ignored. */
  readonly ignored?: readonly string[];
}

/**
 * A search within a patient's access for a type that no patient owns finds the resources to which visible rows
 * refer, as a read does. Until these are known, the search shows no row.
 */
export interface Opening {
  readonly references: readonly OpeningReference[];
  /** @param namesOf the names of the references that lead to a resource, given as `Type/id`. */
  readonly viewBy: (namesOf: (resource: string) => ReadonlySet<string>) => Pick<Grant, "viewOf" | "needsOf">;
}

/** A grant for a search. */
export type SearchGrant = Grant & { readonly expects: SearchExpectation };

/**
 * A condition on a different resource, resolved by a separate search. This search needs the same permission
 * as any search, so it finds only rows that the client may see.
 */
export interface GrantedJoin {
  readonly kind: "chain" | "has";
  /** The type of the search that has the condition. */
  readonly type: string;
  /** The reference of the join: a parameter of `type` for a chain, of the hop's type for `has`. */
  readonly by: SearchParameter["definition"];
  /** One for each type that the condition may go through and that the client may search. */
  readonly hops: readonly SearchGrant[];
}

/**
 * A search for a visible row that refers to the resource. A resource that no patient owns is readable only if
 * one of its referrers is found.
 */
export interface Referrer extends OpeningReference {
  /** As `Type/id`. */
  readonly reference: string;
}

/** A reference that opens a resource that no patient owns, and the search for the rows that have it. */
export interface OpeningReference {
  /** As `referredBy` of a rule has it. */
  readonly name: string;
  readonly search: SearchGrant;
  /** The paths of the reference in the row; undefined: the row itself is the resource. */
  readonly paths: readonly (readonly string[])[] | undefined;
}

/** A reference of an `_include` or `_revinclude`. */
export interface GrantedInclude {
  readonly direction: "include" | "revinclude";
  readonly iterate: boolean;
  readonly source: string;
  /** `Type:parameter`. */
  readonly name: string;
  readonly paths: readonly (readonly string[])[];
  /** The types that the reference may lead to. */
  readonly targets: ReadonlySet<string>;
}

/** The form of a policy (45 CFR 164.514) refuses. */
type FormRefusal =
  /** `what`: an interaction, a parameter or a name of FHIR's own, never a value. */
  { readonly reason: "form_excludes"; readonly what: string } | { readonly reason: "form_not_in_force" };

/**
 * The reasons of a refusal. Type and policy alone decide them, before the origin is asked; each is a 403, and
 * the answer may name the parameter.
 */
export type PolicyRefusal =
  | FormRefusal
  | { readonly reason: "rule_missing"; readonly type: string; readonly interaction: RuleInteraction }
  | { readonly reason: "scope_insufficient"; readonly type: string; readonly interaction: RuleInteraction }
  /** The scope is limited to a patient, and no patient owns rows of this type. */
  | { readonly reason: "outside_patient_compartment"; readonly type: string }
  /** The view hides an element that the parameter reads, or the policy leaves the parameter out. */
  | { readonly reason: "parameter_hidden"; readonly parameter: string }
  /** The view shows only some systems: the search value has to name one of these systems. */
  | { readonly reason: "parameter_needs_system"; readonly parameter: string }
  | { readonly reason: "sort_hidden"; readonly parameter: string }
  /** The include could add nothing visible: the reference is hidden, or every type that it leads to. */
  | { readonly reason: "include_hidden"; readonly parameter: string }
  /** The includes are more references than a page is searched for: a 400. */
  | { readonly reason: "too_many_joins" }
  /** The number of matches is answered for at most twenty named patients. */
  | { readonly reason: "total_needs_patients" }
  /** A search of the whole server without `_type`, which would read every row. */
  | { readonly reason: "search_needs_types" }
  | { readonly reason: "operation_not_granted"; readonly operation: Operation }
  /**
   * The history of a type needs access to every row of the type: a partial history would reveal how many rows
   * are hidden.
   */
  | { readonly reason: "history_needs_unrestricted_access"; readonly type: string };
