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

  /** @returns whether there is room. Without room nothing is taken. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > bytesMax) return false;
    this.#bytes += bytes;
    return true;
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
