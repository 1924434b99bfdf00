import { test } from "vitest";
import { instant } from "#kernel/clock";
import { ElementCounter } from "#platform/elements/isolate/element-counter";
import type { MeasuredBatch } from "#platform/elements/object/element-counts";

const body = (value: object) => [new TextEncoder().encode(JSON.stringify(value))];
const patient = body({ resourceType: "Patient", id: "a", gender: "female" });
const day = 20_000;
const noon = instant(day * 86_400_000 + 43_200_000);

function counter(add: (grant: string, batch: MeasuredBatch) => Promise<void>) {
  let now = noon;
  const work: Promise<void>[] = [];
  const flushes: (() => void)[] = [];
  const wait = (milliseconds: number) =>
    milliseconds === 0 ? Promise.resolve() : new Promise<void>((resolve) => flushes.push(resolve));
  const made = new ElementCounter((grant) => ({ add: (batch) => add(grant, batch) }), {
    clock: () => now,
    wait,
    keepAlive: (each) => work.push(each),
  });
  const settled = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    made,
    flushes,
    pass: (milliseconds: number) => (now = instant(now + milliseconds)),
    settled,
    flush: async () => {
      for (const each of flushes.splice(0)) each();
      await settled();
    },
  };
}

test("answers are added up per grant and day, and brought in one call for each", async ({ expect }) => {
  const calls: [string, MeasuredBatch][] = [];
  const { made, settled, flush, flushes } = counter(async (...call) => void calls.push(call));
  for (const grant of ["a/main/TREAT", "a/main/TREAT", "b/main/TREAT"]) made.note(grant, noon, patient);
  made.note("a/main/TREAT", instant(noon + 86_400_000), patient);
  await settled();
  expect([calls.length, flushes.length], "one flush is planned").toEqual([0, 1]);
  await flush();
  const elements = (n: number) => [
    ["Patient.id", n],
    ["Patient.gender", n],
  ];
  expect(calls).toEqual([
    ["a/main/TREAT", { day, answers: 2, elements: elements(2) }],
    ["b/main/TREAT", { day, answers: 1, elements: elements(1) }],
    ["a/main/TREAT", { day: day + 1, answers: 1, elements: elements(1) }],
  ]);
  made.note("a/main/TREAT", noon, patient);
  await settled();
  await flush();
  expect(calls.at(-1)?.[1].answers, "the sums begin anew").toBe(1);
});

test("a call that fails is lost and stops nothing; a flush whose request ended is planned anew", async ({
  expect,
}) => {
  let failing = true;
  const calls: MeasuredBatch[] = [];
  const { made, settled, flush, flushes, pass } = counter(async (_grant, batch) => {
    if (failing) throw new Error("down");
    calls.push(batch);
  });
  made.note("a/main/TREAT", noon, patient);
  await settled();
  await flush();
  failing = false;
  made.note("a/main/TREAT", noon, patient);
  await settled();
  flushes.length = 0; // its request was cancelled
  made.note("a/main/TREAT", noon, patient);
  await settled();
  expect(flushes).toHaveLength(0);
  pass(30_000);
  made.note("a/main/TREAT", noon, patient);
  await settled();
  await flush();
  expect(calls.map(({ answers }) => answers)).toEqual([3]);
});

test("an answer without an element, or that is no JSON, counts as no answer", async ({ expect }) => {
  const calls: MeasuredBatch[] = [];
  const { made, settled, flushes } = counter(async (_grant, batch) => void calls.push(batch));
  made.note("a/main/TREAT", noon, body({ resourceType: "Bundle", total: 0 }));
  made.note("a/main/TREAT", noon, [new TextEncoder().encode("date,recipient\r\n")]);
  await settled();
  expect(flushes).toHaveLength(0);
});

test("a large answer, or an answer while many bytes wait, is not counted, and stops no later answer", async ({
  expect,
}) => {
  const calls: MeasuredBatch[] = [];
  const { made, settled, flush, flushes } = counter(async (_grant, batch) => void calls.push(batch));
  const large = body({ resourceType: "Patient", id: "x".repeat(2_000_000) });
  made.note("a/main/TREAT", noon, [...large, ...large]);
  await settled();
  expect(flushes).toHaveLength(0);
  for (let i = 0; i < 5; i++) made.note("a/main/TREAT", noon, large);
  await settled();
  made.note("a/main/TREAT", noon, large);
  await settled();
  await flush();
  expect(calls.map(({ answers }) => answers)).toEqual([3]);
});
