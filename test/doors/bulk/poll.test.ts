import * as fc from "fast-check";
import { expect, test } from "vitest";
import { answerPoll, type PollState, type RunningExport } from "#doors/bulk/poll";
import { instant } from "#kernel/clock";

const startedAt = instant(1_800_000_000_400);
const running: RunningExport = { startedAt, partsMade: 3, parts: 10 };
const at = (milliseconds: number) => instant(startedAt + milliseconds);

test("a running export answers 202 with its progress and the seconds until the next poll", () => {
  expect(answerPoll(running, undefined, at(0))).toEqual({
    status: 202,
    headers: { "retry-after": "2", "x-progress": "30%" },
    state: 1_800_000_002,
  });
});

test("a poll before that time gets 429 with the seconds that are left, and moves nothing", () => {
  const { state } = answerPoll(running, undefined, at(20_000));
  expect(answerPoll(running, state, at(22_700))).toEqual({
    status: 429,
    headers: { "retry-after": "2" },
    state,
  });
  expect(answerPoll(running, state, at(25_000)).status).toBe(202);
});

test("an older export is polled less often, at least each minute", () => {
  const waitAt = (seconds: number) =>
    answerPoll(running, undefined, at(seconds * 1_000)).headers["retry-after"];
  expect([0, 9, 10, 59, 60, 599, 600, 86_400].map(waitAt)).toEqual([
    "2",
    "2",
    "5",
    "5",
    "15",
    "15",
    "60",
    "60",
  ]);
});

test("a client that waits as it was told is never too early", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 90_000_000 }),
      fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 20 }),
      (first, delays) => {
        let [time, state]: [number, PollState] = [first, undefined];
        for (const delay of delays) {
          const answer = answerPoll(running, state, at(time));
          expect(answer.status).toBe(202);
          state = answer.state;
          time += Number(answer.headers["retry-after"]) * 1_000 + delay;
        }
      },
    ),
  );
});

test("a clock that was set back by more than a minute refuses no poll", () => {
  const { state } = answerPoll(running, undefined, at(3_600_000));
  expect(answerPoll(running, state, at(0)).status).toBe(202);
});

test("neither the wait nor a refusal depends on the parts: the same polls get the same times", () => {
  const times = [0, 1_000, 3_000, 3_100, 61_000];
  const timesOf = (parts: number) => {
    let state: PollState;
    return times.map((time) => {
      const answer = answerPoll({ startedAt, partsMade: 0, parts }, state, at(time));
      state = answer.state;
      return [answer.status, answer.headers["retry-after"]];
    });
  };
  expect(timesOf(7_000)).toEqual(timesOf(0));
});

test("the progress is a percentage on a grid of five, and below 100 until the export is finished", () => {
  const shown = (partsMade: number, parts: number) =>
    answerPoll({ startedAt, partsMade, parts }, undefined, at(0)).headers["x-progress"];
  expect([shown(0, 0), shown(0, 7), shown(1, 7), shown(6, 7), shown(7, 7), shown(999, 1_000)]).toEqual([
    "0%",
    "0%",
    "10%",
    "85%",
    "95%",
    "95%",
  ]);
});
