import type { JsonObject } from "#fhir/json/json";
import type { InteractionRefusal } from "#fhir/interaction";
import type { PatchRefusal } from "#fhir/json/patch";
import type { OriginWrite } from "#fhir/ports";
import type { QueryRefusal } from "#fhir/search/query";
import type { DisclosureRefusal } from "#phi/disclose";
import type { BodyRefusal } from "#phi/merge/merge-body";
import type { PlainWrite, ResultFault } from "#policy/evaluate-write";
import type { PolicyRefusal } from "#policy/grant";
import type { WithheldBy } from "#policy/row-weight";
import type { RelateRefusal } from "#gateway/origin/asking";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { NewNames, ResultRefusal } from "./accept-result.ts";
import type { ConsentPatientRefusal } from "./consent-patient.ts";

/** `isUpdate`: of an update of a row by its id, whose text says how to create. */
export type PlanRefusal = PlanFault & { readonly isUpdate?: true };

/** A message about an amendment names another record, or another sender. */
export type UnfitRequest = { readonly reason: "amendment_request_unfit" };

type PlanFault =
  | PolicyRefusal
  | ConsentPatientRefusal
  | UnfitRequest
  | InteractionRefusal
  | QueryRefusal
  | OriginRefusal
  | RelateRefusal
  | PatchRefusal
  | BodyRefusal
  | DisclosureRefusal
  | { readonly reason: "answer_too_large" }
  /** A new Binary has no context that its writer may change. */
  | { readonly reason: "content_needs_context" }
  /** All plans of the request together exceed its memory budget. */
  | { readonly reason: "plan_too_large" }
  | { readonly reason: "patch_not_a_resource" | "resource_type_mismatch" | "resource_id_mismatch" }
  /**
   * The stored version is not the version that the client saw, or the row has no version to condition the
   * write on.
   */
  | { readonly reason: "version_not_current" | "version_missing" }
  /** The result, or a resource inside it, is not permitted. */
  | FaultyResult
  | ResultRefusal
  /** The origin is not registered as honouring `If-Match` on DELETE. */
  | { readonly reason: "delete_not_conditional" }
  /** The origin is registered as not honouring `If-Match` on PUT. */
  | { readonly reason: "update_not_conditional" }
  /** A reference is a search: the origin could answer it with a row that the writer may not find. */
  | { readonly reason: "conditional_reference_not_supported" };

/** A result that may not be written, with the cause for its record. */
export interface FaultyResult {
  readonly reason: ResultFault;
  readonly decision?: WithheldBy;
}

/** The scopes let the caller write the row, and not read it. */
export const unreadable = { reason: "row_outside_access", decision: { by: "scope" } } as const;

/** A write that the origin gets. */
export interface SentPlan {
  readonly kind: "send";
  readonly write: OriginWrite;
  readonly type: PlainWrite["type"];
  /** `undefined`: the origin will assign the id. */
  readonly id: string | undefined;
  readonly concerned: ConcernedBy;
  /** The characters that count for the hidden part of the row (phi/readable). */
  readonly room?: number;
  /** A new Binary. An upload's has no data. */
  readonly content?: JsonObject;
  /** A deletion names nobody anew. */
  readonly newNames?: NewNames;
  /** The patient whom an effect of the type needs, found by the identifier that the body has. */
  readonly patient?: string | undefined;
}

/** A decided write: nothing is sent yet. */
export type PlannedWrite =
  | SentPlan
  /** `If-None-Exist` found a row: nothing is created. */
  | {
      readonly kind: "found";
      readonly type: PlainWrite["type"];
      readonly id: string;
      readonly concerned: ConcernedBy;
    }
  /** A conditional delete found no row. */
  | { readonly kind: "nothing"; readonly type: PlainWrite["type"] };

/** The characters that a plan holds in the budget of its request until it is sent. */
export const sizeHeldBy = ({ write, room = 0 }: SentPlan): number => (write.body?.length ?? 0) + room;

const rowReasons: ReadonlySet<string> = new Set([
  "absent",
  "row_outside_access",
  "row_unjudged",
  "resource_withheld",
]);

/** True for a refusal that a row decides: its face is that of an absent row. */
export const isRowDecided = ({ reason }: { readonly reason: string }): boolean => rowReasons.has(reason);
