/**
 * Writes the windows of an answer as they are given out. When the reading throws, or the client leaves, the body ends
 * in an error. `work` ends with the body and never throws.
 */
export function sendWindows(windows: AsyncIterable<Uint8Array>): {
  readonly readable: ReadableStream<Uint8Array>;
  readonly work: Promise<void>;
} {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  return { readable, work: write(windows, writable.getWriter()) };
}

async function write(
  windows: AsyncIterable<Uint8Array>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
): Promise<void> {
  try {
    for await (const window of windows) await writer.write(window); // leaving the loop says that the client left
    await writer.close();
  } catch {
    // workerd prints the error of an aborted body as an uncaught exception
    await writer.abort(new Error("the answer broke off")).catch(() => undefined);
  }
}
