// Each piece is filled before it is given, even when the chunks that arrive are small. Each chunk (4 KiB in
// workerd) would cost a turn of the event loop, and pieces that are mostly empty would cost memory.
const pieceBytes = 16_384;

/**
 * A body in pieces of 16 KiB, the last piece shorter; an empty body has none. A reader that stops closes the
 * connection. Throws when the body breaks off.
 */
export async function* piecesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader({ mode: "byob" }) as FillingReader;
  let isWhole = false;
  try {
    while (!isWhole) {
      const { done, value } = await reader.read(new Uint8Array(pieceBytes), { min: pieceBytes });
      isWhole = done;
      if (value !== undefined && value.length > 0) yield value;
    }
  } finally {
    // it may have failed already, and that fault was thrown
    if (!isWhole) await reader.cancel().catch(() => undefined);
  }
}

/** A read with `min` (WHATWG Streams §4.5.3). workerd and Node know it, workers-types do not yet. */
interface FillingReader {
  read(
    view: Uint8Array,
    options: { readonly min: number },
  ): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}
