import { instant, type Clock, type Instant } from "#kernel/clock";

const stepBytes = 1_048_576;
// The requests' part of an isolate's 128 MB, in steps. One request holds 8 MiB of bytes and 4 MiB of trees at most, and
// a tree takes ten times its bytes: half of the part.
const stepsMax = 96;
const stepRows = 100;
// 32,000 rows at once, of which a client alone has 17 pages of a thousand. A page of crafted rows takes seconds of the
// isolate's one thread, and up to 8 MiB while the rows wait for facts.
const rowStepsMax = 320;
// A request that never reports its end counts for this time. A long answer reports each window that leaves, and its
// reader has less time for a window (gateway/http/send-windows).
const silentMilliseconds = 120_000;

/** The requests of this client, or all requests of the isolate, hold as much memory as they may. */
export class MemoryBusy extends Error {
  override readonly name = "MemoryBusy";
}

/** The steps that the requests of an isolate share. */
interface Shared {
  readonly clock: Clock;
  readonly steps: number;
  /** The claims that hold steps: at most as many as there are steps. */
  readonly held: Set<Claim>;
}

/**
 * The part of an isolate's memory and of the isolate's one thread that the requests of all clients share. A client has
 * half of what the others leave, in whole steps: the seventh client beside six that hold all they may has one step or none.
 */
export class SharedMemory {
  readonly #bytes: Shared;
  readonly #rows: Shared;

  constructor(clock: Clock) {
    this.#bytes = { clock, steps: stepsMax, held: new Set() };
    this.#rows = { clock, steps: rowStepsMax, held: new Set() };
  }

  claim(client: string): MemoryClaim {
    return new MemoryClaim(client, this.#bytes, this.#rows);
  }
}

/** The memory of one request or answer. */
export class MemoryClaim {
  readonly #client: string;
  readonly #bytes: Claim;
  readonly #rows: Shared;

  constructor(client: string, bytes: Shared, rows: Shared) {
    this.#client = client;
    this.#bytes = new Claim(client, bytes);
    this.#rows = rows;
  }

  /**
   * From here on so many bytes are held. Throws {@link MemoryBusy} without room: then the claim is as before. The first
   * MiB is free: nearly every request holds less.
   */
  hold(bytes: number): void {
    this.#bytes.take(Math.ceil(bytes / stepBytes) - 1);
  }

  /**
   * A page for so many rows is filled until the returned function is called. The rows count that the client asks for,
   * whatever the origin sends: hidden rows do not show. Throws {@link MemoryBusy} without room. The first hundred rows
   * are free.
   */
  page(rows: number): () => void {
    const claim = new Claim(this.#client, this.#rows);
    claim.take(Math.ceil(rows / stepRows) - 1);
    return () => claim.take(0);
  }
}

class Claim {
  readonly #client: string;
  readonly #shared: Shared;
  #steps = 0;
  #until: Instant = instant(0);

  constructor(client: string, shared: Shared) {
    this.#client = client;
    this.#shared = shared;
  }

  take(steps: number): void {
    if (steps > this.#steps && !this.#hasRoom(steps)) {
      this.#dropSilent();
      if (!this.#hasRoom(steps)) throw new MemoryBusy();
    }
    this.#set(Math.max(0, steps));
  }

  #set(steps: number): void {
    if (steps === 0 && this.#steps === 0) return; // nearly every request
    const { clock, held } = this.#shared;
    this.#steps = steps;
    this.#until = instant(clock() + silentMilliseconds);
    if (steps === 0) held.delete(this);
    else held.add(this);
  }

  #hasRoom(steps: number): boolean {
    let [own, others] = [steps, 0];
    for (const claim of this.#shared.held) {
      if (claim.#client !== this.#client) others += claim.#steps;
      else if (claim !== this) own += claim.#steps;
    }
    return own <= (this.#shared.steps - others) / 2;
  }

  #dropSilent(): void {
    const { clock, held } = this.#shared;
    const now = clock();
    for (const claim of held) if (claim.#until <= now) claim.#set(0);
  }
}
