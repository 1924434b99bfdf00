import { expect, test } from "vitest";
import { LedgerTurns } from "#gateway/http/ledger-turns";
import { instant } from "#kernel/clock";

const began = Date.parse("2026-11-27T12:00:00Z");
const after = (milliseconds: number) => instant(began + milliseconds);

test("the requests of a quarter of a second share the turn of the first", () => {
  const turns = new LedgerTurns();
  expect(turns.of("first", after(0))).toBe("first");
  expect(turns.of("second", after(1))).toBe("first");
  expect(turns.of("third", after(249))).toBe("first");
  expect(turns.of("fourth", after(250))).toBe("fourth");
  expect(turns.of("fifth", after(251))).toBe("fourth");
});

test("a turn does not outlive a clock that was set back", () => {
  const turns = new LedgerTurns();
  turns.of("first", after(0));
  expect(turns.of("second", after(-1))).toBe("second");
  expect(turns.of("third", after(0))).toBe("second");
});

test("each isolate has turns of its own", () => {
  expect(new LedgerTurns().of("a", after(0))).toBe("a");
  expect(new LedgerTurns().of("b", after(0))).toBe("b");
});
