import type { InformationBlockingException } from "#audit/information-blocking";
import type { IssueType } from "#fhir/outcome";

/** A refusal at the FHIR API: an HTTP status and the issue of an OperationOutcome. */
export interface GatewayFace {
  readonly status: number;
  readonly code: IssueType;
  readonly text: string;
  /** The information-blocking exception that the refusal rests on; only where no row decided. */
  readonly exception?: InformationBlockingException;
  /** `error` of `WWW-Authenticate` where it is not `invalid_token`. */
  readonly challengeError?: ChallengeError;
}

/**
 * RFC 6750 §3.1, RFC 9449 §7.1 and §9, RFC 9470 §3. A client library repeats a request on `use_dpop_nonce` by
 * itself.
 */
export type ChallengeError =
  | "invalid_dpop_proof"
  | "use_dpop_nonce"
  | "invalid_request"
  | "insufficient_user_authentication";

/** A refusal at the token endpoint: RFC 6749 §5.2, RFC 8707 §2, RFC 9449 §5 and §8. */
export interface OAuthFace {
  readonly status: 400 | 401 | 413 | 415;
  readonly error:
    | "invalid_request"
    | "invalid_client"
    | "unauthorized_client"
    | "unsupported_grant_type"
    | "invalid_scope"
    | "invalid_target"
    | "invalid_dpop_proof"
    | "use_dpop_nonce";
  /** RFC 6749 §5.2: printable ASCII without `"` and `\`. */
  readonly description: string;
}

/** A refusal at the admin API: problem details (RFC 9457 §3.1). */
export interface AdminFace {
  readonly status: number;
  readonly title: string;
  /** `error` of `WWW-Authenticate` where it is not `invalid_token`. */
  readonly challengeError?: ChallengeError;
}

/**
 * The public faces of a reason, by door. They are coarser than the record wherever detail would help an
 * attacker.
 */
export interface RefusalRow extends ClientRow {
  readonly admin?: AdminFace;
}

/** The public faces of a reason at the doors for clients. */
export interface ClientRow {
  readonly gateway?: GatewayFace;
  readonly token?: OAuthFace;
}

/** A shared row for several reasons: a caller cannot distinguish them. */
export const rowFor = <const Reason extends string, Row extends RefusalRow>(
  reasons: readonly Reason[],
  row: Row,
): Readonly<Record<Reason, Row>> =>
  Object.fromEntries(reasons.map((reason) => [reason, row])) as Record<Reason, Row>;

export const fhir = (status: number, code: IssueType, text: string): { readonly gateway: GatewayFace } => ({
  gateway: { status, code, text },
});

export const oauth = (
  error: OAuthFace["error"],
  description: string,
  status: OAuthFace["status"] = 400,
): { readonly token: OAuthFace } => ({
  token: { status, error, description },
});

export const admin = (status: number, title: string): { readonly admin: AdminFace } => ({
  admin: { status, title },
});
