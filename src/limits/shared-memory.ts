import type { Clock } from "#kernel/clock";
import { Bulkhead, type CallSlot } from "./bulkhead.ts";

const stepBytes = 1_048_576;
// In steps. One request holds 8 MiB of bytes and 4 MiB of trees at most, and a tree takes ten times its bytes: half of
// the requests' part of an isolate's 128 MB. The claim of a request that never reports its end is dropped after the time.
const limits = { concurrent: 96, concurrentPerClient: 48, timeoutMilliseconds: 120_000 };

/** The requests of this client, or all requests of the isolate, hold as much memory as they may. */
export class MemoryBusy extends Error {
  override readonly name = "MemoryBusy";
}

/** The part of an isolate's memory that the requests of all clients share. A client has half of the part at most. */
export class SharedMemory {
  readonly #clock: Clock;
  readonly #slots = new Bulkhead();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  claim(client: string): MemoryClaim {
    return new MemoryClaim(
      () => this.#slots.take(client, limits, this.#clock()),
      (slot) => this.#slots.give(slot),
    );
  }
}

/** The memory of one request or answer. The first MiB is free: nearly every request holds less. */
export class MemoryClaim {
  readonly #take: () => CallSlot | string;
  readonly #give: (slot: CallSlot) => void;
  readonly #slots: CallSlot[] = [];

  constructor(take: () => CallSlot | string, give: (slot: CallSlot) => void) {
    this.#take = take;
    this.#give = give;
  }

  /** From here on so many bytes are held. Throws {@link MemoryBusy} without room: then the claim is as before. */
  hold(bytes: number): void {
    const steps = Math.max(0, Math.ceil(bytes / stepBytes) - 1);
    const before = this.#slots.length;
    while (this.#slots.length < steps) {
      const slot = this.#take();
      if (typeof slot === "string") {
        this.#shrinkTo(before);
        throw new MemoryBusy();
      }
      this.#slots.push(slot);
    }
    this.#shrinkTo(steps);
  }

  #shrinkTo(steps: number): void {
    for (const slot of this.#slots.splice(steps)) this.#give(slot);
  }
}
