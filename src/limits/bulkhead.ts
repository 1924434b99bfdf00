import { instant, type Instant } from "#kernel/clock";

export interface BulkheadLimits {
  /** After this time a call no longer counts, even if its end was not reported. */
  readonly timeoutMilliseconds: number;
  /** Calls of all clients at once, in one isolate. */
  readonly concurrent: number;
  readonly concurrentPerClient: number;
}

/** A call that is under way. It counts until it ends, or until its timeout if its end is never reported. */
export interface CallSlot {
  readonly client: string;
  readonly until: Instant;
}

/**
 * The calls of an isolate to an origin that are under way. A client whose calls hang uses up its own part, and
 * no part of a different client.
 */
export class Bulkhead {
  readonly #slots = new Map<string, Set<CallSlot>>();
  #size = 0;

  /** A slot, or who is at the limit. */
  take(
    client: string,
    { concurrent, concurrentPerClient, timeoutMilliseconds }: BulkheadLimits,
    at: Instant,
  ): CallSlot | "client_busy" | "origin_busy" {
    const slots = this.#slots.get(client);
    if ((slots?.size ?? 0) >= concurrentPerClient || this.#size >= concurrent) this.#drop(at);
    if ((this.#slots.get(client)?.size ?? 0) >= concurrentPerClient) return "client_busy";
    if (this.#size >= concurrent) return "origin_busy";
    const slot = { client, until: instant(at + timeoutMilliseconds) };
    const among = this.#slots.get(client) ?? new Set();
    this.#slots.set(client, among.add(slot));
    this.#size += 1;
    return slot;
  }

  /** Ends a call; a second end of the same call changes nothing. */
  give(slot: CallSlot): void {
    const among = this.#slots.get(slot.client);
    if (among?.delete(slot) !== true) return;
    this.#size -= 1;
    if (among.size === 0) this.#slots.delete(slot.client);
  }

  /** Ends the calls whose time is over. */
  #drop(at: Instant): void {
    for (const among of this.#slots.values()) for (const slot of among) if (slot.until <= at) this.give(slot);
  }
}
