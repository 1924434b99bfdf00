import type { Nesting } from "#fhir/r4/compartment";
import type { FhirBase } from "#fhir/r4/reference";
import type { ResourceType } from "#fhir/r4/elements";
import type { JsonObject } from "#fhir/json/json";
import type { FhirQuestion } from "#fhir/ports";
import type { SearchParameter } from "#fhir/search/search";
import type { Result } from "#kernel/result";
import type { ResourceView } from "./compile.ts";
import type { PolicyOperation, RuleInteraction } from "./schema.ts";

/** A permitted request: what to ask the origin, what the answer must be, and what of it may leave. */
export interface Grant {
  readonly policyDigest: string;
  readonly ask: FhirQuestion;
  readonly expects: Expectation;
  /** What the client searches by, without the narrowing; nothing for a read. */
  readonly asked: readonly SearchParameter[];
  /**
   * Of these what a row has to show itself: the view shows some systems only, and an origin may read
   * `system|code` in ways of its own.
   */
  readonly shown?: readonly SearchParameter[];
  /**
   * The element paths that some rule in reach hides; from the compiled views, so that it says nothing about
   * an instance.
   */
  readonly withheldPaths: readonly string[];
  /**
   * What may leave of a resource that was asked for; `undefined`: its row is in no rule's reach, or not the
   * patient's. With other versions of it: in the reach of no rule that reaches all of them. `base`: the
   * origin's.
   */
  readonly viewOf: (
    resource: JsonObject,
    base: FhirBase,
    ...versions: readonly JsonObject[]
  ) => ResourceView | undefined;
  /**
   * What may leave of a resource inside one that leaves: by the rules to read its own type. Contained, where
   * `nesting` does not say. `brought`: type of the container where it is brought along with what was asked
   * for.
   */
  readonly viewInside: (
    resource: JsonObject,
    base: FhirBase,
    nesting?: Nesting,
    brought?: string,
  ) => ResourceView | undefined;
  /**
   * What may leave of a resource that is brought along with what was asked for, by the rules to read its own
   * type. `through`: the references that lead to it, as `Type:parameter`.
   */
  readonly viewIncluded: (
    resource: JsonObject,
    base: FhirBase,
    through: ReadonlySet<string>,
  ) => ResourceView | undefined;
  /** Whether the other record that a Patient is linked to is within reach, so that it may be named. */
  readonly mayLinkTo: (other: JsonObject, base: FhirBase) => boolean;
  readonly includes: readonly GrantedInclude[];
  /**
   * Members of a resource that was asked for, by JSON name, beyond which its reader wants none; never sent to
   * the origin.
   */
  readonly elements?: ReadonlySet<string> | undefined;
}

export type Expectation =
  | (ReadExpectation & { readonly kind: "read" })
  /** `current`: how to ask for the resource as it is now, which decides about every version of it. */
  | (ReadExpectation & { readonly kind: "vread"; readonly version: string; readonly current: FhirQuestion })
  | SearchExpectation;

export interface ReadExpectation {
  readonly type: string;
  readonly id: string;
  /** One of them must be found, for what is nobody's own; none for what is somebody's. */
  readonly referrers: readonly Referrer[];
  /**
   * What of the grant is left by these references alone, as `Type:parameter`: a rule shows its part to whom
   * its own references lead there.
   */
  readonly referredBy: (names: ReadonlySet<string>) => Grant;
  /** Of a Binary that stands behind another resource: how to read that one … */
  readonly behind: (type: ResourceType, id: string) => Result<Grant, PolicyRefusal>;
  /** … and what is granted once it is known that it may be seen; till then nothing of such a Binary. */
  readonly whenContextIsSeen: () => Grant;
}

export interface SearchExpectation {
  readonly kind: "search";
  readonly type: string;
  /** The client's question in its own terms: the query that `searchQuery` writes. */
  readonly question: string;
  readonly posted: boolean;
  /** The most entries of one page. */
  readonly count: number;
  /** To be resolved before the origin is asked: by `askJoined` with what each led to. */
  readonly joins: readonly GrantedJoin[];
  readonly askJoined: (joined: readonly SearchParameter[]) => FhirQuestion;
}

/** A search whose grant is known to be one. */
export type SearchGrant = Grant & { readonly expects: SearchExpectation };

/**
 * A condition on another resource, resolved by a search of its own that is permitted like any other: so it
 * finds what its reader may see, and nothing else.
 */
export interface GrantedJoin {
  readonly kind: "chain" | "has";
  /** The type that is searched for by it. */
  readonly type: string;
  /** `by` of the join: of `type` for a chain, of the hop's type for `has`. */
  readonly by: SearchParameter["definition"];
  readonly hop: SearchGrant;
}

/**
 * A search that finds a row which may be seen and refers to the resource: one of them must, for a resource
 * that is nobody's own.
 */
export interface Referrer {
  /** `Type:parameter`. */
  readonly name: string;
  readonly search: SearchGrant;
  /** As `Type/id`. */
  readonly reference: string;
  /** Where such a row names it. */
  readonly paths: readonly (readonly string[])[];
}

/** A reference by which rows bring others along, or are brought along. */
export interface GrantedInclude {
  readonly direction: "include" | "revinclude";
  readonly iterate: boolean;
  readonly source: string;
  /** `Type:parameter`. */
  readonly name: string;
  readonly paths: readonly (readonly string[])[];
  /** Types that it may lead to. */
  readonly targets: ReadonlySet<string>;
}

/**
 * All decided from type and policy alone, before anything is asked: each is 403, and the parameter's name may
 * be told.
 */
export type PolicyRefusal =
  | { readonly reason: "rule_missing"; readonly type: string; readonly interaction: RuleInteraction }
  | { readonly reason: "scope_insufficient"; readonly type: string; readonly interaction: RuleInteraction }
  /** The scope is held to a patient, and rows of this type are no patient's. */
  | { readonly reason: "outside_patient_compartment"; readonly type: string }
  /** The view does not show what the parameter reads, or the policy leaves it out. */
  | { readonly reason: "parameter_hidden"; readonly parameter: string }
  /** The view shows some systems only: the token has to name one of them. */
  | { readonly reason: "parameter_needs_system"; readonly parameter: string }
  | { readonly reason: "sort_hidden"; readonly parameter: string }
  /** What it would bring along may not be seen: the reference, or every type that it leads to. */
  | { readonly reason: "include_hidden"; readonly parameter: string }
  | { readonly reason: "operation_not_granted"; readonly operation: PolicyOperation }
  /**
   * A type's history is for whoever may read every row of it: another's would tell how many there are that
   * may not be read.
   */
  | { readonly reason: "history_needs_unrestricted_access"; readonly type: string };
