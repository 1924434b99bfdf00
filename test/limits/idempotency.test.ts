import * as fc from "fast-check";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import {
  claimKey,
  decidingMilliseconds,
  endUnderKey,
  keyMilliseconds,
  sendUnderKey,
  type KeyEnd,
  type KeyState,
} from "#limits/idempotency";
import { readIdempotencyKey } from "#limits/idempotency-key";

const at = instant(1_000_000_000);
const later = (milliseconds: number) => instant(at + milliseconds);
const call = (attempt: string) => ({ attempt, fingerprint: "f" });
const content = { content: "ways", milliseconds: 30_000 };

/** The state after a claim, or a failure of the test. */
function claimed(known: KeyState | undefined, attempt: string, now = at): KeyState {
  const { answer, store } = claimKey(known, call(attempt), now);
  if (answer.kind !== "claimed" || store === undefined) throw new Error(`not claimed: ${answer.kind}`);
  return store;
}

test("a key is one attempt's until its time ends; then the next attempt has it, and the first may not send any more", ({
  expect,
}) => {
  const first = claimed(undefined, "a");
  expect(claimKey(first, call("b"), later(1)).answer).toEqual({ kind: "busy", retryAfterSeconds: 1 });
  expect(claimKey(first, { attempt: "b", fingerprint: "g" }, later(1)).answer).toEqual({ kind: "other" });
  const second = claimed(first, "b", later(decidingMilliseconds));
  expect(sendUnderKey(second, "a", content, later(decidingMilliseconds))).toBeUndefined();
  expect(sendUnderKey(second, "b", content, later(decidingMilliseconds))).toMatchObject({ state: "sending" });
});

test("a request that meets another attempt comes again soon: the lease's end is only for an attempt that was abandoned", ({
  expect,
}) => {
  const first = claimed(undefined, "a");
  const sending = sendUnderKey(first, "a", { ...content, milliseconds: 20 * 60_000 }, at);
  const busyAt = (known: KeyState | undefined, now: number) => claimKey(known, call("b"), later(now)).answer;
  for (const now of [0, 1, 30_000, decidingMilliseconds - 1])
    expect(busyAt(first, now)).toEqual({ kind: "busy", retryAfterSeconds: 1 });
  expect(busyAt(sending, 1)).toEqual({ kind: "busy", retryAfterSeconds: 5 });
  expect(busyAt(sending, 20 * 60_000 - 1_500)).toEqual({ kind: "busy", retryAfterSeconds: 2 });
});

test("a lost answer of the key's object changes nothing: each call may be repeated", ({ expect }) => {
  const first = claimed(undefined, "a");
  expect(claimKey(first, call("a"), later(5)).answer).toMatchObject({ kind: "claimed", since: at });
  const sending = sendUnderKey(first, "a", content, at);
  expect(sendUnderKey(sending, "a", content, at)).toEqual(sending);
  const done = endUnderKey(sending, "a", { kind: "done", result: "r" }, at);
  if (done === undefined || done === "forgotten") throw new Error("not done");
  expect(endUnderKey(done, "a", { kind: "done", result: "r" }, at)).toBeUndefined();
});

test("an attempt that sent and never ended leaves the outcome unknown, with what it was about to send; a later attempt that does nothing leaves it so", ({
  expect,
}) => {
  const sending = sendUnderKey(claimed(undefined, "a"), "a", content, at);
  const second = claimKey(sending, call("b"), later(30_000));
  expect(second.answer).toMatchObject({ kind: "claimed", earlier: "ways" });
  expect(claimKey(second.store, call("c"), later(30_000)).answer).toEqual({
    kind: "busy",
    retryAfterSeconds: 1,
    earlier: "ways",
  });
  const ended = endUnderKey(second.store, "b", { kind: "nothing" }, later(30_001));
  expect(ended).toMatchObject({ state: "unknown", content: "ways" });
});

test("clocks that jump extend nothing: a key lives for at most 24 hours, and a lease for twenty minutes", ({
  expect,
}) => {
  const first = claimed(undefined, "a");
  for (const jump of [keyMilliseconds, -keyMilliseconds])
    expect(claimKey(first, call("b"), later(jump)).answer).toMatchObject({
      kind: "claimed",
      since: at + jump,
    });
  expect(claimKey(first, call("b"), later(-3_600_000)).answer.kind).toBe("claimed");
});

/** A step of an attempt, with a time that passes before it. */
const step = fc.record({
  attempt: fc.constantFrom("a", "b", "c"),
  passes: fc.constantFrom(0, 1_000, decidingMilliseconds, 30_000),
  does: fc.constantFrom("claim", "send", "done", "unknown", "nothing"),
});

test("whatever attempts do in whatever order, at most one of them may send at a time, and none after one was done", ({
  expect,
}) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let state: KeyState | undefined;
      let now: number = at;
      const sending = new Map<string, number>();
      let done = false;
      for (const { attempt, passes, does } of steps) {
        now += passes;
        const moment = instant(now);
        if (does === "claim") state = claimKey(state, call(attempt), moment).store ?? state;
        else if (does === "send") {
          const next = sendUnderKey(state, attempt, content, moment);
          if (next === undefined) continue;
          expect(done).toBe(false);
          for (const [other, until] of sending)
            expect(other === attempt || until <= now, `${other} is still sending`).toBe(true);
          sending.set(attempt, next.until);
          state = next;
        } else {
          const end: KeyEnd = does === "done" ? { kind: "done", result: "r" } : { kind: does };
          const next = endUnderKey(state, attempt, end, moment);
          if (next === undefined) continue;
          sending.delete(attempt);
          if (does === "done") done = true;
          state = next === "forgotten" ? undefined : next;
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("Idempotency-Key is a structured-field string", ({ expect }) => {
  const keyOf = (header: string) => {
    const read = readIdempotencyKey(header);
    return read.ok ? read.value : read.error.reason;
  };
  expect(keyOf('"8e03978e-40d5-43e8-bc93-6894a57f9324"')).toBe("8e03978e-40d5-43e8-bc93-6894a57f9324");
  expect(keyOf(String.raw`"a\"b\\c"`)).toBe(String.raw`a"b\c`);
  for (const bad of [
    "x",
    '""',
    '"a',
    String.raw`"a\b"`,
    '"a" "b"',
    '"a", "b"',
    '"a";p',
    "'a'",
    ":YQ==:",
    '"\t"',
  ])
    expect(keyOf(bad), bad).toBe("idempotency_key_malformed");
});
