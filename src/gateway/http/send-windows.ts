// A window of 1 MiB at 10 KiB a second. The isolate's memory counts a window for longer (limits/shared-memory).
const patienceMilliseconds = 100_000;

/**
 * Writes the windows of an answer as they are given out. When the reading throws, or the client leaves or takes nothing
 * for so long, the body ends in an error. `work` ends with the body and never throws.
 */
export function sendWindows(
  windows: AsyncIterable<Uint8Array>,
  milliseconds = patienceMilliseconds,
): {
  readonly readable: ReadableStream<Uint8Array>;
  readonly work: Promise<void>;
} {
  let stop = () => {};
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    // the writer's own abort waits for the reader
    start: (controller) => void (stop = controller.error.bind(controller, new Error("the reader stopped"))),
  });
  const taken = async (writing: Promise<void>) => {
    const late = setTimeout(stop, milliseconds);
    await writing.finally(() => clearTimeout(late));
  };
  return { readable, work: write(windows, writable.getWriter(), taken) };
}

async function write(
  windows: AsyncIterable<Uint8Array>,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  taken: (writing: Promise<void>) => Promise<void>,
): Promise<void> {
  try {
    for await (const window of windows) await taken(writer.write(window)); // leaving the loop says that the client left
    await writer.close();
  } catch {
    // workerd prints the error of an aborted body as an uncaught exception
    await writer.abort(new Error("the answer broke off")).catch(() => undefined);
  }
}
