import { instant, type Clock, type Instant } from "#kernel/clock";
import { rowUnits } from "./shared-thread.ts";

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
// A refused client asks again after the two seconds of Retry-After.
const hungryMilliseconds = 10_000;

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
  /** The clients that held nothing and were refused an equal part, and until when they are waited for. */
  readonly hungry: Map<string, Instant>;
}

/**
 * The part of an isolate's memory and of the isolate's one thread that the requests of all clients share. A client has
 * half of what the others leave, in whole steps. The eighth client beside seven that hold all they may has no step: then
 * no client takes more than an equal part until the eighth has its steps.
 */
export class SharedMemory {
  readonly #bytes: Shared;
  readonly #rows: Shared;

  constructor(clock: Clock) {
    this.#bytes = { clock, steps: stepsMax, held: new Set(), hungry: new Map() };
    this.#rows = { clock, steps: rowStepsMax, held: new Set(), hungry: new Map() };
  }

  /** @param charge counts the work that goes with what is held. */
  claim(client: string, charge: (units: number) => void = () => {}): MemoryClaim {
    return new MemoryClaim(client, this.#bytes, this.#rows, charge);
  }
}

/** The memory of one request or answer. */
export class MemoryClaim {
  readonly #client: string;
  readonly #bytes: Claim;
  readonly #rows: Shared;
  readonly #charge: (units: number) => void;
  #charged = 0;

  constructor(client: string, bytes: Shared, rows: Shared, charge: (units: number) => void) {
    this.#client = client;
    this.#bytes = new Claim(client, bytes);
    this.#rows = rows;
    this.#charge = charge;
  }

  /**
   * From here on so many bytes are held. Throws {@link MemoryBusy} without room: then the claim is as before. The first
   * MiB is free: nearly every request holds less.
   */
  hold(bytes: number): void {
    this.#bytes.take(Math.ceil(bytes / stepBytes) - 1);
    if (bytes > this.#charged) this.#charge(bytes - this.#charged);
    this.#charged = bytes;
  }

  /**
   * A page for so many rows is filled until the returned function is called. The rows count that the client asks for,
   * whatever the origin sends: hidden rows do not show. Throws {@link MemoryBusy} without room. The first hundred rows
   * are free.
   */
  page(rows: number): () => void {
    const claim = new Claim(this.#client, this.#rows);
    claim.take(Math.ceil(rows / stepRows) - 1);
    this.#charge(rows * rowUnits);
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
      if (!this.#hasRoom(steps)) throw this.#refused(steps);
    }
    if (steps > 0) this.#shared.hungry.delete(this.#client);
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
    const [own, others] = [steps + this.#heldBeside(true), this.#heldBeside(false)];
    const { steps: all, hungry } = this.#shared;
    if (hungry.size > 0) return own <= this.#equalPart() && own + others <= all;
    return own <= (all - others) / 2;
  }

  /** The steps of the other claims: of this client, or of the other clients. */
  #heldBeside(isOwn: boolean): number {
    let steps = 0;
    for (const claim of this.#shared.held)
      if (claim !== this && (claim.#client === this.#client) === isOwn) steps += claim.#steps;
    return steps;
  }

  #equalPart(): number {
    const { held, hungry, steps } = this.#shared;
    const clients = new Set([this.#client, ...hungry.keys()]);
    for (const claim of held) clients.add(claim.#client);
    return steps / clients.size;
  }

  #refused(steps: number): MemoryBusy {
    const { clock, hungry } = this.#shared;
    if (this.#steps === 0 && this.#heldBeside(true) === 0 && steps <= this.#equalPart())
      hungry.set(this.#client, instant(clock() + hungryMilliseconds));
    return new MemoryBusy();
  }

  #dropSilent(): void {
    const { clock, held, hungry } = this.#shared;
    const now = clock();
    for (const claim of held) if (claim.#until <= now) claim.#set(0);
    for (const [client, until] of hungry) if (until <= now) hungry.delete(client);
  }
}
