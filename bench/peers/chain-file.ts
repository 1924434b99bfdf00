import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { createInterface } from "node:readline";

interface Waiting {
  readonly event: object;
  readonly stored: (at: { readonly index: number; readonly hash: string }) => void;
  readonly failed: (fault: unknown) => void;
}

const hashOf = (line: string) => createHash("sha256").update(line).digest("base64url");

/**
 * A hash-chained log in one file, as a careful team would write it for one machine. Each line contains the
 * hash of the line before. Events that arrive during a write and its fsync are written together next (group
 * commit).
 */
export class ChainFile {
  readonly #file: FileHandle;
  #queue: Waiting[] = [];
  #isWriting = false;
  #index = 0;
  #previous = "";

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<ChainFile> {
    return new ChainFile(await open(path, "wx", 0o600));
  }

  /** Resolves once the event is on the disk. */
  append(event: object): Promise<{ readonly index: number; readonly hash: string }> {
    return new Promise((stored, failed) => {
      this.#queue.push({ event, stored, failed });
      if (!this.#isWriting) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      const lines = batch.map(({ event }) => {
        const line = JSON.stringify({ index: this.#index++, previous: this.#previous, ...event });
        this.#previous = hashOf(line);
        return { line, hash: this.#previous, index: this.#index - 1 };
      });
      try {
        await this.#file.write(`${lines.map(({ line }) => line).join("\n")}\n`);
        await this.#file.datasync();
        for (const [i, { stored }] of batch.entries()) stored(lines[i] ?? { index: -1, hash: "" });
      } catch (fault) {
        for (const { failed } of batch) failed(fault);
      }
    }
    this.#isWriting = false;
  }
}

/** The number of lines of a file with an intact chain. Throws, naming the line, where the chain is broken. */
export async function verifyChain(path: string): Promise<number> {
  let [previous, index] = ["", 0];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const event: { index?: unknown; previous?: unknown } = JSON.parse(line);
    if (event.index !== index || event.previous !== previous)
      throw new Error(`${path}:${index + 1}: the chain does not hold`);
    previous = hashOf(line);
    index += 1;
  }
  return index;
}
