import { afterEach, test, vi } from "vitest";
import { TimelyBody } from "#entrypoint/timely-body";

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of body) text += new TextDecoder().decode(chunk);
  return text;
}

/** Sends `letters` letters at a fixed interval, and then nothing: the body has no end. */
function trickle(letters: number, milliseconds: number, ends: boolean) {
  const state = { cancelled: false };
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (letters === 0 && ends) return controller.close();
      await new Promise((later) => setTimeout(later, letters === 0 ? 60_000 : milliseconds));
      letters -= 1;
      controller.enqueue(new TextEncoder().encode("x"));
    },
    cancel: () => void (state.cancelled = true),
  });
  return { stream, state };
}

test("a body that comes in time is read to its end", async ({ expect }) => {
  expect(await read(new TimelyBody(trickle(5, 5, true).stream, 2_000))).toBe("xxxxx");
});

test.for([
  ["stops", 3],
  ["goes on for ever, a letter at a time,", 1_000_000],
] as const)("a body that %s is given up, and its sender is told", async ([, letters], { expect }) => {
  vi.useFakeTimers();
  const { stream, state } = trickle(letters, 5, false);
  const body = new TimelyBody(stream, 200);
  const late = expect(read(body)).rejects.toMatchObject({ name: "BodyNotWhole", reason: "body_timed_out" });
  await vi.advanceTimersByTimeAsync(200);
  await late;
  const dropped = body.dropRest();
  await vi.advanceTimersByTimeAsync(3_000);
  await dropped;
  expect(state.cancelled).toBe(true);
});

test("the unread rest of a body is read and dropped before the answer, up to 16 MiB", async ({ expect }) => {
  for (const [mebibytes, isCancelled] of [
    [5, false],
    [40, true],
  ] as const) {
    let [sent, cancelled] = [0, false];
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 1;
        if (sent > mebibytes) controller.close();
        else controller.enqueue(new Uint8Array(1_048_576));
      },
      cancel: () => void (cancelled = true),
    });
    const body = new TimelyBody(stream);
    for await (const chunk of body) if (chunk.length > 0) break;
    await body.dropRest();
    expect([sent <= 20, cancelled]).toEqual([true, isCancelled]);
  }
});

afterEach(() => {
  vi.useRealTimers();
});

test("the rest of a slow sender is read as long as it sends, and a silent sender is left after five seconds; a sender that is not authenticated after three", async ({
  expect,
}) => {
  for (const [isTrusted, letters, ends, isCancelled, seconds] of [
    [true, 7, true, false, 7],
    [true, 2, false, true, 7],
    [true, 100, true, true, 15],
    [false, 2, true, false, 2],
    [false, 100, true, true, 3],
    [false, 0, false, true, 3],
  ] as const) {
    vi.useFakeTimers();
    const { stream, state } = trickle(letters, 1_000, ends);
    const began = Date.now();
    const body = new TimelyBody(stream);
    if (isTrusted) body.trust();
    let ended = 0;
    const dropped = body.dropRest().then(() => (ended = Date.now() - began));
    await vi.runAllTimersAsync();
    await dropped;
    expect(state.cancelled, `${letters} letters`).toBe(isCancelled);
    expect(ended).toBeGreaterThanOrEqual(seconds * 1_000);
    expect(ended).toBeLessThan((seconds + 1) * 1_000);
    vi.useRealTimers();
  }
});

test("a body whose sender breaks off reports that, and not how the connection broke", async ({ expect }) => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(new TextEncoder().encode("half of a form"));
      controller.error(new Error("Network connection lost: 192.0.2.1"));
    },
  });
  const fault = await read(new TimelyBody(broken)).catch((fault: unknown) => fault);
  expect(fault).toMatchObject({ name: "BodyNotWhole", reason: "body_incomplete", message: "" });
});
