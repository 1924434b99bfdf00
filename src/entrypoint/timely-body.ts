/** The sender of a body was too slow, or broke off: reading the body throws this. */
export class BodyNotWhole extends Error {
  override readonly name = "BodyNotWhole";
  readonly reason: "body_timed_out" | "body_incomplete";

  constructor(reason: BodyNotWhole["reason"]) {
    super();
    this.reason = reason;
  }
}

// A search of 8 KB comes in a packet or two, and a megabyte takes this time at 560 kbit/s.
export const bodyPatienceMilliseconds = 15_000;

// A sender gets a refusal only if its whole body is read: unread bytes close the connection.
const droppedBytesMax = 16_777_216;
const silenceMilliseconds = 5_000;
// A refused sender who is not authenticated keeps a connection open for this time, and no longer.
const strangerMilliseconds = 3_000;

/**
 * A request's body, with a time limit for its sender: after it, or when the sender breaks off, reading
 * throws `BodyNotWhole`. A request is judged by the facts at its arrival. Without the limit a sender could
 * keep a request open until long after its token expired or its grant was withdrawn.
 */
export class TimelyBody implements AsyncIterable<Uint8Array> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #milliseconds: number;
  #isTrusted = false;

  constructor(body: ReadableStream<Uint8Array>, milliseconds = bodyPatienceMilliseconds) {
    this.#reader = body.getReader();
    this.#milliseconds = milliseconds;
  }

  /** The sender is authenticated: it has time to send the rest of a body that is refused. */
  trust(): void {
    this.#isTrusted = true;
  }

  /**
   * It does not cancel a body that is not read to its end: workerd would close the connection before the
   * answer.
   */
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
   * Reads the rest of the body, up to 16 MiB, and keeps nothing of it. It ends when the sender is silent for five
   * seconds, at the time limit, and for a sender that is not trusted after three seconds. Call it before each answer: a sender whose bytes are not read loses its
   * connection, and the answer with it, however steadily it sends.
   */
  async dropRest(): Promise<void> {
    const late = deadline(this.#isTrusted ? this.#milliseconds : strangerMilliseconds);
    try {
      for (let dropped = 0; dropped < droppedBytesMax;) {
        const silent = deadline(silenceMilliseconds);
        const read = await Promise.race([this.#reader.read(), late.passed, silent.passed]).finally(() =>
          silent.clear(),
        );
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

/** The runtime's own message is dropped: it may name the sender's address. */
function brokenOff(): never {
  throw new BodyNotWhole("body_incomplete");
}
