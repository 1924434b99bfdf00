import type { ExactFaces } from "#entrypoint/faces-of";
import type { InteractionRefusal } from "#fhir/interaction";
import type { PageLinkRefusal } from "#fhir/ports";
import type { AuthorizationRefusal } from "#identity/authorization";
import { gatewayFaces } from "#entrypoint/gateway-face";
import type { Disclosure } from "#phi/disclosure";
import type { PolicyRefusal } from "#policy/grant";
import type { AuthenticateRefusal } from "#gateway/admission/authenticate";
import type { ReviewRefusal } from "#gateway/admission/open-review";
import type { SignedRefusal } from "#gateway/admission/caller";
import type { ClearingRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import { BodyNotWhole } from "#entrypoint/timely-body";
import type { BatchBodyRefusal } from "#gateway/change/batch-entry";
import type { BundleOutcome, TransactionRefusal } from "#gateway/change/bundle-outcome";
import type { ConsentOperationRefusal } from "#gateway/change/consent-operation";
import type { EntryRefusal } from "#gateway/change/entry-outcome";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { RelateRefusal } from "#gateway/origin/asking";
import type { AccountRefusal } from "#gateway/read/account";
import type { LocalRefusal } from "#gateway/read/answer-locally";
import type { WriteRefusal } from "#gateway/change/write";
import type { WriteBodyRefusal } from "#gateway/change/plan/write-body";
import type { RequestKeyRefusal } from "#gateway/change/request-key";
import type { SettleRefusal } from "#gateway/change/attempt";
import type { WriteOutcome } from "#gateway/change/write-outcome";
import type { Question } from "./question.ts";

/** The outcome of a question. A door gets none of them before it passed `release`. */
export type Outcome =
  | { readonly kind: "refused"; readonly refusal: GatewayRefusal }
  /** Answered without any resource of the origin. */
  | { readonly kind: "local"; readonly resource: object }
  | ({ readonly kind: "disclosed"; readonly disclosure: Disclosure; readonly question: Question } & Uncleared)
  | ({ readonly kind: "written"; readonly write: WriteOutcome } & Uncleared)
  | ({ readonly kind: "bundle"; readonly bundle: BundleOutcome } & Uncleared);

/** An outcome that may show rows of the origin: it is not cleared yet. */
interface Uncleared {
  readonly gate: ReleaseGate;
  readonly origin: OriginSession;
}

export const refused = (refusal: GatewayRefusal): Outcome => ({ kind: "refused", refusal });

/** Why a door does not admit a request. */
export type AdmitRefusal = {
  readonly reason:
    | "url_too_long"
    | "headers_too_large"
    | "path_malformed"
    | "token_in_url"
    | AuthorizationRefusal["reason"]
    | "body_not_expected"
    | "not_acceptable";
};

/** Why a door cannot read an admitted request as a question. */
export type InterpretRefusal =
  | InteractionRefusal
  | PageLinkRefusal
  | { readonly reason: "form_type_not_supported" | "body_type_not_supported" }
  /** The question is in the link: further parameters would be a second question. */
  | { readonly reason: "page_link_with_parameters" };

/** Why the door of exports refuses a bundle that asks for a job, or the question how far the job is. */
export type BundleJobRefusal =
  | { readonly reason: "job_with_read" }
  | { readonly reason: "polled_too_fast"; readonly retryAfterSeconds: number };

/** Why the door of exports refuses. `parameter`: its name, or the types without a file. */
export type ExportDoorRefusal =
  | { readonly reason: "export_unknown" | "too_many_exports" | "too_many_authorities" }
  | {
      readonly reason:
        | "export_parameter_unknown"
        | "export_parameter_malformed"
        | "export_format_not_supported"
        | "export_type_unknown"
        | "export_type_withheld"
        | "export_patient_not_here";
      readonly parameter: string;
    };

export type GatewayRefusal =
  | AdmitRefusal
  | AuthenticateRefusal
  | SignedRefusal
  | ClearingRefusal
  | InterpretRefusal
  | { readonly reason: BodyNotWhole["reason"] | "policy_missing" }
  | NamingRefusal
  | PolicyRefusal
  | RelateRefusal
  | BatchBodyRefusal
  | TransactionRefusal
  | EntryRefusal
  | LocalRefusal
  | AccountRefusal
  | WriteBodyRefusal
  | WriteRefusal
  | RequestKeyRefusal
  | SettleRefusal
  | ConsentOperationRefusal
  | ReviewRefusal
  | ExportDoorRefusal
  | BundleJobRefusal;

/**
 * A refusal reason without a row in the table of public faces does not compile, nor a row without a reason.
 */
gatewayFaces satisfies ExactFaces<"gateway", GatewayRefusal["reason"]>;

/** The refusal of a request whose body broke off. Throws every further fault. */
export function brokenBody(fault: unknown): GatewayRefusal {
  if (fault instanceof BodyNotWhole) return { reason: fault.reason };
  throw fault;
}
