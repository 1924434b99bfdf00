// The rate limiter of the benchmark's workerd: a module that the runtime wraps into a binding. It counts in the
// memory of the isolate, because Cloudflare's binding counts on the machine of the Worker and waits for nothing
// (developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit). Miniflare's calls a Durable Object for
// each request, which was a tenth of a read here.
interface Settings {
  readonly limit: number;
  /** Seconds. */
  readonly period: number;
}

class RateLimiter {
  readonly #settings: Settings;
  #counts = new Map<string, number>();
  #ends = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async limit({ key }: { readonly key: string }): Promise<{ readonly success: boolean }> {
    const now = Date.now();
    if (now >= this.#ends) {
      this.#counts = new Map();
      this.#ends = now + this.#settings.period * 1_000;
    }
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return { success: count <= this.#settings.limit };
  }
}

export default (settings: Settings): RateLimiter => new RateLimiter(settings);
