import { MemoryBusy, type MemoryClaim } from "#limits/shared-memory";

/** Limit for bodies, plans and answers as bytes. */
const bytesMax = 8_388_608;
/**
 * Limit for resources as trees, by their source bytes: a tree takes ten times as much of an isolate's 128
 * MB.
 */
const treesMax = 4_194_304;
const treeFactor = 10;

/**
 * The memory budget of a request: all its questions, plans, rows and answers share it. Without room in the isolate's
 * shared memory the takers throw {@link MemoryBusy}, a fault: 503, and the request may be repeated. Once a write was
 * sent the fault may not end the request: the takers answer that there is no room, and a bundle's reading refuses its
 * entry alone.
 */
export class HeldBytes {
  readonly #claim: Pick<MemoryClaim, "hold" | "page"> | undefined;
  #bytes = 0;
  #unjudged = 0;
  #trees = 0;
  #lacksPlans = false;
  #isSending = false;
  #mayThrow = true;

  /** @param claim of the request in the memory of its isolate. */
  constructor(claim?: Pick<MemoryClaim, "hold" | "page">) {
    this.#claim = claim;
  }

  /** @returns whether there is room. Without room nothing is taken. */
  take(bytes: number): boolean {
    if (this.#bytes + this.#unjudged + bytes > bytesMax) return false;
    return this.#hold(this.#bytes + bytes, this.#trees);
  }

  /**
   * As {@link take}, for rows that wait for facts: some may be hidden, so the isolate's shared memory, whose end tells a
   * client that it holds too much, does not count them.
   */
  takeUnjudged(bytes: number): boolean {
    if (this.#bytes + this.#unjudged + bytes > bytesMax) return false;
    this.#unjudged += bytes;
    return true;
  }

  giveUnjudged(bytes: number): void {
    this.#unjudged -= bytes;
  }

  /**
   * False once a write is sent: then the isolate's lack of room is no fault, since a repeated request would send the
   * write again.
   */
  set mayThrow(mayThrow: boolean) {
    this.#mayThrow = mayThrow;
  }

  /** As {@link take}, for the plan of a write. */
  takePlan(bytes: number): boolean {
    const hasRoom = this.take(bytes);
    if (!hasRoom) this.#lacksPlans = true;
    return hasRoom;
  }

  /**
   * There was no room for the plan of a write: the request plans no further write. To decide about a row of a megabyte
   * takes a second, and the entries of a batch may name fifty.
   */
  get lacksPlans(): boolean {
    return this.#lacksPlans;
  }

  give(bytes: number): void {
    this.#hold(this.#bytes - bytes, this.#trees);
  }

  /** As {@link take}, for a resource as a tree. @param bytes its source bytes. */
  takeTree(bytes: number): boolean {
    if (this.#trees + bytes > treesMax) return false;
    return this.#hold(this.#bytes, this.#trees + bytes);
  }

  giveTrees(bytes: number): void {
    this.#hold(this.#bytes, this.#trees - bytes);
  }

  /** The answer is all that is left of the request: its plans and rows are dropped. */
  holdAnswer(bytes: number): void {
    this.#hold(bytes, 0);
  }

  /** The windows of an answer: {@link end} waits for their reader, however slow it is. */
  untilSent(windows: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    this.#isSending = true;
    return this.#sent(windows);
  }

  async *#sent(windows: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
    try {
      for await (const window of windows) {
        this.#hold(this.#bytes, this.#trees); // a claim that is silent for long ends
        yield window;
      }
    } finally {
      this.#isSending = false;
      this.end();
    }
  }

  /** The request is answered. */
  end(): void {
    if (!this.#isSending) this.#hold(0, 0);
  }

  /** A page for so many rows is filled until the returned function is called. Undefined: there is no room. */
  page(rows: number): (() => void) | undefined {
    const end = this.#inRoom(() => this.#claim?.page(rows));
    return end === "no room" ? undefined : (end ?? (() => {}));
  }

  #hold(bytes: number, trees: number): boolean {
    if (this.#inRoom(() => this.#claim?.hold(bytes + treeFactor * trees)) === "no room") return false;
    [this.#bytes, this.#trees] = [bytes, trees];
    return true;
  }

  #inRoom<T>(take: () => T): T | "no room" {
    try {
      return take();
    } catch (fault) {
      if (this.#mayThrow || !(fault instanceof MemoryBusy)) throw fault;
      return "no room";
    }
  }
}
