/**
 * Cloudflare's published prices in US dollars, beyond the amounts in the plan, from its documentation on the
 * day below (Durable Objects, R2: their pages on pricing). Prices change: look again before a decision rests
 * on them.
 */
export const pricesOf = "2026-11-26";
export const prices = {
  objectRequests: 0.15, // a million: RPC calls and alarms
  objectDuration: 12.5, // a million GB-s, of the 128 MB that each object is billed for
  rowsWritten: 1, // a million
  objectStorage: 0.2, // a GB and month
  bucketWrites: 4.5, // a million of class A
  bucketReads: 0.36, // a million of class B
  bucketStorage: 0.015, // a GB and month
} as const;

export const objectGigabytes = 0.128;
export const monthSeconds = 2_628_000;
/** 45 CFR 164.316(b)(2)(i), 164.528(a)(3): six years. */
export const monthsKept = 72;
