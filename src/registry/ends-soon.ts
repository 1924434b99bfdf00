import { dayMilliseconds, type Instant } from "#kernel/clock";

/** The state of an agreement; `ends soon` is in force too. */
export type AgreementState = "in force" | "ends soon" | "ended" | "not begun";

/** The end of an agreement or of a certificate of an active client. */
export interface RegistryEnd {
  readonly kind: "agreement" | "certificate";
  readonly client: string;
  /** The agreement's id, or the certificate's `x5t#S256`. */
  readonly name: string;
  readonly ends: Instant;
}

const noticeMilliseconds = 30 * dayMilliseconds;

/** Answers whether a thing ends within thirty days, or has ended. */
export const endsSoon = (ends: Instant, at: Instant): boolean => ends <= at + noticeMilliseconds;

/** The state of an agreement that is in force from `from` (included) until `to` (excluded). */
export function agreementState(
  { from, to }: { readonly from: Instant; readonly to: Instant },
  at: Instant,
): AgreementState {
  if (to <= at) return "ended";
  if (from > at) return "not begun";
  return endsSoon(to, at) ? "ends soon" : "in force";
}

/** Answers whether the state lets requests through. */
export const isInForce = (state: AgreementState): boolean => state === "in force" || state === "ends soon";
