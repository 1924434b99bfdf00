/**
 * Limits repeated reads to a part of all reads of an origin, so that repeats never double the load of an
 * origin that is failing. A repeat costs ten times what a call adds.
 */
export class RetryBudget {
  #tokens: number = tokensMax;

  /** Counts a first call. */
  add(): void {
    this.#tokens = Math.min(tokensMax, this.#tokens + perCall);
  }

  /** True if a repeat may be sent; it is paid then. */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

const [tokensMax, perCall] = [10, 0.1];

// "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): full jitter spreads the repeats best.
const delayMaxMilliseconds = 100;

/** The wait before a repeat: between none and 100 ms. @param chance from 0 to 1, exclusive. */
export const retryDelay = (chance: number): number => Math.floor(chance * delayMaxMilliseconds);
