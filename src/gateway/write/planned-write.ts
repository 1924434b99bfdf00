import type { InteractionRefusal } from "#fhir/interaction";
import type { PatchRefusal } from "#fhir/json/patch";
import type { OriginWrite } from "#fhir/ports";
import type { QueryRefusal } from "#fhir/search/query";
import type { DisclosureRefusal } from "#phi/disclose";
import type { BodyRefusal } from "#phi/merge/merge-body";
import type { PlainWrite, ResultFault } from "#policy/evaluate-write";
import type { PolicyRefusal } from "#policy/grant";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { CriteriaRefusal } from "./write-criteria.ts";

export type PlanRefusal =
  | PolicyRefusal
  | CriteriaRefusal
  | InteractionRefusal
  | QueryRefusal
  | OriginRefusal
  | PatchRefusal
  | BodyRefusal
  | DisclosureRefusal
  | { readonly reason: "answer_too_large" }
  /** With the other plans of the request it is more than is held at once. */
  | { readonly reason: "plan_too_large" }
  | { readonly reason: "patch_not_a_resource" | "resource_type_mismatch" | "resource_id_mismatch" }
  /** It is not the version that the client has seen, or has none that a write could be held to. */
  | { readonly reason: "version_not_current" | "version_missing" }
  /** What becomes of it, or of a resource inside it, may not be. */
  | { readonly reason: ResultFault }
  /** What becomes of it could not be read again: it is too large, too deep or about too many patients. */
  | { readonly reason: "result_exceeds_limits" }
  /** The origin is not known to heed the version that a DELETE is held to. */
  | { readonly reason: "delete_not_conditional" }
  /** It names what it refers to by a search, which an origin would answer with what its writer may not find. */
  | { readonly reason: "conditional_reference_not_supported" };

/** What a write comes to, all decided and nothing done. */
export type PlannedWrite =
  | {
      readonly kind: "send";
      readonly write: OriginWrite;
      readonly type: PlainWrite["type"];
      /** `undefined`: the origin will give it one. */
      readonly id: string | undefined;
      readonly concerned: ConcernedBy;
    }
  /** `If-None-Exist`, and there is one: nothing is created. */
  | {
      readonly kind: "found";
      readonly type: PlainWrite["type"];
      readonly id: string;
      readonly concerned: ConcernedBy;
    }
  /** A conditional delete of what is not there. */
  | { readonly kind: "nothing"; readonly type: PlainWrite["type"] };
