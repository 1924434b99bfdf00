import { within } from "#platform/within";

/** Runs a single write at a time, in the order of arrival. */
export class WriteTurns {
  #last: Promise<unknown> = Promise.resolve();
  readonly #patience: number;
  readonly #longest: number;

  /**
   * @param limits in milliseconds. `patience`: a write that waits longer for earlier writes is given up.
   * `longest`: no write takes longer, so that a write without an end blocks no later write for ever.
   */
  constructor({ patience, longest }: { readonly patience: number; readonly longest: number }) {
    this.#patience = patience;
    this.#longest = longest;
  }

  /**
   * Calls within a Durable Object may wait for each other: the runtime treats the calls as a single context.
   * Throws when the earlier writes take too long.
   */
  async run<T>(write: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#last = promise;
    try {
      await within(this.#patience, before, "another write of the registry takes too long");
      return await write();
    } finally {
      // A call that gave up waiting must not let the next call pass the write that it waited for.
      resolve(within(this.#longest, before, "").catch(() => undefined));
    }
  }
}
