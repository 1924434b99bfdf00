import { loadavg } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** With more other work than this, as the load average of a minute, the figures depend on that work. */
const quietLoad = 1.5;
const stepSeconds = 5;

/** The load of the machine before a run. */
export interface LoadBefore {
  readonly load: number;
  /** Why this run has no verdicts; null: it has them. */
  readonly withheld: string | null;
}

const machine = {
  load: (): number => loadavg()[0] ?? 0,
  sleep: async (milliseconds: number): Promise<unknown> => sleep(milliseconds),
};

/** A run of moments never waits, and has no verdicts. */
export const shortRun = (): LoadBefore => ({
  load: machine.load(),
  withheld: "a short run: these figures mean nothing",
});

/** Waits until other work has ended, some minutes at most. A run on a busy machine has figures and no verdicts. */
export async function waitForQuiet(
  minutes: number,
  { load, sleep }: typeof machine = machine,
): Promise<LoadBefore> {
  for (let waited = 0; ; waited += stepSeconds) {
    const found = load();
    if (found <= quietLoad) return { load: found, withheld: null };
    const above = `load average ${found.toFixed(1)}, above ${quietLoad}`;
    if (waited >= 60 * minutes)
      return { load: found, withheld: `${above}, after a wait of ${minutes} minutes` };
    if (waited === 0) console.error(`${above}: waiting up to ${minutes} minutes …`);
    await sleep(1_000 * stepSeconds);
  }
}
