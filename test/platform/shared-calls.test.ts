import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { instant } from "#kernel/clock";
import { answerTexts } from "#platform/ledger/append-text";
import { alone, SharedCalls } from "#platform/ledger/client/shared-calls";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A log whose calls end when the test says so. */
class HeldLog {
  readonly calls: { readonly appends: string; readonly end: () => void; readonly fail: () => void }[] = [];
  readonly kept: Promise<unknown>[] = [];
  readonly shared = new SharedCalls({
    logOf: () => this,
    clock: () => instant(Date.now()),
    keepAlive: (work) => void this.kept.push(work),
  });

  appendText(events: string): Promise<string> {
    return this.#held(events, async () => answerOf(events));
  }

  appendTexts(appends: string): Promise<string> {
    return this.#held(appends, () => answerTexts(appends, async (events) => answerOf(events)));
  }

  async end(call: number): Promise<void> {
    this.calls[call]?.end();
    await vi.advanceTimersByTimeAsync(0);
  }

  async #held(appends: string, answer: () => Promise<string>): Promise<string> {
    await new Promise<void>((end, fail) =>
      this.calls.push({ appends, end, fail: () => fail(new Error("reset")) }),
    );
    return answer();
  }
}

function answerOf(events: string): string {
  if (events === "bad") throw new TypeError("not an event");
  return `recorded ${events}`;
}

const sent = ({ calls }: HeldLog) => calls.map(({ appends }) => appends);

test("an append without company is a call of its own; appends during a call share the next, each with its own answer", async () => {
  const log = new HeldLog();
  const [first, second, third] = ["a", "b", "c"].map((events) => log.shared.append("0", events));
  const other = log.shared.append("1", "d");
  expect(sent(log)).toEqual(["a", "d"]);
  await log.end(1);
  await log.end(0);
  expect(sent(log)).toEqual(["a", "d", "b\nc"]);
  await log.end(2);
  expect(await Promise.all([first, second, third, other])).toEqual([
    "recorded a",
    "recorded b",
    "recorded c",
    "recorded d",
  ]);
  // each call outlives the request that made it, and nothing runs when no append waits
  await Promise.all(log.kept);
  const last = log.shared.append("0", "e");
  expect(sent(log).at(-1)).toBe("e");
  await log.end(3);
  expect(await last).toBe("recorded e");
  expect(vi.getTimerCount()).toBe(0);
});

test("an append that fails in company is sent alone, and hinders no other", async () => {
  const log = new HeldLog();
  const [, bad, good] = ["a", "bad", "c"].map((events) => log.shared.append("0", events));
  await log.end(0);
  await log.end(1);
  expect(await bad).toBe(alone);
  expect(await good).toBe("recorded c");
});

test("a call that fails fails each of its appends; those that still wait take the next call", async () => {
  const log = new HeldLog();
  const first = log.shared.append("0", "a");
  const [second, third] = ["b", "c"].map((events) => log.shared.append("0", events));
  const failures = Promise.allSettled([first, second, third]);
  log.calls[0]?.fail();
  await vi.advanceTimersByTimeAsync(0);
  expect(sent(log)).toEqual(["a", "b\nc"]);
  const fourth = log.shared.append("0", "d");
  log.calls[1]?.fail();
  await vi.advanceTimersByTimeAsync(0);
  expect((await failures).map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await log.end(2);
  expect(await fourth).toBe("recorded d");
});

test("a call that ended with its request holds no append longer than a second", async () => {
  const log = new HeldLog();
  const lost = log.shared.append("0", "a");
  const failure = expect(lost).rejects.toThrow("no answer in time");
  const waits = log.shared.append("0", "b");
  await vi.advanceTimersByTimeAsync(999);
  const late = log.shared.append("0", "c");
  expect(sent(log)).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await waits).toBe(alone);
  const anew = log.shared.append("0", "d");
  expect(sent(log)).toEqual(["a", "d"]);
  await log.end(1);
  expect(await anew).toBe("recorded d");
  expect(sent(log)).toEqual(["a", "d", "c"]);
  await log.end(2);
  expect(await late).toBe("recorded c");
  await vi.advanceTimersByTimeAsync(5_000);
  await failure;
});

test("an append that was sent in company has five seconds", async () => {
  const log = new HeldLog();
  const first = log.shared.append("0", "a");
  const second = log.shared.append("0", "b");
  await log.end(0);
  const failure = expect(second).rejects.toThrow("no answer in time");
  await vi.advanceTimersByTimeAsync(5_000);
  await failure;
  expect(await first).toBe("recorded a");
});

test("a request makes at most 32 calls for others; then a request that waits goes on", async () => {
  const log = new HeldLog();
  const all = [log.shared.append("0", "0")];
  for (let call = 0; call <= 34; call += 1) {
    all.push(log.shared.append("0", `${call + 1}`));
    await log.end(call);
  }
  expect(log.kept).toHaveLength(2);
  await log.end(35);
  expect(await Promise.all(all)).toEqual(all.map((_, index) => `recorded ${index}`));
});
