import { test } from "vitest";
import { instant } from "#kernel/clock";
import { SharedThread, ThreadBusy } from "#limits/shared-thread";

const mebibyte = 1_048_576;

function start() {
  let now = instant(0);
  const pass = (milliseconds: number) => (now = instant(now + milliseconds));
  let onWait = () => {};
  const thread = new SharedThread(
    () => now,
    async (milliseconds) => {
      pass(milliseconds);
      onWait();
    },
  );
  return {
    thread,
    pass,
    /** The event of each wait. */
    meanwhile: (act: () => void) => (onWait = act),
    /** Requests that are under way together: each costs so much, and the next would wait. */
    fill: async (client: string, units: number, most: number) => {
      const ends: (() => void)[] = [];
      let waits = 0;
      onWait = () => {
        waits += 1;
        for (const end of ends.splice(0)) end();
      };
      while (ends.length < most) {
        const end = await thread.enter(client);
        if (waits > 0) return ends.length === 0 ? "one waited" : "some waited";
        thread.charge(client, units);
        ends.push(end);
      }
      return "none waited";
    },
  };
}

test("a client alone never waits, however much it asks", async ({ expect }) => {
  const { fill } = start();
  expect(await fill("alone", 8 * mebibyte, 1_000)).toBe("none waited");
});

test("nobody waits in an isolate with little work, whatever the parts of its clients", async ({ expect }) => {
  const { thread, fill } = start();
  await thread.enter("small");
  expect(await fill("greedy", 100_000, 100)).toBe("none waited");
});

test("while the isolate is busy a client above its part has one dear request under way, and the others never wait", async ({
  expect,
}) => {
  const { thread, meanwhile } = start();
  await thread.enter("small");
  const first = await thread.enter("greedy");
  thread.charge("greedy", 20 * mebibyte);
  let waits = 0;
  meanwhile(() => {
    waits += 1;
    if (waits === 7) first();
  });
  await thread.enter("greedy");
  expect(waits).toBe(7);
  for (let request = 0; request < 100; request += 1) await thread.enter("small");
  await thread.enter("new");
  expect(waits).toBe(7);
});

test("a client of many cheap requests has fifty under way beside others", async ({ expect }) => {
  const { thread, pass, meanwhile } = start();
  const ends: (() => void)[] = [];
  for (let read = 0; read < 1_000; read += 1) {
    ends.push(await thread.enter("busy"));
    thread.charge("busy", 4_096);
  }
  for (const end of ends.splice(0, 951)) end();
  await thread.enter("small");
  let waits = 0;
  meanwhile(() => {
    waits += 1;
    ends.pop()?.();
  });
  await thread.enter("busy");
  expect(waits, "the fiftieth").toBeLessThanOrEqual(1);
  await thread.enter("busy");
  await thread.enter("busy");
  expect(waits).toBeGreaterThan(0);
  pass(2_000);
  const before = waits;
  for (let read = 0; read < 100; read += 1) await thread.enter("busy");
  expect(waits, "after two seconds of rest nobody waits").toBe(before);
});

test("seven greedy clients have one dear request each under way, and an eighth client never waits", async ({
  expect,
}) => {
  const { thread, meanwhile } = start();
  const greedy = Array.from({ length: 7 }, (_, n) => `greedy-${n}`);
  for (const client of greedy) {
    await thread.enter(client);
    thread.charge(client, 20 * mebibyte);
  }
  await thread.enter("eighth");
  meanwhile(() => {
    for (const client of greedy) thread.charge(client, 20 * mebibyte);
    thread.charge("eighth", 1);
  });
  for (const client of greedy) await expect(thread.enter(client)).rejects.toThrow(ThreadBusy);
  for (let request = 0; request < 100; request += 1) await thread.enter("eighth");
});

test("a request that has waited for ten seconds is refused; so is one beside sixty-four that wait, at once", async ({
  expect,
}) => {
  let now = instant(0);
  let release = () => {};
  const wait = async () => new Promise<void>((resolve) => (release = resolve));
  const thread = new SharedThread(() => now, wait);
  await thread.enter("small");
  await thread.enter("greedy");
  thread.charge("greedy", 20 * mebibyte);
  for (let request = 0; request < 64; request += 1) void thread.enter("greedy").catch(() => undefined);
  await expect(thread.enter("greedy")).rejects.toThrow(ThreadBusy);
  const charge = () => {
    thread.charge("greedy", 20 * mebibyte);
    thread.charge("small", 1);
  };
  now = instant(20_000); // the requests of a time ago were cancelled: their timers never come
  charge();
  const next = thread.enter("greedy").catch((fault: unknown) => fault);
  await Promise.resolve();
  now = instant(30_000);
  charge();
  release();
  expect(await next).toBeInstanceOf(ThreadBusy);
});

test("a request whose end is never reported counts for two minutes", async ({ expect }) => {
  const { thread, pass, meanwhile } = start();
  const charge = () => {
    thread.charge("greedy", 20 * mebibyte);
    thread.charge("small", 1);
  };
  await thread.enter("greedy"); // it never ends
  charge();
  meanwhile(charge);
  await expect(thread.enter("greedy")).rejects.toThrow(ThreadBusy);
  pass(110_000);
  charge();
  await expect(thread.enter("greedy")).resolves.toBeTypeOf("function");
});
