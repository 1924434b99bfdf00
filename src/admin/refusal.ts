import type { OperatorRefusal } from "./operator.ts";
import type { DocumentRefusal } from "./read-document.ts";

export type AdminRefusal = OperatorRefusal | DocumentRefusal;

/** The public side of a refusal (RFC 9457 §3.1). */
export interface PublicFace {
  readonly status: number;
  readonly title: string;
}

// Whose certificate failed is no business of whoever holds it: one face for all that do not prove an operator.
// 403 and not 401: there is no authentication scheme to name in WWW-Authenticate (RFC 9110 §15.5.2).
const unproven: PublicFace = { status: 403, title: "An operator's certificate is required." };
const forbidden: PublicFace = { status: 403, title: "Not permitted." };

export const publicFaces: Readonly<Record<AdminRefusal["reason"], PublicFace>> = {
  certificate_missing: unproven,
  certificate_malformed: unproven,
  certificate_unverified: unproven,
  certificate_revoked: unproven,
  certificate_too_large: unproven,
  operator_unknown: unproven,
  operator_suspended: forbidden,
  role_missing: forbidden,
  media_type: { status: 415, title: "The body must be application/json." },
  too_large: { status: 413, title: "The body must be at most 1 MiB." },
  not_json: { status: 400, title: "The body is not JSON in UTF-8, is nested too deep, or an object names a member twice." },
};
