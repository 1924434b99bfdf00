import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { countRead, setShare, showProgress } from "../../cli/progress.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function terminal(isTTY: boolean) {
  const shown: string[] = [];
  const write = (text: string | Uint8Array) => {
    shown.push(String(text));
    return true;
  };
  return { shown, stream: { isTTY, write }, output: { write } };
}

test("a terminal shows the progress after two seconds, and clears it before a line and at the end", () => {
  const { shown, stream, output } = terminal(true);
  const original = output.write;
  const progress = showProgress("ledger verify", stream, output);
  countRead();
  vi.advanceTimersByTime(1_900);
  expect(shown).toEqual([]);
  vi.advanceTimersByTime(300);
  expect(shown.at(-1)).toBe("\r\u001B[Kphylax ledger verify: 1 objects, 2 s …");
  output.write("s0: good\n");
  expect(shown.slice(-2)).toEqual(["\r\u001B[K", "s0: good\n"]);
  vi.advanceTimersByTime(200);
  progress.stop();
  expect(shown.at(-1)).toBe("\r\u001B[K");
  expect(output.write).toBe(original);
  const count = shown.length;
  vi.advanceTimersByTime(5_000);
  expect(shown).toHaveLength(count);
});

test("a work of a known size is a bar, which no name can break", () => {
  const { shown, stream, output } = terminal(true);
  const progress = showProgress("export download", stream, output);
  for (const [share, bar] of [
    [0, "--------------------] 0 %"],
    [0.42, "########------------] 42 %"],
    [7, "####################] 100 %"],
  ] as const) {
    setShare(share, "Patient\u001B[2J");
    vi.advanceTimersByTime(2_200);
    expect(shown.at(-1)).toContain(`phylax export download: [${bar} Patient\\u001b[2J, `);
  }
  progress.stop();
  showProgress("ledger verify", stream, output);
  vi.advanceTimersByTime(2_200);
  expect(shown.at(-1)).toBe("\r\u001B[Kphylax ledger verify: 2 s …");
});

test("a pipe gets no progress", () => {
  const { shown, stream, output } = terminal(false);
  showProgress("ledger verify", stream, output);
  vi.advanceTimersByTime(10_000);
  expect(shown).toEqual([]);
});
