import type { ExactFaces } from "#entrypoint/faces-of";
import { gatewayFaces } from "#entrypoint/gateway-face";
import type { Disclosure } from "#phi/disclosure";
import type { PolicyRefusal } from "#policy/grant";
import type { AdmitRefusal } from "#gateway/admission/admit";
import type { AuthenticateRefusal } from "#gateway/admission/authenticate";
import type { InterpretRefusal } from "#gateway/admission/interpret";
import type { ReviewRefusal } from "#gateway/admission/open-review";
import type { SignedRefusal } from "#gateway/admission/prove-signed";
import type { ClearingRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import { BodyNotWhole } from "#entrypoint/timely-body";
import type { BatchBodyRefusal } from "#gateway/change/batch-entry";
import type { BundleOutcome, TransactionRefusal } from "#gateway/change/bundle-outcome";
import type { ConsentOperationRefusal } from "#gateway/change/consent-operation";
import type { EntryRefusal } from "#gateway/change/entry-outcome";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { RelateRefusal } from "#gateway/origin/relate";
import type { AccountRefusal } from "#gateway/read/account";
import type { LocalRefusal } from "#gateway/read/answer-locally";
import type { WriteRefusal } from "#gateway/change/write";
import type { WriteBodyRefusal } from "#gateway/write/write-body";
import type { RequestKeyRefusal } from "#gateway/change/request-key";
import type { SettleRefusal } from "#gateway/change/attempt";
import type { WriteOutcome } from "#gateway/change/write-outcome";

/** The outcome of a request. Only the pipeline makes a Response of it: each outcome passes `release`. */
export type Outcome =
  | { readonly kind: "refused"; readonly refusal: GatewayRefusal }
  /** Answered without any resource of the origin. */
  | { readonly kind: "local"; readonly resource: object }
  | ({ readonly kind: "disclosed"; readonly disclosure: Disclosure } & Uncleared)
  | ({ readonly kind: "written"; readonly write: WriteOutcome } & Uncleared)
  | ({ readonly kind: "bundle"; readonly bundle: BundleOutcome } & Uncleared);

/** An outcome that may show rows of the origin: it is not cleared yet. */
interface Uncleared {
  readonly gate: ReleaseGate;
  readonly origin: OriginSession;
}

export const refused = (refusal: GatewayRefusal): Outcome => ({ kind: "refused", refusal });

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
  /** A fault ended the request of a known caller. */
  | { readonly reason: "fault"; readonly retryAfterSeconds: number };

/**
 * A refusal reason without a row in the table of public faces does not compile, nor a row without a reason.
 */
gatewayFaces satisfies ExactFaces<"gateway", GatewayRefusal["reason"]>;

/** The outcome of a request whose body broke off. Throws every further fault. */
export function brokenBody(fault: unknown): Outcome {
  if (fault instanceof BodyNotWhole) return refused({ reason: fault.reason });
  throw fault;
}
