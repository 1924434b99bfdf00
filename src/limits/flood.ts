import { addressPrefix } from "#kernel/address-prefix";

/** Counts calls by a key, roughly and in one place only: a flood shows, a quota is not to be had from it. */
export interface CallCounter {
  /** `success: false`: more than its limit came with this key of late. */
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

/** The sender of a call, as far as the edge vouches for it. */
export interface Caller {
  /** A client certificate that the edge verified and does not know as revoked, by its fingerprint. */
  readonly certificate: string | undefined;
  /** IP address, or the empty text when the edge names none. */
  readonly address: string;
}

/** After so many seconds a caller that was turned away may try again: the period of every counter (`[[ratelimits]]`). */
export const floodRetrySeconds = 60;

/**
 * Counts a call at a door by the sender's certificate, or without one by its network (/24, /48), and says whether the call may go on.
 * The counter only spares work: when it does not answer, the call goes on.
 */
export async function isBelowFlood(
  counter: CallCounter,
  door: string,
  { certificate, address }: Caller,
): Promise<boolean> {
  const sender = certificate === undefined ? addressPrefix(address) : `certificate ${certificate}`;
  try {
    return (await counter.limit({ key: `${door} ${sender}` })).success;
  } catch {
    return true;
  }
}
