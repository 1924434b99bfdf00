import { test } from "vitest";
import { waitForQuiet } from "../../bench/quiet.ts";

/** A machine whose load average goes through these values, a value for each look. */
function machineWith(...loads: readonly number[]) {
  const waits: number[] = [];
  const left = [...loads];
  return {
    waits,
    load: () => left.shift() ?? loads.at(-1) ?? 0,
    sleep: async (milliseconds: number) => void waits.push(milliseconds),
  };
}

test("a run on a quiet machine starts at once and has verdicts", async ({ expect }) => {
  const quiet = machineWith(1.5);
  expect(await waitForQuiet(5, quiet)).toEqual({ load: 1.5, withheld: null });
  expect(quiet.waits).toEqual([]);
});

test("a run waits for a busy machine, and has verdicts when it becomes quiet", async ({ expect }) => {
  const busy = machineWith(4, 2, 1.2);
  expect(await waitForQuiet(5, busy)).toEqual({ load: 1.2, withheld: null });
  expect(busy.waits).toHaveLength(2);
});

test("a run that waited long enough starts without verdicts and says why; a wait of 0 minutes starts at once", async ({
  expect,
}) => {
  const busy = machineWith(3);
  const { load, withheld } = await waitForQuiet(2, busy);
  expect(load).toBe(3);
  expect(withheld).toBe("load average 3.0, above 1.5, after a wait of 2 minutes");
  expect(busy.waits.reduce((sum, each) => sum + each, 0)).toBe(120_000);
  const short = machineWith(3);
  expect((await waitForQuiet(0, short)).withheld).not.toBeNull();
  expect(short.waits).toEqual([]);
});
