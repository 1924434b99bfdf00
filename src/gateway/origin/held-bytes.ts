/** Limit for bodies, plans and answers as bytes. */
const bytesMax = 8_388_608;
/**
 * Limit for resources as trees, by their source bytes: a tree takes ten times as much of an isolate's 128
 * MB.
 */
const treesMax = 4_194_304;

/** The memory budget of a request: all its questions, plans, rows and answers share it. */
export class HeldBytes {
  #bytes = 0;
  #trees = 0;
  #lacksPlans = false;

  /** @returns whether there is room. Without room nothing is taken. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > bytesMax) return false;
    this.#bytes += bytes;
    return true;
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
    this.#bytes -= bytes;
  }

  /** As {@link take}, for a resource as a tree. @param bytes its source bytes. */
  takeTree(bytes: number): boolean {
    if (this.#trees + bytes > treesMax) return false;
    this.#trees += bytes;
    return true;
  }

  giveTrees(bytes: number): void {
    this.#trees -= bytes;
  }
}
