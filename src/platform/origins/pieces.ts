// Each piece is filled before it is given, however small the chunks that come: they would cost a turn each (workerd's are 4 KiB), and
// pieces that hold few bytes of what they keep would cost memory.
const pieceBytes = 16_384;

/** A body in pieces of 16 KiB, the last one shorter; an empty one has none. Whoever stops reading hangs up. Throws when it breaks off. */
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
    if (!isWhole) await reader.cancel().catch(() => undefined); // it may have failed already, which was said
  }
}

/** With `min` (WHATWG Streams §4.5.3), which workerd and Node know and workers-types do not yet. */
interface FillingReader {
  read(
    view: Uint8Array,
    options: { readonly min: number },
  ): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}
