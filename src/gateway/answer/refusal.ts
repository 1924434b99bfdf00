import { facesOf, type ExactFaces } from "#entrypoint/faces-of";
import type { GatewayFace } from "#entrypoint/public-face";
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
import type { TellRefusal } from "./tell.ts";
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
  | TellRefusal
  | GatherRefusal
  | AccountRefusal
  | WriteBodyRefusal
  | PlanRefusal
  | SendRefusal;

/** A reason without a row in the table of refusal reasons does not compile, nor a row without a reason. */
const publicFaces: ExactFaces<"gateway", GatewayRefusal["reason"]> = facesOf("gateway");

/** The public face of a refusal. Where the specification itself has the name (a parameter, an interaction), it is told. */
export function faceOf(refusal: GatewayRefusal): GatewayFace {
  const base = publicFaces[refusal.reason];
  const named = nameOf(refusal);
  return named === undefined ? base : { ...base, text: `${base.text} (${named})` };
}

/** Only names by the grammar of FHIR: a parameter code or an interaction, never a value. */
function nameOf(refusal: GatewayRefusal): string | undefined {
  if ("parameter" in refusal) return refusal.parameter;
  if ("operation" in refusal) return refusal.operation;
  return refusal.reason === "interaction_not_supported" ? refusal.interaction : undefined;
}
