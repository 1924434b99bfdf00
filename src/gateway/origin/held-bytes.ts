/** Of bodies, plans and answers as bytes. */
const bytesMax = 8_388_608;
/** Of resources as trees, by the bytes that they were read from: a tree is ten times as much, of an isolate's 128 MB. */
const treesMax = 4_194_304;

/** What one request holds at once: one budget for all of its questions, plans, rows and answers. */
export class HeldBytes {
  #bytes = 0;
  #trees = 0;

  /** @returns whether there is room. What has none is not held. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** As {@link take}, of a resource that is held as a tree. @param bytes that it was read from. */
  takeTree(bytes: number): boolean {
    if (this.#trees + bytes > treesMax) return false;
    this.#trees += bytes;
    return true;
  }

  giveTrees(bytes: number): void {
    this.#trees -= bytes;
  }
}
