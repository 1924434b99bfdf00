import { expect, test, vi } from "vitest";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { layoutWithoutRegions } from "#ledger/layout";
import type { Sender } from "#ledger/shard-choice";
import { answerText, refusedStart } from "#platform/ledger/append-text";
import { ledgerSink } from "#platform/ledger/client/sink";

const event: AuditEvent = {
  id: "0a".repeat(16),
  at: instant(Date.UTC(2026, 10, 1)),
  kind: "notice",
  patients: [],
  unnamed: [],
  counts: {},
};
const clock = () => event.at;
const bytes = new Uint8Array(32);
const taken = (log: string) =>
  answerText({ log, index: 7, count: 1, frame: 2, leafHash: bytes, frameHash: bytes });
const byTurn = (turn: string): Sender => ({ kind: "client", client: "app", turn, spread: 4 });
const first = "00000000"; // the turn of the first log
const proof = { jkt: "key", id: "jti", made: event.at };

type Deed = (log: string) => Promise<string>;
const takes: Deed = async (log) => taken(log);
const refuses: Deed = async () => "refused";
const fails =
  (more: object = {}): Deed =>
  async () => {
    throw Object.assign(new Error("gone"), more);
  };
const isSilent: Deed = () => new Promise(() => {});

/** A ledger of four logs. `deeds`: what the calls of s0 do, in turn; all further calls are taken. */
function ledgerWith(...deeds: readonly Deed[]) {
  const asked: string[] = [];
  const left = [...deeds];
  const sink = ledgerSink(
    (log) => ({
      appendText(events) {
        asked.push(log.slice(0, 2));
        expect(JSON.parse(events)).toEqual([event]);
        return ((log.startsWith("s0") ? left.shift() : undefined) ?? takes)(log);
      },
    }),
    layoutWithoutRegions(4),
    clock,
  );
  return { asked, sink };
}

test("a record whose log refuses goes to a different log, and the alert names the log that refuses", async () => {
  const lines = vi.spyOn(console, "error").mockReturnValue();
  const { asked, sink } = ledgerWith(refuses, refuses);
  for (let time = 0; time < 2; time++)
    expect(await sink.record([event], byTurn(first))).toMatchObject({ log: "s1-2026h2", index: 7 });
  expect(asked).toEqual(["s0", "s1", "s0", "s1"]);
  expect(lines.mock.calls).toEqual([['{"event":"ledger_log_refuses","log":"s0-2026h2"}']]);
  lines.mockRestore();
});

test("a log whose object does not start refuses", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const { asked, sink } = ledgerWith(async () => {
    // the runtime brings the message alone
    throw new Error(refusedStart(new Error("the rows contradict each other")).message);
  });
  expect(await sink.record([event], byTurn(first))).toMatchObject({ log: "s1-2026h2" });
  expect(asked).toEqual(["s0", "s1"]);
});

test.for<readonly [string, readonly Deed[]]>([
  ["a fault", [fails()]],
  ["a fault that may be tried again, and then a refusal", [fails({ durableObjectReset: true }), refuses]],
  ["an overload", [fails({ overloaded: true, retryable: true })]],
])("%s is never answered with a different log: the record may exist", async ([, deeds]) => {
  vi.spyOn(console, "error").mockReturnValue();
  const { asked, sink } = ledgerWith(...deeds);
  await expect(sink.record([event], byTurn(first))).rejects.toThrow();
  expect(asked).toEqual(deeds.map(() => "s0"));
});

test.for<readonly [string, readonly Deed[], boolean]>([
  ["takes it", [isSilent, takes], true],
  ["refuses", [isSilent, refuses], false],
  ["is silent again", [isSilent, isSilent, takes], false],
])(
  "a log that does not answer in time is asked once more, and no other log: it %s",
  async ([, deeds, isTaken]) => {
    vi.spyOn(console, "error").mockReturnValue();
    vi.useFakeTimers();
    try {
      const { asked, sink } = ledgerWith(...deeds);
      const answer = sink.record([event], byTurn(first)).then(
        () => true,
        () => false,
      );
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await answer).toBe(isTaken);
      expect(asked).toEqual(["s0", "s0"]);
    } finally {
      vi.useRealTimers();
    }
  },
);

test("a proof is taken by the log of its key alone, also while that log refuses", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const asked: string[] = [];
  const sink = ledgerSink(
    (log) => ({
      async appendText() {
        asked.push(log);
        return "refused";
      },
    }),
    layoutWithoutRegions(4),
    clock,
  );
  await expect(sink.recordOnce([event], proof)).rejects.toThrow("refuses");
  expect(asked).toHaveLength(1);
});

test("where all logs refuse, nothing is on record and each of four is asked once", async () => {
  vi.spyOn(console, "error").mockReturnValue();
  const asked = new Set<string>();
  const sink = ledgerSink(
    (log) => ({
      async appendText() {
        expect(asked.has(log)).toBe(false);
        asked.add(log);
        return "refused";
      },
    }),
    layoutWithoutRegions(9),
    clock,
  );
  await expect(sink.record([event], byTurn(first))).rejects.toThrow("refuses");
  expect(asked.size).toBe(4);
});
