import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";

/** A use of break-glass: the client, the person and the time of the sign-in make one review. */
export interface EmergencyUse {
  readonly client: string;
  readonly issuer: string;
  readonly subject: string;
  readonly origin: string;
  readonly purpose: string;
  readonly signedInAt: Instant;
  /** The end of the emergency. */
  readonly until: Instant;
  /** The request that used it first. */
  readonly requestId: string;
  readonly at: Instant;
}

/** The privacy officer's tasks. */
export interface Reviews {
  /** Opens the review of an emergency, or finds it open; returns its id. Throws when `control` cannot. */
  open(use: EmergencyUse): Promise<string>;
}

export interface OpenReviewPorts {
  readonly reviews: Reviews;
  /** Raises the alert. It gets names of the registry and our own ids, never the reason or the person. */
  readonly onBreakGlass: (use: {
    readonly requestId: string;
    readonly client: string;
    readonly purpose: string;
    readonly review: string;
  }) => void;
}

export type ReviewRefusal = { readonly reason: "review_unavailable" };

/**
 * Opens the review of a declared emergency, and raises the alert, before anything is asked at the origin.
 * Undefined: no emergency was declared.
 */
export async function openReview(
  { emergency, client, issuer, subject, purpose, grant: { origin } }: Principal,
  { id: requestId, at }: { readonly id: string; readonly at: Instant },
  { reviews, onBreakGlass }: OpenReviewPorts,
): Promise<Result<string | undefined, ReviewRefusal>> {
  if (emergency === undefined) return ok(undefined);
  const { signedInAt, until } = emergency;
  try {
    const use = { client: client.id, issuer, subject, origin, purpose, signedInAt, until, requestId, at };
    const review = await reviews.open(use);
    onBreakGlass({ requestId, client: client.id, purpose, review });
    return ok(review);
  } catch {
    return err({ reason: "review_unavailable" });
  }
}
