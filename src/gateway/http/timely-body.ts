import { BodyNotWhole } from "#gateway/admission/resource-body";

// A search of 8 KB comes in one packet or two; a bad line has this long.
const patienceMilliseconds = 15_000;

// A sender hears of a refusal only if it can send all that it wants to: its connection is closed on bytes that nobody reads.
const droppedBytesMax = 16_777_216;
const droppedMilliseconds = 2_000;

/**
 * A request's body for as long as its sender may take: then reading it throws `BodyNotWhole`, as it does when the sender breaks off. A request is
 * judged by what was true when it came. Whoever kept it open by its body would be answered long after its token had ended, and its grant was taken away.
 */
export class TimelyBody implements AsyncIterable<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #milliseconds: number;

  constructor(body: ReadableStream<Uint8Array>, milliseconds = patienceMilliseconds) {
    this.#reader = body.getReader();
    this.#milliseconds = milliseconds;
  }

  /** Does not cancel a body that is not read to its end: workerd would close the connection before the answer. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const late = deadline(this.#milliseconds);
    try {
      for (;;) {
        const read = await Promise.race([this.#reader.read().catch(brokenOff), late.passed]);
        if (read === "late") throw new BodyNotWhole("body_timed_out");
        if (read.done) return;
        yield read.value;
      }
    } finally {
      late.clear();
    }
  }

  /**
   * Reads the rest of the body, up to 16 MiB and two seconds, and keeps nothing of it. Call it before each answer: a sender whose bytes are
   * not read loses its connection, and the answer with it.
   */
  async dropRest(): Promise<void> {
    const late = deadline(droppedMilliseconds);
    try {
      for (let dropped = 0; dropped < droppedBytesMax;) {
        const read = await Promise.race([this.#reader.read(), late.passed]);
        if (read === "late") break;
        if (read.done) return;
        dropped += read.value.length;
      }
      await this.#reader.cancel();
    } catch {
      // The sender broke off: there is no more to read.
    } finally {
      late.clear();
    }
  }
}

function deadline(milliseconds: number): { readonly passed: Promise<"late">; clear(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const passed = new Promise<"late">((pass) => {
    timer = setTimeout(() => pass("late"), milliseconds);
  });
  return { passed, clear: () => clearTimeout(timer) };
}

/** The runtime's own words for it are not said on: they may name the sender's address. */
function brokenOff(): never {
  throw new BodyNotWhole("body_incomplete");
}
