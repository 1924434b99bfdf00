import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { withCurrentReasons } from "#audit/renamed-reasons";
import { instant } from "#kernel/clock";

const base: AuditEvent = {
  id: "0".repeat(32),
  at: instant(1),
  kind: "refusal",
  patients: [],
  unnamed: [],
  counts: {},
};

test("an event of an earlier version is read with the reasons of this version, and is otherwise the same", ({
  expect,
}) => {
  const old = { ...base, outcome: { status: 403, reason: "no_rule" } };
  expect(withCurrentReasons(old)).toEqual({
    ...old,
    outcome: { status: 403, reason: "rule_missing", exception: "171.202(b)" },
  });
  expect(old.outcome.reason).toBe("no_rule");
});

test("a tally of refusals adds up reasons that have the same name now", ({ expect }) => {
  const tally = { repeated_parameter: 2, parameter_repeated: 3, token_missing: 1 };
  expect(withCurrentReasons({ ...base, kind: "refusals", tally }).tally).toEqual({
    parameter_repeated: 5,
    token_missing: 1,
  });
});

test("an event of this version, one without a reason and one with an unknown reason stay as they are", ({
  expect,
}) => {
  for (const event of [
    base,
    { ...base, outcome: { status: 200 } },
    { ...base, outcome: { reason: "of_a_later_version" } },
  ])
    expect(withCurrentReasons(event)).toEqual(event);
});
