import { test } from "vitest";
import { sendWindows } from "#gateway/http/send-windows";
import { recordedWindows } from "#gateway/record/recorded-windows";
import type { DisclosedWindow } from "#phi/disclosure";

const windows = ["one", "two", "three"].map((text): DisclosedWindow => ({
  body: Uint8Array.from(Buffer.from(text)),
  patients: [],
  unnamed: [],
  counts: {},
  records: 0,
  withheldResources: 0,
  unseen: [],
  room: { names: 0, unnamed: [], counts: {} },
}));

/** Sends the windows, notes each step, and fails at the named step. */
function sending(failing?: string, milliseconds?: number) {
  const done: string[] = [];
  const step = (name: string) => {
    if (name === failing) return Promise.reject(new Error(name));
    done.push(name);
    return Promise.resolve();
  };
  const disclosure = { windows, released: new Set<string>(), withheldPaths: [] };
  const mayLeave = async () => (await step("lease"), true);
  const recorder = {
    window: (_window: unknown, number: number) => step(`record ${number}`),
    aborted: (reason: string) => step(`aborted: ${reason}`),
  };
  const sent = () => void done.push("sent");
  const recorded = recordedWindows(disclosure, mayLeave, recorder, () => undefined, sent);
  return { done, ...sendWindows(recorded, milliseconds) };
}

/** Reads a body chunk by chunk, and notes each chunk among the steps of the desk. */
async function read(readable: ReadableStream<Uint8Array>, done: string[]): Promise<string> {
  const reader = readable.getReader();
  for (;;) {
    try {
      const { done: ended, value } = await reader.read();
      if (ended) return "ended";
      done.push(new TextDecoder().decode(value));
    } catch {
      return "broken";
    }
  }
}

test("each window after the first is recorded, on a lease that still holds, before its bytes are written", async ({
  expect,
}) => {
  const its = sending();
  expect(await read(its.readable, its.done)).toBe("ended");
  await its.work;
  expect(its.done.indexOf("record 2")).toBeLessThan(its.done.indexOf("two"));
  expect(its.done.indexOf("record 3")).toBeLessThan(its.done.indexOf("three"));
  expect(its.done.filter((what) => !/^(?:one|two|three)$/u.test(what))).toEqual([
    "lease",
    "record 2",
    "lease",
    "record 3",
    "sent",
  ]);
});

test.for([
  ["record 2", "window_not_recorded"],
  ["record 3", "window_not_recorded"],
  ["lease", "lease_lost"],
] as const)(
  "when %s fails the body breaks and the break is recorded: %s",
  async ([failing, reason], { expect }) => {
    const its = sending(failing);
    expect(await read(its.readable, its.done)).toBe("broken");
    await its.work;
    expect(its.done.at(-1)).toBe(`aborted: ${reason}`);
    expect(its.done).not.toContain("three");
    expect(its.done).not.toContain("sent");
  },
);

test("a reader who stopped reading an answer of 100 MB gets at most a window more than it took, once it may get no more", async ({
  expect,
}) => {
  const body = new Uint8Array(1_048_576);
  const hundred = Array.from({ length: 100 }, () => ({ ...windows[0], body })) as readonly DisclosedWindow[];
  for (const taken of [1, 2, 50]) {
    const [recorded, ends]: [number[], string[]] = [[1], []];
    let mayLeave = true;
    const recorder = {
      window: async (_window: unknown, number: number) => void recorded.push(number),
      aborted: async (reason: string) => void ends.push(reason),
    };
    const disclosure = { windows: hundred, released: new Set<string>(), withheldPaths: [] };
    const sent = recordedWindows(
      disclosure,
      async () => mayLeave,
      recorder,
      () => undefined,
      () => {},
    );
    const { readable, work } = sendWindows(sent);
    const reader = readable.getReader();
    for (let n = 0; n < taken; n += 1) await reader.read();
    await new Promise((resolve) => void setTimeout(resolve, 5)); // the sender waits for its reader
    mayLeave = false; // a withdrawal, a revocation, the end of the lease
    await new Promise((resolve) => void setTimeout(resolve, 5));
    expect(recorded.length, `${taken} taken`).toBeLessThanOrEqual(taken + 1);
    const further = [];
    for (;;) {
      const next = await reader.read().catch(() => ({ done: true }));
      if (next.done) break;
      further.push(next);
    }
    await work;
    expect([further.length <= 1, ends]).toEqual([true, ["lease_lost"]]);
  }
});

test("an answer whose reader takes nothing for too long breaks off, so that it holds no memory for longer", async ({
  expect,
}) => {
  const its = sending(undefined, 5);
  const reader = its.readable.getReader();
  await reader.read();
  await its.work; // the reader takes no further window
  expect(its.done.at(-1)).toBe("aborted: client_disconnected");
  expect(its.done).not.toContain("record 3");
  await expect(reader.read()).rejects.toThrow("the reader stopped");
});

test("when the client leaves, nothing further is recorded as disclosed", async ({ expect }) => {
  const its = sending();
  await its.readable.cancel();
  await its.work;
  expect(its.done.at(-1)).toBe("aborted: client_disconnected");
  expect(its.done).not.toContain("record 3");
  expect(its.done).not.toContain("sent");
});
