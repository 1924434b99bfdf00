import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { stateBytesMax } from "#residence/residence";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { patientsMax } from "#phi/disclosure";
import { draftAppend } from "#platform/ledger/object/append/draft";

test("an intent and a window of as many patients as a request may concern, all names and states at full length, fit a single append", ({
  expect,
}) => {
  const long = (prefix: string, length: number) => prefix.padEnd(length, "x");
  const event = (kind: string): AuditEvent => ({
    id: "0".repeat(32),
    at: instant(1_800_000_000_000),
    kind,
    who: { client: long("client", 64) },
    why: { purposes: ["HPAYMT"], agreement: long("agreement", 64) },
    patients: [],
    unnamed: [],
    counts: {},
    withheld: { paths: Array.from({ length: 100 }, (_, n) => long(`path${n}`, 60)) },
  });
  const crowd = (size: number) =>
    Array.from({ length: size }, (_, n) => ({
      patient: `${long("origin", 32)}/Patient/${long(String(n), 64)}`,
      counts: { ExplanationOfBenefit: 1 },
      state: long(String(n), stateBytesMax),
    }));
  const key = new Secret(new Uint8Array(32));
  const window = (size: number) => ({
    ...event("disclosure"),
    step: 1,
    patients: crowd(size),
    window: { number: 1, complete: false },
  });
  expect(draftAppend([event("intent"), window(patientsMax)], key).records.length).toBeGreaterThan(10);
  expect(() => draftAppend([event("intent"), window(2 * patientsMax)], key)).toThrow(RangeError);
});
