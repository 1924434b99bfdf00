import type { DisclosedWindow } from "#phi/disclosure";
import type { BreakReason } from "#gateway/record/recorder";

export interface WindowDesk {
  /** Throws when the client may no longer be answered, or when that is unknown. */
  readonly stillGood: () => Promise<void>;
  /** Puts a window on record, durably. Throws when it cannot. */
  readonly record: (window: DisclosedWindow, number: number) => Promise<void>;
  /** Puts on record that the answer broke off. */
  readonly abort: (reason: BreakReason) => Promise<void>;
  /** Called after the last byte was written. */
  readonly sent: () => void;
}

/**
 * Writes the windows of an answer whose first window is on record. Each further window is recorded before
 * its first byte is written. If that fails, or the client leaves, the body ends in an error, so that a part
 * cannot pass for the whole. `work` ends with the body and never throws.
 */
export function sendWindows(
  windows: readonly DisclosedWindow[],
  desk: WindowDesk,
): { readonly readable: ReadableStream<Uint8Array>; readonly work: Promise<void> } {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  return { readable, work: write(windows, writable.getWriter(), desk) };
}

async function write(
  windows: readonly DisclosedWindow[],
  writer: WritableStreamDefaultWriter<Uint8Array>,
  desk: WindowDesk,
): Promise<void> {
  let at: BreakReason = "client_disconnected";
  try {
    for (const [index, window] of windows.entries()) {
      if (index > 0) {
        at = "lease_lost";
        await desk.stillGood();
        at = "window_not_recorded";
        await desk.record(window, index + 1);
      }
      at = "client_disconnected";
      await writer.write(window.body);
    }
    await writer.close();
    desk.sent();
  } catch {
    // Both are best effort: the client may have left, and the ledger may have failed. workerd prints the error of
    // an aborted body as an uncaught exception.
    await writer.abort(new Error("the answer broke off")).catch(() => undefined);
    await desk.abort(at).catch(() => undefined);
  }
}
