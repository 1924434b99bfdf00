import { test } from "vitest";
import { instant } from "#kernel/clock";
import { agreementState, endsSoon, isInForce } from "#registry/ends-soon";

const [begin, day] = [1_000_000, 86_400_000];
const agreement = { from: instant(begin), to: instant(begin + 90 * day) };

test("an agreement is in force from its first moment until its end, and ends soon in its last thirty days", ({
  expect,
}) => {
  const at = (moment: number) => agreementState(agreement, instant(moment));
  expect(at(begin - 1)).toBe("not begun");
  expect(at(begin)).toBe("in force");
  expect(at(begin + 60 * day - 1)).toBe("in force");
  expect(at(begin + 60 * day)).toBe("ends soon");
  expect(at(begin + 90 * day - 1)).toBe("ends soon");
  expect(at(begin + 90 * day)).toBe("ended");
  expect((["not begun", "in force", "ends soon", "ended"] as const).map(isInForce)).toEqual([
    false,
    true,
    true,
    false,
  ]);
});

test("what has ended ends soon, too: it is still registered", ({ expect }) => {
  expect(endsSoon(instant(begin), instant(begin + day))).toBe(true);
});
