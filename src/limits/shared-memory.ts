import { instant, type Clock, type Instant } from "#kernel/clock";

const stepBytes = 1_048_576;
// The requests' part of an isolate's 128 MB, in steps. One request holds 8 MiB of bytes and 4 MiB of trees at most, and
// a tree takes ten times its bytes: half of the part.
const stepsMax = 96;
// A request that never reports its end counts for this time. A long answer reports each window that leaves, and its
// reader has less time for a window (gateway/http/send-windows).
const silentMilliseconds = 120_000;

/** The requests of this client, or all requests of the isolate, hold as much memory as they may. */
export class MemoryBusy extends Error {
  override readonly name = "MemoryBusy";
}

/**
 * The part of an isolate's memory that the requests of all clients share. A client has half of what the others leave:
 * however many clients hold all they may, the next client has a share.
 */
export class SharedMemory {
  readonly #clock: Clock;
  /** The claims that hold steps: at most as many as there are steps. */
  readonly #held = new Set<MemoryClaim>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  claim(client: string): MemoryClaim {
    return new MemoryClaim(client, this.#held, this.#clock);
  }
}

/** The memory of one request or answer. The first MiB is free: nearly every request holds less. */
export class MemoryClaim {
  readonly #client: string;
  readonly #held: Set<MemoryClaim>;
  readonly #clock: Clock;
  #steps = 0;
  #until: Instant = instant(0);

  constructor(client: string, held: Set<MemoryClaim>, clock: Clock) {
    this.#client = client;
    this.#held = held;
    this.#clock = clock;
  }

  /** From here on so many bytes are held. Throws {@link MemoryBusy} without room: then the claim is as before. */
  hold(bytes: number): void {
    const steps = Math.max(0, Math.ceil(bytes / stepBytes) - 1);
    if (steps > this.#steps && !this.#hasRoom(steps)) {
      this.#dropSilent();
      if (!this.#hasRoom(steps)) throw new MemoryBusy();
    }
    this.#set(steps);
  }

  #set(steps: number): void {
    if (steps === 0 && this.#steps === 0) return; // nearly every request
    this.#steps = steps;
    this.#until = instant(this.#clock() + silentMilliseconds);
    if (steps === 0) this.#held.delete(this);
    else this.#held.add(this);
  }

  #hasRoom(steps: number): boolean {
    let [own, others] = [steps, 0];
    for (const claim of this.#held) {
      if (claim.#client !== this.#client) others += claim.#steps;
      else if (claim !== this) own += claim.#steps;
    }
    return own <= (stepsMax - others) / 2;
  }

  #dropSilent(): void {
    const now = this.#clock();
    for (const claim of this.#held) if (claim.#until <= now) claim.#set(0);
  }
}
