import type { RateLimits } from "./worker-variables.ts";

/** A rate-limit binding that counts in this process, in windows that begin with a key's first call. */
export function rateLimit({ limit, period }: RateLimits): RateLimit {
  const windows = new Map<string, { readonly ends: number; calls: number }>();
  return {
    async limit({ key }) {
      const now = Date.now();
      const known = windows.get(key);
      const window =
        known !== undefined && now < known.ends ? known : { ends: now + period * 1000, calls: 0 };
      windows.set(key, window);
      window.calls += 1;
      return { success: window.calls <= limit };
    },
  };
}
