/** Limit for bodies, plans and answers as bytes. */
const bytesMax = 8_388_608;
/**
 * Limit for resources as trees, by their source bytes: a tree takes ten times as much of an isolate's 128
 * MB.
 */
const treesMax = 4_194_304;

/** The memory budget of a request: all its questions, plans, rows and answers share it. */
export class HeldBytes {
  readonly #whole: HeldBytes | undefined;
  #bytes = 0;
  #trees = 0;
  #lacksPlans = false;

  /** @param whole the budget that this is a part of: it has all bytes of its parts. */
  constructor(whole?: HeldBytes) {
    this.#whole = whole;
  }

  /** Gives back all that this part holds. */
  giveAll(): void {
    this.#whole?.give(this.#bytes);
    this.#whole?.giveTrees(this.#trees);
    this.#bytes = 0;
    this.#trees = 0;
  }

  /** @returns whether there is room. Without room nothing is taken. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > bytesMax || this.#whole?.take(bytes) === false) return false;
    this.#bytes += bytes;
    return true;
  }

  /** As {@link take}, for the plan of a write. */
  takePlan(bytes: number): boolean {
    const hasRoom = this.take(bytes);
    if (!hasRoom) this.#first.#lacksPlans = true;
    return hasRoom;
  }

  /**
   * There was no room for the plan of a write: the request plans no further write. To decide about a row of a megabyte
   * takes a second, and the entries of a batch may name fifty.
   */
  get lacksPlans(): boolean {
    return this.#first.#lacksPlans;
  }

  /** The budget of the request. */
  get #first(): HeldBytes {
    return this.#whole === undefined ? this : this.#whole.#first;
  }

  give(bytes: number): void {
    this.#whole?.give(bytes);
    this.#bytes -= bytes;
  }

  /** As {@link take}, for a resource as a tree. @param bytes its source bytes. */
  takeTree(bytes: number): boolean {
    if (this.#trees + bytes > treesMax || this.#whole?.takeTree(bytes) === false) return false;
    this.#trees += bytes;
    return true;
  }

  giveTrees(bytes: number): void {
    this.#whole?.giveTrees(bytes);
    this.#trees -= bytes;
  }
}
