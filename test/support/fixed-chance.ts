import { createHash } from "node:crypto";
import { vi } from "vitest";
import { newId } from "#platform/new-id";

// Ids whose random bytes the gateway draws at once (src/platform/new-id.ts).
const idsAtOnce = 256;

/**
 * The clock and the random values of this process as a test sets them: `Date`, `crypto.getRandomValues`,
 * `crypto.randomUUID`, `Math.random`. Values from node:crypto (the seeds and keys of the ledger) stay
 * random. Timers run in real time.
 */
export class FixedChance {
  #seed = "";
  #drawn = 0;

  constructor(at: number) {
    vi.useFakeTimers({ toFake: ["Date"], now: at });
    vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
      if (array !== null) this.#fill(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      return array;
    });
    vi.spyOn(crypto, "randomUUID").mockImplementation(() => {
      const hex = Buffer.from(this.#fill(new Uint8Array(16))).toString("hex");
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
    });
    vi.spyOn(Math, "random").mockImplementation(() => (this.#fill(new Uint8Array(1))[0] ?? 0) / 256);
  }

  /** Sets the clock, and derives all random values from this seed from now on. */
  set(at: number, seed: string): void {
    vi.setSystemTime(at);
    this.#useUpIds();
    this.#seed = seed;
    this.#drawn = 0;
  }

  /** Ids that were drawn before must not be used under the next seed. */
  #useUpIds(): void {
    const before = this.#drawn;
    for (let used = 0; this.#drawn === before; used += 1) {
      if (used > idsAtOnce) throw new Error("a later FixedChance of this process draws the random values");
      newId();
    }
    for (let used = 1; used < idsAtOnce; used += 1) newId();
  }

  end(): void {
    vi.useRealTimers();
    vi.restoreAllMocks();
  }

  #fill(bytes: Uint8Array): Uint8Array {
    for (let from = 0; from < bytes.length; from += 32) {
      const block = createHash("sha256")
        .update(`${this.#seed} ${this.#drawn++}`)
        .digest();
      bytes.set(block.subarray(0, bytes.length - from), from);
    }
    return bytes;
  }
}
