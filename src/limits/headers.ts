import type { Budget, Exhausted } from "./ports.ts";

/** Response headers of draft-ietf-httpapi-ratelimit-headers-11 §3 and §4, and `Retry-After` (RFC 9110 §10.2.3) when refused. */
export function rateLimitHeaders({ policy, limit, windowSeconds, remaining, resetSeconds }: Budget): Readonly<Record<string, string>> {
  return {
    "RateLimit-Policy": `"${policy}";q=${limit};w=${windowSeconds}`,
    RateLimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
  };
}

/** `jitter`: 0 ≤ jitter < 1, spreads the clients that wait for one window's end. Never earlier than `t`. */
export function exhaustedHeaders(exhausted: Exhausted, jitter: number): Readonly<Record<string, string>> {
  const spread = Math.floor(jitter * Math.min(10, 1 + exhausted.retryAfterSeconds / 10));
  return { ...rateLimitHeaders(exhausted), "Retry-After": String(exhausted.retryAfterSeconds + spread) };
}
