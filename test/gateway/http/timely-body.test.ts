import { test } from "vitest";
import { timelyBody } from "#gateway/http/timely-body";

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of body) text += new TextDecoder().decode(chunk);
  return text;
}

/** Sends a letter each so many milliseconds, `letters` of them, and then nothing more, without an end. */
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
  expect(await read(timelyBody(trickle(5, 5, true).stream, 2_000))).toBe("xxxxx");
});

test.for([
  ["stops", trickle(3, 5, false)],
  ["goes on for ever, a letter at a time,", trickle(1_000_000, 5, false)],
] as const)("a body that %s is given up, and its sender is told", async ([, { stream, state }], { expect }) => {
  const began = Date.now();
  const body = timelyBody(stream, 200);
  await expect(read(body)).rejects.toMatchObject({ name: "BodyNotWhole", reason: "body_timed_out" });
  expect(Date.now() - began).toBeLessThan(2_000);
  expect(state.cancelled).toBe(true);
});

test("whoever leaves in the middle lets go of the body", async ({ expect }) => {
  const { stream, state } = trickle(1_000_000, 1, false);
  for await (const chunk of timelyBody(stream, 2_000)) if (chunk.length > 0) break;
  expect(state.cancelled).toBe(true);
});

test("a body whose sender breaks off says so, and not how the connection broke", async ({ expect }) => {
  const broken = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(new TextEncoder().encode("half of a form"));
      controller.error(new Error("Network connection lost: 192.0.2.1"));
    },
  });
  const fault = await read(timelyBody(broken)).catch((fault: unknown) => fault);
  expect(fault).toMatchObject({ name: "BodyNotWhole", reason: "body_incomplete", message: "" });
});
