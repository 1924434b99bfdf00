import type { Instant } from "#kernel/clock";
import { equalInConstantTime } from "#kernel/constant-time";

/**
 * A keyed hash (HMAC-SHA-256, RFC 2104) of a text, in base64url. The key never leaves the provider of this
 * function.
 */
export type Mac = (text: string) => string;

// RFC 9449 §11.2 leaves the time to the server: a proof made ahead of time is valid for 30 to 60 seconds.
const bucketMilliseconds = 30_000;

/**
 * The nonce that a holder of the key `jkt` gets now. It is stateless: any place with the same MAC key
 * recognises it.
 */
export function freshNonce(mac: Mac, jkt: string, at: Instant): string {
  return nonceOf(mac, jkt, bucketOf(at));
}

/** True if this key got the nonce in this half-minute or the previous half-minute. */
export function isFreshNonce(mac: Mac, nonce: string, jkt: string, at: Instant): boolean {
  const bucket = bucketOf(at);
  const [now, before] = [bucket, bucket - 1].map((each) =>
    equalInConstantTime(nonceOf(mac, jkt, each), nonce),
  );
  return now === true || before === true;
}

const bucketOf = (at: Instant): number => Math.floor(at / bucketMilliseconds);

const nonceOf = (mac: Mac, jkt: string, bucket: number): string =>
  mac(`phylax dpop nonce v1 ${bucket} ${jkt}`);
