import { nothingReleased, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { BreakReason, Recorder } from "./recorder.ts";

/**
 * The windows of an answer whose first window is on record. Before each further window is given out, the gate is asked
 * again (a withdrawal counts within ten seconds, P4) and the window is recorded. If that fails the reading throws, so
 * that a part cannot pass for the whole; the record says so, as it does if the reader leaves.
 *
 * @param mayLeave asks the gate whether the windows from this index on may leave.
 * @param sent called after the last window was taken.
 */
export async function* recordedWindows(
  disclosure: Disclosure,
  mayLeave: (from: number) => Promise<boolean>,
  recorder: Pick<Recorder, "window" | "aborted">,
  keepAlive: (work: Promise<void>) => void,
  sent: () => void,
): AsyncGenerator<Uint8Array, undefined> {
  let at: BreakReason | undefined = "client_disconnected";
  const status = disclosure.content?.status ?? 200;
  let number = 0;
  try {
    for await (const window of windowsOf(disclosure)) {
      number += 1;
      if (number > 1) {
        at = "lease_lost";
        if (!(await mayLeave(number - 1))) throw new Error("denied in the middle of the answer");
        at = "window_not_recorded";
        await recorder.window(window, number, disclosure, status);
      }
      at = "client_disconnected";
      if (window.body.length > 0) yield window.body; // a window of names alone has none
    }
    at = undefined;
    sent();
  } finally {
    await disclosure.content?.stop();
    // Best effort: the ledger may have failed.
    const step = Math.max(number, disclosure.windows.length) + 1;
    if (at !== undefined) keepAlive(recorder.aborted(at, step).catch(() => undefined));
  }
}

/** The patients of a content are in its first window. */
async function* windowsOf({ windows, content }: Disclosure): AsyncGenerator<DisclosedWindow, undefined> {
  yield* windows;
  for (let part = await content?.next(); part !== undefined; part = await content?.next())
    yield { ...nothingReleased, ...part };
}
