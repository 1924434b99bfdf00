import { test } from "vitest";
import { instant } from "#kernel/clock";
import { predecessor } from "#ledger/predecessor";

const july = Date.UTC(2026, 6);
const january = Date.UTC(2027, 0);

test("a log asks its predecessor until the predecessor's last proofs have expired: 260 seconds past the switch, and before it", ({
  expect,
}) => {
  expect(predecessor("s3-2026h2", instant(july - 1_000))).toBe("s3-2026h1"); // a clock that is ahead chose it
  expect(predecessor("s3-2026h2", instant(july))).toBe("s3-2026h1");
  expect(predecessor("s3-2026h2", instant(july + 259_999))).toBe("s3-2026h1");
  expect(predecessor("s3-2026h2", instant(july + 260_000))).toBeUndefined();
  expect(predecessor("s0-2027h1", instant(january + 1))).toBe("s0-2026h2");
});

test("a log that ends has no predecessor to ask", ({ expect }) => {
  expect(predecessor("s3-2026h1", instant(july - 1))).toBeUndefined();
  expect(predecessor("s3-2026h1", instant(july + 60_000))).toBeUndefined();
  expect(predecessor("elsewhere", instant(july))).toBeUndefined();
});
