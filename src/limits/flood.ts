import { addressPrefix } from "#kernel/address-prefix";

/**
 * Counts calls by a key, roughly and in one data centre only: it is good enough to notice a flood and too
 * rough for a quota.
 */
export interface CallCounter {
  /** `success: false`: more calls than the limit came with this key lately. */
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

/** The sender of a call, as far as the edge vouches for it. */
export interface CountedCaller {
  /** A client certificate that the edge verified and does not know as revoked, by its fingerprint. */
  readonly certificate: string | undefined;
  /** IP address, or the empty text when the edge names none. */
  readonly address: string;
}

/**
 * A caller that was turned away may try again after this time: the period of every counter
 * (`[[ratelimits]]`).
 */
export const floodRetrySeconds = 60;

/**
 * Counts a call at a public entry point and says if the call may go on. The key is the sender's
 * certificate, or without a certificate the sender's network (/24, /48). The counter only saves work: when
 * it does not answer, the call goes on.
 */
export async function isBelowFlood(
  counter: CallCounter,
  entryPoint: string,
  { certificate, address }: CountedCaller,
): Promise<boolean> {
  const sender = certificate === undefined ? addressPrefix(address) : `certificate ${certificate}`;
  try {
    return (await counter.limit({ key: `${entryPoint} ${sender}` })).success;
  } catch {
    return true;
  }
}
