import type { Budget, Exhausted, QuotaName } from "./ports.ts";

// The records quota counts released resources. The units that draft-ietf-httpapi-ratelimit-headers-11 §8
// registers count requests, bytes and connections.
const units: Readonly<Record<QuotaName, string>> = { default: "", subject: "", records: ';qu="records"' };

/**
 * Response headers of draft-ietf-httpapi-ratelimit-headers-11 §3 and §4: an item for each quota that was
 * spent from.
 */
export function rateLimitHeaders(budgets: readonly Budget[]): Readonly<Record<string, string>> {
  return {
    "RateLimit-Policy": budgets
      .map(({ policy, limit, windowSeconds }) => `"${policy}";q=${limit};w=${windowSeconds}${units[policy]}`)
      .join(", "),
    RateLimit: budgets
      .map(({ policy, remaining, resetSeconds }) => `"${policy}";r=${remaining};t=${resetSeconds}`)
      .join(", "),
  };
}

/**
 * A refused request gets the same headers, and `Retry-After` (RFC 9110 §10.2.3). `jitter` (0 ≤ jitter < 1)
 * spreads the clients that wait for the end of the same window. `Retry-After` is never earlier than `t`.
 */
export function exhaustedHeaders(
  exhausted: Exhausted,
  spent: readonly Budget[],
  jitter: number,
): Readonly<Record<string, string>> {
  const spread = Math.floor(jitter * Math.min(10, 1 + exhausted.retryAfterSeconds / 10));
  return {
    ...rateLimitHeaders([...spent, exhausted]),
    "Retry-After": String(exhausted.retryAfterSeconds + spread),
  };
}
