// Each piece is filled before it is given, even when the chunks that arrive are small. Each chunk (4 KiB in
// workerd) would cost a turn of the event loop, and pieces that are mostly empty would cost memory.
const pieceBytes = 16_384;
// A body up to this length comes as a single piece: nearly every resource and page.
const wholeBytesMax = 1_048_576;

/** Reads a body in filled pieces; an empty body has none. */
export class PieceReader {
  readonly #reader: FillingReader | undefined;
  #size: number;
  #isOver: boolean;

  /**
   * @param declared the body's length as its sender declares it (Content-Length). It only chooses the size of
   * the first piece, so that a truthful body up to 1 MiB takes a single read. A sender may declare a wrong
   * length next to a chunked or compressed body: the rest then follows in pieces of 16 KiB.
   */
  constructor(body: ReadableStream<Uint8Array> | null, declared?: number) {
    this.#reader = body?.getReader({ mode: "byob" });
    // A byte more than the body has: the read that reaches the end is the last read.
    this.#size = declared !== undefined && declared <= wholeBytesMax ? declared + 1 : pieceBytes;
    this.#isOver = body === null;
  }

  /** The next piece; undefined at the end of the body. Throws when the body breaks off. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#reader === undefined || this.#isOver) return undefined;
    const size = this.#size;
    this.#size = pieceBytes;
    const { done, value } = await this.#reader.read(new Uint8Array(size), { min: size });
    // Only the end makes a piece shorter than `min`.
    this.#isOver = done || value === undefined || value.length < size;
    return value !== undefined && value.length > 0 ? value : undefined;
  }

  /** Closes the connection of a body that is not read to its end. */
  async stop(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    // it may have failed already, and that fault was thrown
    await this.#reader?.cancel().catch(() => undefined);
  }
}

/**
 * A body whose framing bounds it: `Content-Length` up to 1 MiB, no transfer coding, and no content coding, of
 * which a short text may become a long body. One call of the runtime reads it.
 */
export class FramedBody {
  readonly #response: Response;
  #isRead = false;

  /** Undefined for a body that its framing does not bound. */
  static of(response: Response): FramedBody | undefined {
    const { headers } = response;
    const declared = declaredLength(headers);
    const isBounded = declared !== undefined && declared <= wholeBytesMax;
    const isCoded = headers.has("content-encoding") || headers.has("transfer-encoding");
    return isBounded && !isCoded ? new FramedBody(response) : undefined;
  }

  private constructor(response: Response) {
    this.#response = response;
  }

  /** The body, once; undefined for an empty body. Throws when the body breaks off. */
  async next(): Promise<Uint8Array | undefined> {
    if (this.#isRead) return undefined;
    this.#isRead = true;
    const bytes = new Uint8Array(await this.#response.arrayBuffer());
    return bytes.length === 0 ? undefined : bytes;
  }

  /** Closes the connection of a body that is not read. */
  async stop(): Promise<void> {
    if (!this.#isRead) await this.#response.body?.cancel().catch(() => undefined);
    this.#isRead = true;
  }
}

/** Reads `Content-Length` (RFC 9110 §8.6). `undefined` if the sender declares no single length. */
export function declaredLength(headers: Pick<Headers, "get">): number | undefined {
  const text = headers.get("content-length");
  return text !== null && /^\d{1,9}$/u.test(text) ? Number(text) : undefined;
}

/** A read with `min` (WHATWG Streams §4.5.3). workerd and Node know it, workers-types do not yet. */
interface FillingReader {
  read(
    view: Uint8Array,
    options: { readonly min: number },
  ): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}
