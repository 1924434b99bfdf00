import { facesOf, type ExactFaces } from "#entrypoint/faces-of";
import type { GatewayFace } from "#entrypoint/public-face";
import type { PrincipalDenied } from "#identity/denial";
import type { Exhausted } from "#limits/ports";
import type { PolicyRefusal } from "#policy/grant";
import type { AccountRefusal } from "./account.ts";
import type { AdmitRefusal } from "./admit.ts";
import type { AuthenticateRefusal } from "./authenticate.ts";
import type { GatherRefusal } from "./gather.ts";
import type { InterpretRefusal } from "./interpret.ts";
import type { BatchBodyRefusal } from "./batch-entry.ts";
import type { RelateRefusal } from "./relate.ts";
import type { TransactionRefusal } from "./transaction.ts";
import type { TellRefusal } from "./tell.ts";
import type { SignedRefusal } from "./prove-signed.ts";
import type { WriteBodyRefusal } from "./write-body.ts";
import type { PlanRefusal } from "./write-plan.ts";
import type { SendRefusal } from "./write-send.ts";

export type GatewayRefusal =
  | AdmitRefusal
  | AuthenticateRefusal
  | SignedRefusal
  | Exhausted
  | PrincipalDenied
  | InterpretRefusal
  | { readonly reason: "body_timed_out" | "body_incomplete" | "policy_missing" }
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
