import type { ExactFaces } from "#entrypoint/faces-of";
import { gatewayFaces } from "#entrypoint/gateway-face";
import type { PrincipalDenied } from "#identity/denial";
import type { Exhausted } from "#limits/ports";
import type { PolicyRefusal } from "#policy/grant";
import type { AccountRefusal } from "#gateway/read/account";
import type { AdmitRefusal } from "#gateway/admission/admit";
import type { AuthenticateRefusal } from "#gateway/admission/authenticate";
import type { GatherRefusal } from "#gateway/read/gather";
import type { InterpretRefusal } from "#gateway/admission/interpret";
import type { BatchBodyRefusal } from "#gateway/bundle/batch-entry";
import type { NamingRefusal } from "#gateway/origin/origin-session";
import type { RelateRefusal } from "#gateway/origin/relate";
import type { TransactionRefusal } from "#gateway/bundle/transaction";
import type { LocalRefusal } from "#gateway/read/answer-locally";
import type { SignedRefusal } from "#gateway/admission/prove-signed";
import type { WriteBodyRefusal } from "#gateway/write/write-body";
import type { PlanRefusal } from "#gateway/write/planned-write";
import type { SendRefusal } from "#gateway/write/write-send";

export type GatewayRefusal =
  | AdmitRefusal
  | AuthenticateRefusal
  | SignedRefusal
  | Exhausted
  | PrincipalDenied
  | InterpretRefusal
  | { readonly reason: "body_timed_out" | "body_incomplete" | "policy_missing" }
  | NamingRefusal
  | PolicyRefusal
  | RelateRefusal
  | BatchBodyRefusal
  | TransactionRefusal
  | LocalRefusal
  | GatherRefusal
  | AccountRefusal
  | WriteBodyRefusal
  | PlanRefusal
  | SendRefusal;

/** A refusal reason without a row in the table of public faces does not compile, nor a row without a reason. */
gatewayFaces satisfies ExactFaces<"gateway", GatewayRefusal["reason"]>;
