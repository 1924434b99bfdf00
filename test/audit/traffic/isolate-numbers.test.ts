import { test } from "vitest";
import { IsolateNumbers } from "#audit/traffic/isolate-numbers";
import { isolateText, readIsolateText } from "#audit/traffic/isolate-text";
import { instant } from "#kernel/clock";

test("numbers are handed on once, at most every five seconds, and wait while appends fail", ({ expect }) => {
  const numbers = new IsolateNumbers((sum) => sum.add("phylax_rows", ["bytes"], 3));
  numbers.add("phylax_faults", []);
  expect(numbers.take(instant(0)), "the first append of an isolate").toBeUndefined();
  numbers.appended(undefined);
  expect(numbers.take(instant(5_000)), "the ledger did not answer").toBeUndefined();
  numbers.appended(30);
  const first = numbers.take(instant(6_000));
  expect(Object.fromEntries(first ?? [])).toEqual({
    phylax_faults: 1,
    "phylax_rows bytes": 3,
    "phylax_wait_seconds append 50": 1,
    "phylax_wait_seconds append sum": 30,
  });
  numbers.add("phylax_faults", []);
  expect(numbers.take(instant(10_000)), "too early").toBeUndefined();
  numbers.putBack(first ?? new Map());
  const second = numbers.take(instant(11_000));
  expect(second?.get("phylax_faults"), "with the numbers that no log took").toBe(2);
});

test("a clock that was set back by a minute stops no number and makes no time negative", ({ expect }) => {
  const numbers = new IsolateNumbers();
  numbers.take(instant(100_000));
  numbers.waited("request", -60_000);
  numbers.waited("request", 60_000);
  const taken = numbers.take(instant(40_000));
  expect(Object.fromEntries(taken ?? [])).toEqual({
    "phylax_wait_seconds request 2": 1,
    "phylax_wait_seconds request above": 1,
    "phylax_wait_seconds request sum": 60_000,
  });
});

test("a log reads from an isolate's text numbers without a record alone, and fails at no text", ({
  expect,
}) => {
  const canaries = ["Okafor", "1957-03-04", "555-0100", "123-45-6789", "amara@example.org"];
  const hostile: readonly unknown[] = [
    ["phylax_refusals scope_missing", 5],
    ["phylax_requests read", 5],
    ["phylax_faults", -1],
    ["phylax_faults", 0.5],
    ["phylax_faults", "7"],
    ["phylax_faults"],
    [{}, 1],
    null,
    ...canaries.flatMap((canary) => [
      [`phylax_wait_seconds ${canary} 50`, 1],
      [`phylax_rows ${canary}`, 1],
      [`phylax_faults ${canary}`, 1],
      [canary, 1],
    ]),
    ["phylax_lease_calls granted", 2],
  ];
  const read = readIsolateText(JSON.stringify(hostile));
  expect([...read]).toEqual([["phylax_lease_calls granted", 2]]);
  for (const text of ["", "{", "null", '"x"', "[1]", `[${" ".repeat(70_000)}]`])
    expect(readIsolateText(text).size).toBe(0);
  expect([...readIsolateText(isolateText(read))]).toEqual([...read]);
});
