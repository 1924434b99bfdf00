import { test } from "vitest";
import { type LockRule, lockOf, readLockRules, rulesOnCheckpoints, SIX_YEARS_DAYS } from "#ledger/retention";

const origin = "ledger.test/s0-2026h2";
const days = (count: number, about: Partial<LockRule> = {}): LockRule => ({
  id: `${count} days`,
  enabled: true,
  prefix: "log/",
  condition: { type: "Age", maxAgeSeconds: count * 86_400 },
  ...about,
});
const until = (date: string): LockRule => days(0, { id: date, condition: { type: "Date", date } });
const ruleOf = (...rules: readonly LockRule[]) => lockOf(origin, rules).rule?.id;
const removableOf = (...rules: readonly LockRule[]) => {
  const { removable } = lockOf(origin, rules);
  return removable === undefined ? undefined : new Date(removable).toISOString().slice(0, 10);
};

test("six years are 2,192 days: whatever six they are", ({ expect }) => {
  for (let year = 2020; year < 2060; year++) {
    for (const month of [0, 6])
      expect((Date.UTC(year + 6, month) - Date.UTC(year, month)) / 86_400_000).toBeLessThanOrEqual(
        SIX_YEARS_DAYS,
      );
  }
});

test("a lock rule counts for a log when it covers all its objects for six years from the upload of each", ({
  expect,
}) => {
  expect(ruleOf(days(2200))).toBe("2200 days");
  expect(ruleOf(days(2192))).toBe("2192 days");
  expect(ruleOf(days(2191))).toBeUndefined();
  expect(ruleOf(days(2200, { enabled: false }))).toBeUndefined();
  for (const prefix of ["", "log/ledger.test/", `log/${origin}/`])
    expect(ruleOf(days(2200, { prefix })), prefix).toBe("2200 days");
  for (const prefix of [`log/${origin}/tile/`, "log/ledger.test/s1", "checkpoint/", "Log/"])
    expect(ruleOf(days(2200, { prefix })), prefix).toBeUndefined();
  expect(ruleOf(until("2033-01-02T00:00:00Z"))).toBe("2033-01-02T00:00:00Z");
  expect(ruleOf(until("2032-12-30T00:00:00Z"))).toBeUndefined(); // its last records are of 2026-12-31
  expect(ruleOf(days(2200), days(3000), days(1))).toBe("3000 days");
});

test("it may be removed when its last object is six years old and no rule holds it any longer", ({
  expect,
}) => {
  expect(removableOf()).toBe("2033-01-01");
  expect(removableOf(days(2200))).toBe("2033-01-09");
  expect(removableOf(days(1))).toBe("2033-01-01");
  expect(removableOf(days(2200), days(0, { condition: { type: "Indefinite" } }))).toBeUndefined();
});

test("the root log is locked by age or for good, never to a date, and is never removable", ({ expect }) => {
  const root = (rule: LockRule) => [
    lockOf("ledger.test/root", [rule]).rule?.id,
    lockOf("ledger.test/root", [rule]).removable,
  ];
  expect(root(days(2200))).toEqual(["2200 days", undefined]);
  expect(root(days(2191))).toEqual([undefined, undefined]);
  expect(root(until("2099-01-01T00:00:00Z"))).toEqual([undefined, undefined]);
});

test("a lock on checkpoints, which are overwritten, is found, even if it is a lock on everything", ({
  expect,
}) => {
  const found = (prefix: string) => rulesOnCheckpoints([days(1, { prefix })]).length;
  expect(["", "c", "checkpoint/", "checkpoint/ledger.test/s0"].map(found)).toEqual([1, 1, 1, 1]);
  expect(["log/", "checkpoints/x", "log/checkpoint/"].map(found)).toEqual([0, 0, 0]);
});

test("rules are read in the API's form and in wrangler's form; an unknown rule is never ignored", ({
  expect,
}) => {
  const rules = [days(2200)];
  expect(readLockRules({ success: true, errors: [], messages: [], result: { rules } })).toEqual({
    ok: true,
    value: rules,
  });
  expect(readLockRules({ rules })).toEqual({ ok: true, value: rules });
  expect(readLockRules({ rules: [{ ...days(1), prefix: undefined }] })).toMatchObject({
    ok: true,
    value: [{ prefix: "" }],
  });
  for (const bad of [
    null,
    [],
    { success: false, result: { rules } },
    { result: {} },
    { rules: [{ ...days(1), enabled: "yes" }] },
    { rules: [{ ...days(1), condition: { type: "Age" } }] },
    { rules: [{ ...days(1), condition: { type: "Date", date: "soon" } }] },
    { rules: [...rules, { ...days(1), condition: { type: "Until" } }] },
  ])
    expect(readLockRules(bad).ok, JSON.stringify(bad)).toBe(false);
});
