import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Recorded } from "#audit/ports";
import { instant } from "#kernel/clock";
import type { Draft } from "#platform/ledger/object/append/draft";
import { packRecent, RECENT_MS, RecentAppends } from "#platform/ledger/object/append/recent";

const sha256 = (text: string) => createHash("sha256").update(text).digest();
/** `place`: appends of the same place share the last eight bytes of their ids. */
function draftOf(number: number, step = 0, place = number): Draft {
  const id = sha256(`id ${number}`).subarray(0, 8).toString("hex") + place.toString(16).padStart(16, "0");
  const digest = sha256(`digest ${number} ${step}`).subarray(0, 16);
  return {
    id,
    step,
    digest,
    definitions: [],
    records: [],
    leafBytes: 0,
    lineBytes: 0,
    traffic: new Map(),
    ends: [],
  };
}
const recordedOf = (number: number, frame: number): Recorded => ({
  log: "s1-2026h2",
  frame,
  frameHash: sha256(`frame ${frame}`),
  index: number * 7,
  count: (number % 254) + 1,
  leafHash: new Uint8Array(sha256(`leaf ${number}`)),
});
function packed(frame: number, drafts: readonly Draft[], numbers: readonly number[]) {
  const appends = drafts.map((draft, i) => ({ draft, recorded: recordedOf(numbers[i] ?? 0, frame) }));
  const { log, frameHash } = recordedOf(0, frame);
  return { bytes: packRecent(appends), at: { log, frame, frameHash } };
}

test("each append of the last 130 s gets its first answer, before and after a restart, and no other append does", async () => {
  await fc.assert(
    fc.asyncProperty(
      // the sizes of commits, and the milliseconds between them
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 40_000 })), {
        minLength: 1,
        maxLength: 14,
      }),
      fc.boolean(),
      async (commits, areAlike) => {
        const placeOf = (number: number) => (areAlike ? 5 : Math.imul(number, 0x9e3779b1) >>> 0);
        const [live, restarted] = [new RecentAppends(), new RecentAppends()];
        const all: { number: number; frame: number; at: number }[] = [];
        let [now, number] = [1_000_000, 0];
        for (const [frame, [size, wait]] of commits.entries()) {
          const numbers = Array.from({ length: size }, () => number++);
          const drafts = numbers.map((each) => draftOf(each, each % 3, placeOf(each)));
          const waiting = new Promise<Recorded>(() => undefined);
          for (const draft of drafts) {
            expect(live.find(draft)).toBeUndefined();
            live.expect(draft, waiting);
            expect(live.find(draft)).toBe(waiting);
          }
          const { bytes, at } = packed(frame, drafts, numbers);
          live.committed(drafts, bytes, at, instant(now));
          restarted.load(bytes, at, instant(now));
          for (const each of numbers) all.push({ number: each, frame, at: now });
          now += wait;
        }
        live.committed(
          [],
          new Uint8Array(),
          { log: "", frame: 0, frameHash: new Uint8Array() },
          instant(now),
        );
        for (const { number, frame, at } of all) {
          const draft = draftOf(number, number % 3, placeOf(number));
          if (at + RECENT_MS > now) expect(await live.find(draft)).toEqual(recordedOf(number, frame));
          expect(await restarted.find(draft)).toEqual(recordedOf(number, frame));
          for (const appends of [live, restarted]) {
            expect(appends.find(draftOf(number, 9, placeOf(number)))).toBeUndefined();
            expect(appends.find(draftOf(number + 100_000, number % 3, placeOf(number)))).toBeUndefined();
          }
        }
      },
    ),
    { numRuns: 6 },
  );
});

test("memory does not grow with the age of a log: of its commits only those of 130 s stay, and the rest of a page", async () => {
  const recent = new RecentAppends();
  for (let frame = 0; frame < 100; frame++) {
    const numbers = Array.from({ length: 250 }, (_, i) => frame * 250 + i);
    const drafts = numbers.map((number) => draftOf(number));
    const { bytes, at } = packed(frame, drafts, numbers);
    recent.committed(drafts, bytes, at, instant(frame * 10_000));
  }
  const isKnown = (frame: number) => recent.find(draftOf(frame * 250)) !== undefined;
  expect([99, 90, 87].map(isKnown)).toEqual([true, true, true]);
  expect([82, 50, 0].map(isKnown)).toEqual([false, false, false]);
});

test("other events under the id and step of an append are refused, before its commit and after", () => {
  const recent = new RecentAppends();
  const draft = draftOf(1);
  const other = { ...draft, digest: draftOf(2).digest };
  recent.expect(draft, Promise.resolve(recordedOf(1, 0)));
  expect(() => recent.find(other)).toThrow("another event has this id and step");
  const { bytes, at } = packed(0, [draft], [1]);
  recent.committed([draft], bytes, at, instant(0));
  expect(() => recent.find(other)).toThrow("another event has this id and step");
});

test("an append that was refused at its commit is not known", () => {
  const recent = new RecentAppends();
  recent.expect(draftOf(1), Promise.resolve(recordedOf(1, 0)));
  recent.refused(draftOf(1));
  expect(recent.find(draftOf(1))).toBeUndefined();
});
